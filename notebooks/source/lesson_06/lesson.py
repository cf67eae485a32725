# ---
# jupyter:
#   course:
#     name: 06_wrapping_up
#     title: "Lesson 06: Wrapping up"
#     goals:
#       - say of each sentence of the day whether it held, and by which number
#       - choose a model family and a way to train for a job, and say what you would try first
#       - say where Day 5 goes on
#     minutes_yours: 30
#     minutes_cpu: under a minute
#     needs: the other lessons, as far as you have run them
# ---

# %% [markdown]
# > “BERT looks both ways.” “One epoch is enough.” “With few labels, freeze the encoder.”
#
# All day, sentences like these were tested. How many do you remember?
#
# ## 1. Guess first
#
# Here are the sentences that the lessons tested, without their verdicts. (Numbers that are missing belong to deeper
# notebooks.)

# %%
from utils import claims

ran = profile.name if claims.ledger(profile.name) else "embedded"  # nothing recorded yet? Take `embedded`
recorded = claims.ledger(ran)
asked = claims.of_lessons(recorded, course / "notebooks")
for claim in asked:
    print(f"{claim.id:<6}{claim.words}")

# %% [markdown]
# A sentence *holds* only if all of it was found true. It *depends* if it is true in one case and false in another. It
# *does not hold* if a case failed and none held. Else it is *not settled here*.
#
# *Predict:* which would you **not** sign as they stand, because they do not hold, depend, or are not settled? Write
# their numbers into the cell, then run it.

# %%
# NBVAL_CHECK_OUTPUT
doubted = set()  # for example {"99.1", "99.2"}

holds = {claim.id: claim.verdict == claims.HOLDS for claim in asked}
missed = [id for id, truth in holds.items() if (id not in doubted) != truth]
if doubted:
    print(f"you guessed {len(holds) - len(missed)} of {len(holds)} right")
    print(f"believing all gets {sum(holds.values())}, doubting all {len(holds) - sum(holds.values())}")
    print("look again at:", ", ".join(missed) or "none")
    print("no such sentence:", ", ".join(sorted(map(str, doubted - holds.keys()))) or "none")
else:
    print("Write numbers into `doubted`, then run this cell again.")

# %% [markdown]
# ## 2. The ledger
#
# Here are the verdicts, from your runs and those that came with the course, each with its main number (in brackets the
# interval). Open a row to see what was tested, with which model.

# %%
claims.show_ledger(recorded, course / "notebooks", ran)

# %% [markdown]
# Look at a sentence that surprised you. Was it false, or did it only claim too much? Many popular sentences leave out a
# condition: which encoder, how many labels, at which learning rate. Say one of them again so that it holds, such as:
# one epoch is too few for 200 labels and a small encoder.
#
# ## 3. Which one for which job?
#
# Run the cell, then *predict* for each job: would you begin with an encoder, a decoder, an encoder–decoder, or with
# counting words?

# %%
# NBVAL_CHECK_OUTPUT
from notebooks.source.lesson_06 import jobs

for job, *_ in jobs.JOBS:
    print(job)

# %% [markdown]
# Here is what we would try. The last column gives our closest measurement, some of them from deeper notebooks.

# %%
from IPython.display import Markdown

Markdown(jobs.table(recorded))

# %% [markdown]
# With tens of labels, frozen comes first because it takes a minute and has little to tune; ten epochs of fine-tuning
# then did better (04.5). Whatever the job: load model and tokenizer from one place. If you classify, measure counting
# words beside your model, keep related texts, such as reviews of one film, on one side of the split, and ask the test
# set once.
#
# ## 4. Into Day 5
#
# Tomorrow, Day 5 goes on without the `Trainer`. You have met that day's topics already:
#
# | tomorrow | today |
# |---|---|
# | the training loop in raw PyTorch | lesson 05, section 1 |
# | discriminative fine-tuning: a rate for each layer | lesson 05, section 2 |
# | slanted triangular learning rates | lesson 05, section 3 |
# | gradual unfreezing | lesson 05, section 4 |
# | what a network forgets | lesson 04, section 3; lesson 05, section 6 |
#
# Take a question along: which recipe helps on *your* texts? Write down the sentence, and how you will test it, before
# you run anything.
#
# These exercises (their numbers are not the sentences') are solved (✓) or left:

# %%
from utils import progress

Markdown(progress.table(course / "notebooks" / "exercises"))

# %% [markdown]
# Three terms of the day. Explain each in a sentence, then look it up in the [glossary](glossary.md).

# %%
# NBVAL_CHECK_OUTPUT
import random
import re

glossary = (course / "notebooks" / "glossary.md").read_text(encoding="utf-8")
print(", ".join(random.Random(0).sample(re.findall(r"^### (.+)$", glossary, re.MULTILINE), 3)))

# %% [markdown]
# ## 5. What to read next
#
# - **First**: Jurafsky and Martin, “Speech and Language Processing”, third edition, free at
#   <https://web.stanford.edu/~jurafsky/slp3/>; the chapters on Transformers and on masked language models.
# - **Before Day 5**: Howard and Ruder 2018, ULMFiT (arXiv 1801.06146), sections 3 and 5.
# - **The three families**: Devlin et al. 2018, BERT (arXiv 1810.04805); Radford et al. 2019, “Language Models are
#   Unsupervised Multitask Learners”, GPT-2; Raffel et al. 2019, T5 (arXiv 1910.10683).
# - **Fine-tuning that works**: Mosbach et al. 2020 (arXiv 2006.04884); Hu et al. 2021, LoRA (arXiv 2106.09685).
# - **An encoder of today**: Warner et al. 2024, ModernBERT (arXiv 2412.13663).

# %% [markdown]
# ## To remember
#
# - A sentence about a model is a claim. Ask for its test, its number, and the interval where chance plays a part.
# - Counting words costs seconds. Show it beside every classifier, and say so where it wins.
# - Encoders classify and search, decoders write, encoder–decoders rewrite.
