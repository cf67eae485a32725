# ---
# jupyter:
#   course:
#     name: 06_wrapping_up
#     title: "Lesson 06: Wrapping up"
#     goals:
#       - say of each sentence of the day whether it held, and by which number
#       - choose a model family and a way to train for a job
#     minutes_yours: 20
#     minutes_cpu: under a minute
#     needs: the other lessons, as far as you have run them
# ---

# %% [markdown]
# > “BERT looks both ways.” “One epoch is enough.” “With few labels, freeze the encoder.”
#
# All day, such sentences were tested. Which of these three survived?
#
# ## 1. Guess first

# %%
from utils import claims

ran = profile.name if claims.ledger(profile.name) else "embedded"  # nothing recorded yet? Take `embedded`
recorded = claims.ledger(ran)
asked = claims.of_lessons(recorded, course / "notebooks")
for claim in asked:
    print(f"{claim.id:<6}{claim.words}")

# %% [markdown]
# A case is, say, one encoder or one recipe. *Holds*: true in all that were tested. *Depends*: true in some, false in
# others. *Does not hold*: false in at least one, true in none. *Not settled here*: the rest.
#
# *Predict:* which would you **not** call *holds*? Write their numbers into the cell, then run it.

# %%
# NBVAL_CHECK_OUTPUT
doubted = set()  # for example {"99.1", "99.2"}
print(claims.score(asked, doubted))

# %% [markdown]
# ## 2. The ledger
#
# Each verdict has its main number, with an interval in brackets where chance plays a part. Open the rows that you
# guessed wrong.

# %%
claims.show_ledger(recorded, course / "notebooks", ran)

# %% [markdown]
# Did you find the opening three? Some sentences fail because a condition is missing: the encoder, the labels, the rate.
# Repair one that surprised you. 04.1, for example, becomes: *our base encoder*, frozen, does more with 200 labels than
# counting words with 4,000.
#
# ## 3. Which one for which job?
#
# Run the cell, then *predict* for each job: an encoder, a decoder, or an encoder–decoder? And for the first three:
# frozen, fine-tuned, or LoRA?

# %%
# NBVAL_CHECK_OUTPUT
from notebooks.source.lesson_06 import jobs

for job, *_ in jobs.JOBS:
    print(job)

# %% [markdown]
# Here is what we would try, with our closest measurement.

# %%
from IPython.display import Markdown

Markdown(jobs.table(recorded))

# %% [markdown]
# Whatever the job, load model and tokenizer from one place. To classify:
#
# - measure counting words, too;
# - keep related texts, such as reviews of one film, on one side of the split;
# - use the test set once, last.
#
# Explain in a sentence each: *fine-tuning*, *causal mask*, *paired difference*. Then run the cell.

# %%
# NBVAL_CHECK_OUTPUT
jobs.explain(course / "notebooks" / "glossary.md", "fine-tuning", "causal mask", "paired difference")

# %% [markdown]
# ## To remember
#
# - A sentence about a model is a claim. Ask for its test, its number, and the interval where chance plays a part.
# - Show counting words beside every classifier, and say so where it wins.
# - To classify or search, try an encoder first; to write, a decoder; to rewrite, an encoder–decoder.
#
# ## Into Day 5
#
# Does unfreezing add anything to the triangle? That is still open (05.2). Tomorrow takes the recipes up again, without
# the `Trainer`:
#
# | tomorrow | today |
# |---|---|
# | the training loop in raw PyTorch | lesson 05, section 1 |
# | discriminative fine-tuning: a rate for each layer | lesson 05, section 2 |
# | slanted triangular learning rates | lesson 05, section 3 |
# | gradual unfreezing | lesson 05, section 4 |
# | what a network forgets | lesson 04, section 3; lesson 05, section 6 |
#
# To read before: Howard and Ruder 2018, ULMFiT (arXiv 1801.06146), sections 3 and 5. To look up: Jurafsky and Martin,
# “[Speech and Language Processing](https://web.stanford.edu/~jurafsky/slp3/)”, third edition. An encoder of today:
# Warner et al. 2024, ModernBERT (arXiv 2412.13663).
#
# Take a question along: which recipe helps on *your* texts? Write down the sentence, and how you will test it, before
# you run anything.
