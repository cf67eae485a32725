# ---
# jupyter:
#   course:
#     title: "Exercises for lesson 03: The tokenizer must match the model"
# ---

# %% [markdown]
# ## 03.1 Predict: what comes back?
#
# Seven texts, numbered from 0 to 6. Each is cut without special tokens, and its ids are decoded again, as in “Three
# ways to cut” of the lesson: once with BERT's uncased WordPiece, once with GPT-2's byte-level BPE.

# %%
samples = ["good film", "Good film", "naïve", "two  spaces", "映", "unforgettably", "9/10"]
for place, text in enumerate(samples):
    print(place, repr(text))

# %% [markdown]
# Which come back to the letter? Every capital, accent and space counts. Write a list of their numbers for each
# tokenizer, for example `[0, 1]`.

# %%
came_back = {"BERT": [], "GPT-2": []}
# Your lines start here.
came_back["BERT"] = [0, 5]
came_back["GPT-2"] = [0, 1, 2, 3, 4, 5, 6]
# Your lines end here.

# %%
check("03.1", came_back)

# %% [markdown]
# Then run it, and try texts of your own.

# %%
from transformers import AutoTokenizer

wordpiece = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2 = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)
for name, tokenizer in {"BERT": wordpiece, "GPT-2": gpt2}.items():
    for text in samples:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        back = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        print(f"{name:<5}  {text!r:<15}  {'same' if back == text else 'other':<5}  {back!r}")

# %% [markdown]
# ## 03.2 Mend: ids from another vocabulary
#
# Somebody has a classifier that was made from BERT and fine-tuned with the right ids. They put it to work with the
# function below. It raises no error. But of two labels that are equally frequent, the classifier names the right one
# about half the time. `wordpiece` and `gpt2` are the two tokenizers loaded above.


# %%
def ids_with_a_bug(text, max_length):
    ids = gpt2(text, add_special_tokens=False)["input_ids"]
    return [number for number in ids if number < len(wordpiece)][:max_length]


# %% [markdown]
# Write the function that gives the ids which BERT should get for one text: a list of numbers, with `[CLS]` at the
# beginning and `[SEP]` at the end. A text that is too long loses its end, so that the list has at most `max_length`
# ids, special tokens included. `max_length` is at least 3. A short text stays short: no padding.


# %%
def ids_for_bert(text, max_length):
    """The ids of one text, a list, between BERT's special tokens."""
    # Your lines start here.
    return wordpiece(text, truncation=True, max_length=max_length)["input_ids"]
    # Your lines end here.


# %%
check("03.2", ids_for_bert)

# %% [markdown]
# ## 03.3 Write: the next pair to merge
#
# Byte-pair encoding merges the two parts that stand side by side most often. `counts` says how often each word occurs
# in the text. A word is written as its parts with one space between them; a part has one small letter or several.
#
# Return the pair to merge next, as two parts in the order in which they stand. A pair that stands twice in a word
# counts twice each time the word occurs; nothing stands side by side across the border of two words. Where several
# pairs are equally frequent, take the one that comes first in alphabetical order, by its first part, then by its
# second. (The lesson takes the one that it counted first.) At least one word has two parts.
#
# For example, in `{"g o o d": 3, "go o": 1, "o d d": 2}` the pair `("o", "d")` stands side by side 3 + 2 = 5 times,
# `("g", "o")` and `("o", "o")` 3 times each.


# %%
from collections import Counter
from itertools import pairwise  # of a, b, c: a, b and b, c


def most_frequent_pair(counts):
    """`counts`: word, as parts with spaces between them -> how often the word occurs."""
    # Your lines start here.
    pairs = Counter()
    for word, times in counts.items():
        for pair in pairwise(word.split()):
            pairs[pair] += times
    return min(pairs, key=lambda pair: (-pairs[pair], pair))
    # Your lines end here.


# %%
check("03.3", most_frequent_pair)

# %% [markdown]
# ## 03.4 Write: the longest piece first
#
# Cut a word like WordPiece, but without the marks `##`: any piece may stand anywhere. Take the longest piece of the
# vocabulary with which the word begins, then the longest with which the rest begins, and so on; a piece once taken is
# never given back. If at some place nothing fits, the whole word becomes `["[UNK]"]`. The limit of 100 letters is left
# out.
#
# For example, with the vocabulary `["a", "ab", "b", "bc", "d"]`, the word `abd` becomes `["ab", "d"]`. The word `abc`
# becomes `["[UNK]"]`: after `ab`, no piece fits `c`.


# %%
def cut(word, vocabulary):
    """`word`: a text of at least one letter; `vocabulary`: a list of pieces. A list of pieces comes back."""
    # Your lines start here.
    parts, start = [], 0
    while start < len(word):
        fitting = [piece for piece in vocabulary if word.startswith(piece, start)]
        if not fitting:
            return ["[UNK]"]
        parts.append(max(fitting, key=len))
        start += len(parts[-1])
    return parts
    # Your lines end here.


# %%
check("03.4", cut)

# %% [markdown]
# ## 03.5 Write: the fate of an id
#
# The ids of a foreign tokenizer are looked up in a table of `rows` rows, on a CPU. `batch` has a list of ids for each
# text; all are 0 or larger. `special` lists the ids of the table's special tokens, `spare` those of its spare rows; no
# id is in both. Return a dict with these five entries:
#
# - `"special"`: how many ids of the batch name a special token,
# - `"spare"`: how many name a spare row,
# - `"piece"`: how many name any other row of the table,
# - `"beyond"`: how many have no row,
# - `"loud"`: True if the lookup of this batch raises an error, else False.
#
# Each id counts as often as it occurs, and the counts cover the whole batch, also where the lookup would stop with an
# error. For example, `fate([[0, 4, 4], [9]], 6, special=[0], spare=[1, 2])` has 1 special token, 0 spare rows, 2 other
# pieces and 1 id beyond, and is loud.


# %%
def fate(batch, rows, special, spare):
    """A dict of four counts and "loud"."""
    # Your lines start here.
    found = {"special": 0, "spare": 0, "piece": 0, "beyond": 0}
    for number in [number for ids in batch for number in ids]:
        if number >= rows:
            found["beyond"] += 1
        elif number in special:
            found["special"] += 1
        elif number in spare:
            found["spare"] += 1
        else:
            found["piece"] += 1
    return found | {"loud": found["beyond"] > 0}
    # Your lines end here.


# %%
check("03.5", fate)
