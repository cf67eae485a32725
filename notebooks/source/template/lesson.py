# ---
# jupyter:
#   course:
#     name: NN_what_a_name_costs
#     title: "Lesson NN: What a name costs"
#     goals:
#       - count the tokens of a word, and say which words cost more than one
#       - compare two kinds of words inside the same texts, and rule out the length of the words as the reason
#       - read a claim's verdict off its interval
#     minutes_cpu: under a minute
#     needs: nothing but this course
# ---

# %% [markdown]
# ## 1. One word, several tokens
#
# A *tokenizer* cuts a word that is not in its vocabulary into pieces that are. `##` marks a piece that continues a
# word. Which of these four words are in the vocabulary? Predict, then run.
#
# <!-- Author: open with what the lesson is about. A term of the glossary is linked where you emphasise it first.
# A prediction stands before each result that can surprise. Take these comments out when you have replaced the text. -->

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)  # the first cell's `uses` is read off such lines
for word in ("actor", "Hitchcock", "Kubrick", "unwatchable"):
    print(f"{word:<12}", " ".join(tokenizer.tokenize(word)))

# %% [markdown]
# ## 2. Names beside other words
#
# Four words prove nothing. Here are 300 reviews, spread over the training reviews, since neighbours are about the same
# film. A word inside a sentence that begins with a capital is taken for a name. That is rough: it also counts
# “English”, and misses names that follow a quotation mark.
#
# <!-- Author: say what a measure counts and what it gets wrong. This cell's output is compared by `make test`, since it
# is the same on every machine; the marker stands alone on its line. -->

# %%
# NBVAL_CHECK_OUTPUT
import re

from datasets import load_dataset

reviews = load_dataset(profile.imdb, split="train")
texts = [reviews[place]["text"] for place in range(0, len(reviews), len(reviews) // 300)][:300]
words = [re.findall(r"(?<=[a-z,] )[A-Za-z][a-z]{2,}", text) for text in texts]
names = [[word for word in found if word[0].isupper()] for found in words]
print(f"{sum(map(len, words)):,} words in {len(texts)} reviews, {sum(map(len, names)):,} of them taken for names")

# %% [markdown]
# How many tokens does a name cost, and how many another word? Guess two numbers. The means are taken inside each
# review, so that a review with many names does not weigh more, and only from reviews that have both. Names are also
# longer than “the”, so the second line compares words of six to nine letters only.

# %%
# NBVAL_CHECK_OUTPUT
import numpy as np


def costs(shortest, longest):
    """Mean tokens of the names and of the other words of each review that has both; shape (reviews, 2)."""
    rows = []
    for found in words:
        fitting = [word for word in found if shortest <= len(word) <= longest]
        kinds = [[len(tokenizer.tokenize(word)) for word in fitting if word[0].isupper() == name] for name in (1, 0)]
        if all(kinds):
            rows.append([np.mean(kind) for kind in kinds])
    return np.array(rows)


measured = {"all words": costs(3, 99), "six to nine letters": costs(6, 9)}
for which, rows in measured.items():
    print(f"{which:<20} {rows[:, 0].mean():.2f} for a name, {rows[:, 1].mean():.2f} for another word")

# %% [markdown]
# Other reviews would give slightly different means. The black lines are 95% intervals.
#
# <!-- Author: every figure is shown by `plots.show`, with at least 30 characters for those who cannot see it. Compute
# the numbers in them, never type them. -->

# %%
from utils import intervals, plots

bars = {}
for which, rows in measured.items():
    bars |= {f"{kind}, {which}": intervals.mean(rows[:, place]) for place, kind in enumerate(("names", "others"))}
fig, ax = plots.figure(2.2)
plots.number_bars(ax, bars, colors=[plots.ORANGE, plots.BLUE] * 2, text="{:.2f}")
ax.set_xlabel("tokens of a word, mean over reviews")
plots.show(fig, "Tokens of a word: " + "; ".join(f"{name} {one.value:.2f}" for name, one in bars.items()) + ".")

# %% [markdown]
# Both kinds stand in the same reviews, so what counts is the difference inside each.
#
# <!-- Author: `tests` says what must be so for the sentence to hold, by `above`, `below` or `within` of a number with
# its interval, which give None where the data cannot tell. The verdict follows. Give one test; several only where the
# sentence has parts, and then `on`, on what it depends. `number` is the one that decides, `context` decides nothing.
# The id begins with the lesson's number. -->

# %%
gaps = {which: intervals.paired_difference(*rows.T, scale=1, unit="") for which, rows in measured.items()}

# %%
from utils import claims

claims.record(
    "NN.1",
    "Names cost more tokens than other words.",
    tests={which: gap.above(0) for which, gap in gaps.items()},
    on="the length of the words",
    number={"tokens of a name minus those of another word, the smaller gap": intervals.smallest(gaps)},
    context={f"{which}: tokens of a name minus those of another word": gap for which, gap in gaps.items()},
    model="the tokenizer of bert-base-uncased",
    origin=claims.MEASURED_HERE,
    source="WordPiece keeps frequent strings whole: Wu et al. 2016, arXiv 1609.08144",
    profile=profile.name,
)

# %% [markdown]
# ## To remember
#
# - A word that is not in the vocabulary costs several tokens. Names cost more than other words, also at equal length.
# - Compare inside the same texts, and rule out what else could make the difference; here, the length of the words.
# - A verdict comes from an interval, not from the higher of two numbers.
