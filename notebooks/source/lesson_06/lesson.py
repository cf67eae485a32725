# ---
# jupyter:
#   course:
#     name: 06_wrapping_up
#     title: "Lesson 06: Wrapping up"
#     goals:
#       - say of each sentence of the day whether it held on your machine, and with which numbers
#       - choose a family and a way to train for a job, and say what you would try first
#       - see which exercises are left, and what to read next
#     minutes_cpu: under a minute
#     minutes_gpu: under a minute
#     needs: the other lessons, as far as you have run them
# ---

# %% [markdown]
# ## 1. The ledger
#
# Every card that a lesson showed is kept on your machine. Here they all are, by lesson: the sentence, the verdict, the
# number that decides; the rest is folded, and says which numbers are your machine's and which came with the course. A
# lesson that has not been run under your profile says so.

# %%
from IPython.display import Markdown, display

from utils import claims
from utils.notebooks import of_course

ran = profile.name if claims.ledger(profile.name) else "embedded"  # what lessons run where the hub fails them
recorded = claims.ledger(ran)

# %%
for path, lesson in of_course(course / "notebooks").items():
    lines = [line for cell in lesson["cells"] for line in cell["source"]]
    if not any(line.startswith(("claims.record(", "cards.")) for line in lines):
        continue  # a lesson without a card
    display(Markdown(f"**[{lesson['metadata']['course']['title']}]({path.name})**"))
    own = [claim for claim in recorded if claim.id[:2] == path.name[:2]]
    if own:
        display(claims.table(own), raw=True)
    else:
        print(f"Not run on this machine under `{ran}` yet: open the lesson and run all its cells.")

# %% [markdown]
# How many sentences held? Guess before you look: of the sentences of the day, how many are true as they are said?

# %%
from collections import Counter

from utils import plots

verdicts = Counter(claim.verdict for claim in recorded)
fig, ax = plots.figure(1.9)
kinds = list(claims.COLORS)
plots.bars(ax, kinds, [verdicts[kind] for kind in kinds], colors=list(claims.COLORS.values()), text="{:.0f}")
ax.set_xlabel("sentences")
title = f"{verdicts[claims.HOLDS]} of {len(recorded)} sentences hold as they are said"
fig.suptitle(title)
plots.show(fig, f"{title}; " + ", ".join(f"{kind}: {verdicts[kind]}" for kind in kinds) + ".")

# %% [markdown]
# *Depends* is the most instructive verdict: the sentence is true of something, and says too much. Say one of them in a
# way that would hold.

# %% [markdown]
# ## 2. Which one for which job?
#
# A table to begin with, not a law. The last column names the sentences of the ledger on which a row rests, with the
# verdict of your machine; rows without a card are common practice. (With tens of labels, look at the figure in section
# 2 of lesson 04: the methods can hardly be told apart there, and this one is the cheapest.)

# %%
verdict_of = {claim.id: f"{claims.SIGNS[claim.verdict]} {claim.verdict}" for claim in recorded}
JOBS = [
    ("tell texts apart, tens of labels", "frozen encoder and a linear classifier", "fine-tune, several seeds", ""),
    ("tell texts apart, hundreds or more", "counting words, then fine-tune", "LoRA, half frozen", "02.2 04.2 04.7"),
    ("the same for many tasks", "one encoder, LoRA for each task", "frozen vectors, one head a task", "04.7"),
    ("fill a gap", "encoder (BERT's family)", "encoder–decoder", "01.1 01.4"),
    ("mark words, find passages", "encoder (BERT's family)", "a larger encoder", ""),
    ("write on, answer, chat", "decoder (GPT's family)", "encoder–decoder", "01.5"),
    ("one text into another, small model", "encoder–decoder (T5's family)", "large decoder, a prompt", "01.7 01.8"),
    ("no label at all", "large decoder, a prompt", "label fifty texts yourself", ""),
]  # fmt: skip
rows = ["| job | try first | then | rests on |", "|---|---|---|---|"]
for job, first, then, ids in JOBS:
    rests = ", ".join(f"{id} ({verdict_of.get(id, 'not run yet')})" for id in ids.split()) or "no card"
    rows.append(f"| {job} | {first} | {then} | {rests} |")
Markdown("\n".join(rows))

# %% [markdown]
# Three rules go with every row. Load model and tokenizer together and check the pair (03.6). Draw counting words on
# every curve (02.2, 04.1). Keep a test set that you touch once, and report an interval (02.1).
#
# ## 3. Your exercises
#
# Lessons 01 to 05 each have a notebook of exercises that say whether you are right. A ✓ stays, once earned.

# %%
from utils import progress

exercises = course / "notebooks" / "exercises"
display(Markdown(progress.table(exercises)))

# %%
# NBVAL_CHECK_OUTPUT
print({path.name[:2]: len(ids) for path, ids in progress.exercises(exercises).items()})

# %% [markdown]
# ## 4. The words of the day
#
# The [glossary](glossary.md) explains each term in a few sentences and names the lesson in which it is at work. Explain
# these ten yourself, then look them up:

# %%
# NBVAL_CHECK_OUTPUT
import random
import re

terms = re.findall(r"^### (.+)$", (course / "notebooks" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
print(", ".join(random.Random(0).sample(terms, 10)))

# %% [markdown]
# ## 5. Into Day 5
#
# Tomorrow leaves the `Trainer` behind. You have the pieces already; this is where each of them stands:
#
# | tomorrow | today |
# |---|---|
# | the raw PyTorch loop | lesson 05, section 1: `train`, compared with the Trainer loss by loss |
# | discriminative fine-tuning | lesson 05, section 2: `layer_groups` |
# | slanted triangular learning rates | lesson 05, section 3: `slanted_triangular`, and what is wrong with the formula |
# | gradual unfreezing | lesson 05, section 4: `unfreeze` |
# | what is forgotten | lesson 04, section 1: the loss at hidden tokens and minimal pairs |
#
# Take one question along, of the kind that a card can answer. For example: which of the recipes helps on *your* texts,
# at the learning rate that suits it? Write the sentence and the test before you run anything. This is the
# number at the heart of a card:

# %%
# NBVAL_CHECK_OUTPUT
from utils.intervals import paired_difference

plain, recipe = [1, 0, 1, 1, 0, 1, 0, 1] * 40, [1, 0, 1, 1, 1, 1, 0, 1] * 40  # made-up answers: 1 is right
gain = paired_difference(recipe, plain)
print("Your sentence here:", gain, "· is it above 0?", gain.above(0))

# %% [markdown]
# ## 6. What to read next
#
# - **The three families**: Devlin et al. 2018, “BERT” (arXiv 1810.04805); Radford et al. 2019, “Language Models are
#   Unsupervised Multitask Learners”; Raffel et al. 2019, “Exploring the Limits of Transfer Learning with a Unified
#   Text-to-Text Transformer” (arXiv 1910.10683), which reads like a course of its own.
# - **What all three are built of**: Vaswani et al. 2017, “Attention Is All You Need” (arXiv 1706.03762).
# - **Before Day 5**: Howard and Ruder 2018, “Universal Language Model Fine-tuning for Text Classification” (arXiv
#   1801.06146), sections 3 and 5.
# - **Fine-tuning that works**: Sun et al. 2019, “How to Fine-Tune BERT for Text Classification?” (arXiv 1905.05583);
#   Mosbach et al. 2020, “On the Stability of Fine-tuning BERT” (arXiv 2006.04884); Hu et al. 2021, “LoRA” (arXiv
#   2106.09685).
# - **Tokenizers**: Sennrich et al. 2016, “Neural Machine Translation of Rare Words with Subword Units” (arXiv
#   1508.07909); Kudo 2018, “Subword Regularization” (arXiv 1804.10959).
# - **Encoders today**: Warner et al. 2024, “Smarter, Better, Faster, Longer” (arXiv 2412.13663), on ModernBERT.
# - **A textbook**: Jurafsky and Martin, “Speech and Language Processing”, third edition, free drafts at
#   <https://web.stanford.edu/~jurafsky/slp3/>.

# %% [markdown]
# ## To remember
#
# - A sentence about a model is a claim: it has a test, a number and an interval, or it is an opinion.
# - What was pretrained decides what comes cheap; the tokenizer, the learning rate and the labels decide what you get.
# - Counting words costs a minute. Put it on every curve, and say so where it wins.
# - Each family has a home, and none is confined to it.
