# ---
# jupyter:
#   course:
#     name: 06_wrapping_up
#     title: "Lesson 06: Wrapping up"
#     goals:
#       - say of each sentence of the day whether it held, by which number, and where that was measured
#       - choose a family and a way to train for a job, and say what you would try first
#       - see which exercises are left, and what to read next
#     minutes_yours: 45
#     minutes_cpu: under a minute
#     needs: the other lessons, as far as you have run them
# ---

# %% [markdown]
# > “You will notice a wrong tokenizer.” “Freeze the encoder.” “One epoch is enough.”
#
# Sentences like these were put to the test in every lesson.
#
# ## 1. Recall first
#
# The sentences of the lessons that you have run, without their verdicts (those of deeper notebooks come later):

# %%
from utils import claims

ran = profile.name if claims.ledger(profile.name) else "embedded"  # nothing recorded yet? Take `embedded`
recorded = claims.ledger(ran)
asked = claims.of_lessons(recorded, course / "notebooks")
for claim in asked:
    print(f"{claim.id:<6}{claim.words}")

# %% [markdown]
# *Predict:* which of them would you **not** sign as they stand? Include what *does not hold*, what *depends* (holds in
# some cases) and what is *not settled here* (its interval leaves both open). Write their ids into the cell.

# %%
doubted = set()  # for example {"99.1", "99.2"}

holds = {claim.id: claim.verdict == claims.HOLDS for claim in asked}
missed = [id for id, truth in holds.items() if (id not in doubted) != truth]
if doubted:
    print(f"your guesses that are right: {len(holds) - len(missed)} of {len(holds)}")
    print(f"signing all: {sum(holds.values())} right; doubting all: {len(holds) - sum(holds.values())} right")
    print("look again at:", ", ".join(missed) or "none")
    print("not asked here:", ", ".join(sorted(doubted - holds.keys())) or "none")
else:
    print("Write ids into `doubted`, then run this cell again.")

# %% [markdown]
# ## 2. The ledger
#
# The recorded verdicts, each with the number that decides; open a row for the rest. Some parts hold, others do not:
# *depends*. None holds and one fails: *does not hold*.

# %%
from collections import Counter

for which, some in (("the lessons", asked), ("with deeper notebooks", recorded)):
    counts = Counter(claim.verdict for claim in some)
    print(f"{which}: {', '.join(f'{verdict} {count}' for verdict, count in counts.most_common())}")
claims.show_ledger(recorded, course / "notebooks", ran)

# %% [markdown]
# *Depends* is the most instructive verdict: the sentence claims too much. Take 04.1, and say it in a way that holds.
# (Which encoder?)
#
#
# ## 3. Which one for which job?
#
# Run this, then *predict* for each job: an encoder, a decoder, an encoder–decoder or counting words? Where there are
# labels: frozen or fine-tuned?

# %%
# NBVAL_CHECK_OUTPUT
from notebooks.source.lesson_06 import jobs

for job, *_ in jobs.JOBS:
    print(job)

# %% [markdown]
# Not a law. Last column: the closest measurement of this course; it may not compare the first two columns.

# %%
from IPython.display import Markdown

Markdown(jobs.table(recorded))

# %% [markdown]
# For every row: load model and tokenizer from one place, and compare once with the original (lesson 03). For every row
# that classifies texts: show counting words in each plot (02.2, 04.1), split so that related texts stay on one side
# ([02.1](deeper/02_an_honest_split.ipynb)), touch the test set once, and report an interval.
#
# ## 4. Exercises and words
#
# Your solved exercises (✓):

# %%
from utils import progress

exercises = course / "notebooks" / "exercises"
Markdown(progress.table(exercises))

# %%
# NBVAL_CHECK_OUTPUT
print(sum(len(ids) for ids in progress.exercises(exercises).values()), "exercises in all")

# %% [markdown]
# Explain these five terms yourself, then look them up in the [glossary](glossary.md).

# %%
# NBVAL_CHECK_OUTPUT
import random
import re

terms = re.findall(r"^### (.+)$", (course / "notebooks" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
print(", ".join(random.Random(0).sample(terms, 5)))

# %% [markdown]
# ## 5. Into Day 5
#
# Tomorrow, Day 5 goes on without the `Trainer`. You have the pieces already:
#
# | tomorrow | today |
# |---|---|
# | the raw PyTorch loop | lesson 05, section 1, held against the Trainer loss by loss |
# | discriminative fine-tuning | lesson 05, section 2 |
# | slanted triangular learning rates | lesson 05, section 3 |
# | gradual unfreezing | lesson 05, section 4 |
# | what is forgotten | lesson 04, section 3; lesson 05, section 6: who forgets less depends on plain's rate |
#
# Take a question along: which recipe helps on *your* texts, at its best rate, with several seeds? Write the sentence
# and its test before you run anything.
#
# ## 6. What to read next
#
# - **The three families**: Devlin et al. 2018, “BERT” (arXiv 1810.04805); Radford et al. 2019, “Language Models are
#   Unsupervised Multitask Learners”; Raffel et al. 2019, “Exploring the Limits of Transfer Learning with a Unified
#   Text-to-Text Transformer” (arXiv 1910.10683).
# - **What all three are built of**: Vaswani et al. 2017, “Attention Is All You Need” (arXiv 1706.03762).
# - **Before Day 5**: Howard and Ruder 2018, “Universal Language Model Fine-tuning for Text Classification” (arXiv
#   1801.06146), sections 3 and 5.
# - **Fine-tuning that works**: Sun et al. 2019, “How to Fine-Tune BERT for Text Classification?” (arXiv 1905.05583);
#   Mosbach et al. 2020, “On the Stability of Fine-tuning BERT” (arXiv 2006.04884); Hu et al. 2021, “LoRA” (arXiv
#   2106.09685).
# - **Tokenizers**: Sennrich et al. 2016, “Neural Machine Translation of Rare Words with Subword Units” (arXiv
#   1508.07909).
# - **Encoders today**: Warner et al. 2024, “Smarter, Better, Faster, Longer” (arXiv 2412.13663), on ModernBERT.
# - **A textbook**: Jurafsky and Martin, “Speech and Language Processing”, third edition, free drafts at
#   <https://web.stanford.edu/~jurafsky/slp3/>.

# %% [markdown]
# ## To remember
#
# - A sentence about a model is a claim: it has a test and a number, with an interval where chance plays a part. Else it
#   is an opinion.
# - Counting words costs seconds. Show it in each plot, and say so where it wins.
# - Encoders classify and search, decoders write, encoder–decoders rewrite; each can do more.
