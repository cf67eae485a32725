# ---
# jupyter:
#   course:
#     title: "Exercises for lesson 02: Fine-tuning with the Trainer"
# ---

# %% [markdown]
# ## 02.1 Predict: the loss before training
#
# A pretrained encoder gets a new head. Suppose that the head guesses evenly: it gives each label the same probability.
# Which loss, in nats, do you expect before training with 2, 3, 5 and 1000 labels? Each text has one true label. Write a
# number for each, to two digits after the point; you may calculate.

# %%
losses = {2: None, 3: None, 5: None, 1000: None}  # number of labels: loss
# Your lines start here.
losses[2] = 0.69
losses[3] = 1.10
losses[5] = 1.61
losses[1000] = 6.91
# Your lines end here.

# %%
check("02.1", losses)

# %% [markdown]
# Then run it. This is a small BERT with a new head, on ids and labels drawn at random. A new head guesses nearly
# evenly, so the losses come near your numbers. Run the cell again, and they change a little.

# %%
import torch
from transformers import AutoModelForSequenceClassification

from utils.assets import small_model

ids = torch.randint(200, 2000, (64, 20))
for n in losses:
    model, _ = AutoModelForSequenceClassification.from_pretrained(
        small_model("mini-bert"), num_labels=n, dtype=torch.float32, output_loading_info=True
    )
    with torch.inference_mode():
        loss = model.eval()(input_ids=ids, labels=torch.randint(n, (64,))).loss
    print(f"{n} labels: loss {loss:.2f}")

# %% [markdown]
# ## 02.2 Mend: a collator that does not pad
#
# Somebody forms batches without `DataCollatorWithPadding`. It works as long as all rows of a batch are equally
# long, and stops at the first batch whose rows differ in length.

# %%
import torch


def collate_with_a_bug(rows):
    ids = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": ids, "labels": torch.tensor([row["label"] for row in rows])}


two_rows = [{"input_ids": [101, 2307, 102], "label": 1}, {"input_ids": [101, 2205, 2146, 999, 102], "label": 0}]
try:
    collate_with_a_bug(two_rows)
except ValueError as error:
    print(f"ValueError: {error}")

# %% [markdown]
# Write the collator. `rows` is a list as above, in any number; the rows keep their order. Fill up on the right with
# `pad_id`, to the longest row of this batch. Return a dict of three tensors of whole numbers:
#
# - `input_ids`, shape (rows, length of the longest row);
# - `attention_mask`, the same shape, 1 for text and 0 for padding;
# - `labels`, shape (rows,).
#
# Beware: a *real* token may have the id `pad_id`, and its mask is 1. This happens with models that have no padding
# token of their own and use another one, such as the token for the end of a text, in its place.


# %%
def collate(rows, pad_id):
    """With `two_rows` and 0: ids 101 2307 102 0 0 and 101 2205 2146 999 102, masks 1 1 1 0 0 and 1 1 1 1 1."""
    # Your lines start here.
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    longest = int(lengths.max())
    padded = [row["input_ids"] + [pad_id] * (longest - len(row["input_ids"])) for row in rows]
    mask = (torch.arange(longest) < lengths[:, None]).long()
    labels = torch.tensor([row["label"] for row in rows])
    return {"input_ids": torch.tensor(padded), "attention_mask": mask, "labels": labels}
    # Your lines end here.


# %%
check("02.2", collate)

# %% [markdown]
# ## 02.3 Mend: a split that lies
#
# Somebody knows the film of each review and splits the reviews at random. The test accuracy comes out higher than the
# accuracy that the same classifier later has on new films. `films` is a list with the film's name for each review, so
# review 0 is about `films[0]`.

# %%
import numpy as np


def split_with_a_bug(films, share, seed):
    rows = np.random.default_rng(seed).permutation(len(films)).tolist()
    size = round(share * len(rows))
    return rows[size:], rows[:size]


# %% [markdown]
# Write the split that it should be. Return two lists of row numbers, first `train`, then `test`:
#
# - each row number from 0 to `len(films) - 1` is in one of the lists, once; the order does not matter;
# - no film is in both lists; the reviews of a film are neighbours in some of the lists that you get, in others not;
# - `test` has about `share` of the rows, at most five points off: for 0.2, from 15% to 25%. There are enough films for
#   this, with about ten reviews each;
# - `seed` draws which films are tested: the same seed gives the same split, in every session
#   (a set has no fixed order, so sort it before you draw); another seed gives other films.


# %%
def split(films, share, seed):
    """For example, with films "A", "B", "A", the rows 0 and 2 go to the same list."""
    # Your lines start here.
    names = sorted(set(films))  # sorted: the order of a set of texts differs from one start of Python to the next
    test_films, test_rows = set(), 0
    for name in np.random.default_rng(seed).permutation(names).tolist():
        if test_rows < share * len(films):
            test_films.add(name)
            test_rows += films.count(name)
    test = [row for row, film in enumerate(films) if film in test_films]
    train = [row for row, film in enumerate(films) if film not in test_films]
    return train, test
    # Your lines end here.


# %%
check("02.3", split)

# %% [markdown]
# ## 02.4 Write: is the difference real?
#
# Two classifiers have judged the same reviews. `first` and `second` are lists of equal length, in the same order: 1
# where that classifier is right, 0 where it is wrong. Say whether the first is better: `True` if the 95% interval of
# the paired difference, first minus second, lies wholly above 0, and `False` otherwise. The interval is the mean of the
# differences, review by review, plus and minus 1.96 standard errors; lesson 02 draws it in section 3.


# %%
def is_better(first, second):
    """For example, the first is right on all of 400 reviews, the second on 300: True. The second on 399: False."""
    # Your lines start here.
    gap = np.array(first, dtype=float) - np.array(second, dtype=float)
    half = 1.96 * gap.std() / np.sqrt(len(gap))
    return bool(gap.mean() - half > 0)
    # Your lines end here.


# %%
check("02.4", is_better)

# %% [markdown]
# ## 02.5 Write: what padding costs
#
# `lengths` has the number of tokens of each review. Take the reviews in the order given, `batch_size` at a time; the
# last batch may be smaller. Each batch is filled up to its own longest review. Which share of all computed tokens, over
# all batches together, is padding? Return a number from 0 to 1.


# %%
def share_of_padding(lengths, batch_size):
    """For example, lengths 2, 4, 1 in batches of 2: 9 tokens are computed, 2 of them padding, which is 2 / 9."""
    # Your lines start here.
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    computed = sum(len(batch) * max(batch) for batch in batches)
    return 1 - sum(lengths) / computed
    # Your lines end here.


# %%
check("02.5", share_of_padding)

# %% [markdown]
# Then use it: the same lengths in random order and in order of length.

# %%
lengths = np.random.default_rng(0).integers(20, 257, 1000).tolist()
for order, these in {"random order": lengths, "by length": sorted(lengths)}.items():
    print(f"{order}: share of padding {share_of_padding(these, 16)!s:.4}")

# %% [markdown]
# ## One more, without a check
#
# Which end of a review tells more? Predict, then run lesson 02's section 1 twice on validation reviews, with these
# lines behind `load_dataset`:
#
# ```python
# from utils.splits import with_validation
# dataset = dataset if "validation" in dataset else with_validation(dataset)
# dataset["validation"] = dataset["validation"].shuffle(seed=0).select(range(300))
# ```
#
# and `eval_dataset=tokenized["validation"]`; once leave out `truncation_side="left"`, so that the *beginning* of each
# review is kept. Give the hits of `trainer.predict(tokenized["validation"])` of both runs to `paired_difference`: is
# one better by more than chance?
