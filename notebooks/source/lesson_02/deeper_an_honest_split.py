# ---
# jupyter:
#   course:
#     name: 02_an_honest_split
#     title: "Deeper 02: An honest split"
#     goals:
#       - show by how much a split that shares films flatters a classifier
#       - compare two classifiers on the same texts, by the interval of the difference and by McNemar's test
#       - say why several seeds are not one big sample
#     minutes_cpu: 1
#     needs: lesson 02
# ---

# %% [markdown]
# [Lesson 02](../02_fine_tuning_with_the_trainer.ipynb) keeps the reviews of one film on one side of the split. Does
# that matter? And how sure is a difference between two classifiers? Counting words is fast, so here it stands in for
# the encoder.
#
# ## 1. Films on both sides
#
# A film has at most 30 reviews in IMDB (Maas et al., README), and they share its names: the director, the heroine.
# Split at random, and the same film stands on both sides; a classifier can recognise the film instead of the opinion.
# The archive lists reviews of one film next to each other, so contiguous blocks keep films apart.
#
# The experiment: the *same* reviews are judged by two classifiers that learned from equally many. One learned from
# other reviews of the same films, the other from other films. **Predict:** which one is right more often, and by how
# much?

# %%
# NBVAL_CHECK_OUTPUT
import numpy as np
from datasets import load_dataset

from utils.splits import rare_names, shares_names, with_validation

imdb = load_dataset(profile.imdb)
imdb = imdb if "validation" in imdb else with_validation(imdb)
texts, labels = np.array(imdb["train"]["text"], dtype=object), np.array(imdb["train"]["label"])
halves = [np.concatenate([np.array_split(np.flatnonzero(labels == label), 2)[half] for label in (0, 1)])
          for half in (0, 1)]  # fmt: skip
print([len(half) for half in halves], "reviews in the two halves of the archive, each label cut in the middle")

# %% [markdown]
# The halves are not quite clean: negative and positive reviews stand in unrelated orders, so a film may have its
# negative reviews in the first half and its positive ones in the second. A review that shares three rare names with
# another half is left out there.

# %%
# NBVAL_CHECK_OUTPUT
names = rare_names(list(texts))
clean = [half[~shares_names(names, half, halves[1 - side])] for side, half in enumerate(halves)]
for side, half in enumerate(halves):
    print(f"half {side + 1}: {len(half) - len(clean[side]):,} of {len(half):,} reviews share a film with the other")


# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def learned_from(rows):
    counter = make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    return counter.fit(texts[rows], labels[rows])


gains, size = [], 1500  # reviews to learn from, and to judge
for draw in range(4):
    rng, here = np.random.default_rng(draw), draw % 2  # the halves swap roles from draw to draw
    judged, same = np.split(rng.permutation(clean[here])[: 2 * size], 2)
    other = rng.permutation(clean[1 - here])[:size]
    right = {films: learned_from(rows).predict(texts[judged]) == labels[judged]
             for films, rows in {"same": same, "other": other}.items()}  # fmt: skip
    gains.append(100 * (right["same"].astype(float) - right["other"]))

# %% [markdown]
# Each draw has an interval over its reviews. How much the draws' means differ gives another (a *t interval*). But there
# are only two sets of films, and the draws from one set share most of their films: so it is too narrow, and says little
# about a third set.

# %%
from scipy.stats import ttest_1samp

from utils import claims
from utils.intervals import Number, mean, over_seeds

print("each draw:", *(mean(gain, " points") for gain in gains), sep="\n  ")
means = np.mean(gains, axis=1)
interval = ttest_1samp(means, 0).confidence_interval()
gained = Number(means.mean(), interval.low, interval.high, " points")
claims.record(
    "02.1",
    "For these two halves of IMDB's films, a random split flatters the result.",
    tests={"the same films help": gained.above(0)},
    number={"gained from the same films": gained},
    model="counting words",
    origin=claims.Origin(yours=2 * len(gains), seeds=len(gains)),
    source=f"{size:,} reviews to learn from and as many to judge; each seed a draw; other films may differ more",
    profile=profile.name,
)

# %% [markdown]
# `utils/splits.py` does for the course what this page did: it cuts each label into blocks, drops every review that
# shares three rare names with a later part, and evens out the labels. No film is named in the data, so this is
# evidence, not proof.
#
# ## 2. Which part of a review?
#
# A model reads so many tokens. Where do reviewers say what they think? Teach counting words on the first words, on the
# last, or on some of both, and judge the validation films by the same part. **Predict** the order.

# %%
words_kept = 144  # about 192 tokens


def keep(text, head, tail):
    words = text.split()
    return text if len(words) <= head + tail else " ".join(words[:head] + words[len(words) - tail :])


parts = {"first words": (words_kept, 0), "a quarter first, the rest last": (36, 108), "last words": (0, words_kept)}
sample = np.random.default_rng(0).permutation(len(texts))[:2000]
truth, right = np.array(imdb["validation"]["label"]), {}
for part, (head, tail) in parts.items():
    counter = make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    counter.fit([keep(text, head, tail) for text in texts[sample]], labels[sample])
    right[part] = counter.predict([keep(text, head, tail) for text in imdb["validation"]["text"]]) == truth

# %%
from utils import plots
from utils.intervals import paired_difference

against = {part: paired_difference(hits, right["first words"]) for part, hits in right.items() if part != "first words"}
fig, ax = plots.figure(1.5)
plots.number_bars(ax, against, text="{:+.1f}")
ax.axvline(0, color=plots.BLACK, linewidth=1)
ax.set_xlabel(f"points more than with the first {words_kept} words, {len(truth):,} reviews, 95% interval")
fig.suptitle("Against the first words: " + ", ".join(f"{part} {gap.value:+.1f}" for part, gap in against.items()))
plots.show(fig, f"Points of accuracy more than with the first {words_kept} words: "
                + ", ".join(f"{part} {gap}" for part, gap in against.items()))  # fmt: skip

# %% [markdown]
# For bert-base on IMDB with 510 tokens, Sun et al. (2019) measured 94.37% with the first ones, 94.56% with the last,
# and 94.58% with the first 128 and the last 382: single runs, and differences within their noise.
#
# ## 3. Is the difference real?
#
# Two intervals that overlap do not settle who is better: both classifiers met the same easy and hard reviews. Compare
# review by review. There are two ways: the interval of the difference, and *McNemar's test*, which looks at the
# reviews that only one of the two gets right. *p* is the probability of a count at least this uneven if both were
# equally good.

# %%
from scipy.stats import binomtest

from utils.intervals import share

first, last = right["first words"], right["last words"]
only_first, only_last = int((first & ~last).sum()), int((last & ~first).sum())
print(f"each by itself: first words {share(first)}, last words {share(last)}")
print(f"the difference: {paired_difference(last, first)}")
p = binomtest(only_last, only_first + only_last).pvalue
print(f"right only with the last words: {only_last}, only with the first: {only_first}; p = {p:.2g}")

# %% [markdown]
# ## 4. Several seeds are not one big sample
#
# Train three times with other draws of labels, and judge the same 500 reviews each time. You may be tempted to call
# that 1,500 answers. **Predict:** what does that do to the interval?

# %%
chosen, hits = np.random.default_rng(0).permutation(len(truth))[:500], []
validation = [imdb["validation"]["text"][row] for row in chosen.tolist()]
for seed in range(3):
    rows = np.random.default_rng(seed).permutation(len(texts))[:200]
    hits.append(learned_from(rows).predict(validation) == truth[chosen])
hits = np.array(hits)
print("each seed:", [f"{seed.mean():.1%}" for seed in hits])
print("pooled, as if 1,500 reviews had been judged:", share(hits.ravel()))
print("over reviews and seeds:", over_seeds(100 * hits, "%"))

# %% [markdown]
# The pooled interval leaves out two things: the 500 reviews are not 1,500, and three draws of labels say little about
# others. `over_seeds` adds both variances. With three seeds it is wide: that is what three seeds tell.

# %% [markdown]
# ## To remember
#
# - Keep on one side of a split what belongs together: films, patients, authors.
# - Compare two classifiers on the same texts, one by one.
# - Seeds vary the model, not the test texts; an interval must cover both.
