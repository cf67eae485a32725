# ---
# jupyter:
#   course:
#     name: 03_the_tokenizer_must_match
#     title: "Lesson 03: The tokenizer must match the model"
#     goals:
#       - say what a vocabulary, an id and an embedding table are, and how a vocabulary is learned
#       - read what a model hears when the ids come from another vocabulary
#       - say which mistakes raise an error and which pass in silence, and measure what they change
#       - compare a tokenizer with the model's own, and guard your code
#     minutes_yours: 75
#     minutes_cpu: about a minute
#     needs: lessons 01 (the three models) and 02 (the frozen encoder)
# ---

# %% [markdown]
# > “Use the tokenizer that your model was trained with. Feed BERT text that was cut by GPT's BPE, and the output is
# > junk.”
#
# These models never see letters. A *tokenizer* cuts text into pieces, the *tokens*, and gives each piece a number, its
# *id*. The id says which row of the model's *embedding table* is this piece's vector. Another tokenizer numbers its
# pieces differently:
#
# ```
# "a good film" → BERT's tokenizer  → 1037 2204 2143 → rows of BERT's table: a, good, film → BERT
# "a good film" → GPT-2's tokenizer →   64  922 2646 → rows of BERT's table: ?             → BERT
# ```
#
# (*BPE* is how GPT-2's tokenizer cuts: section 3.)
#
# ## 1. See it work
#
# Our classifier judges film opinions as in lesson 02: a frozen encoder turns each text into a vector, and logistic
# regression learns from 1,000 labelled sentences which vectors are positive. (Under `embedded` the encoder is
# all-MiniLM-L6-v2, a small BERT trained for sentences, with BERT's vocabulary. In this lesson, “BERT” is this encoder.)

# %%
from datasets import load_dataset
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

from utils import assets
from utils.vectors import mean_vectors

bert_tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2_tokenizer = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)


def vectors(ids):
    """The frozen encoder's vector of each text. Shape (texts, width)."""
    return mean_vectors(profile, bert_tokenizer, ids, encoder=profile.small_encoder)  # the tokenizer pads short texts


sentences = load_dataset(str(assets.rotten_tomatoes()))
train = sentences["train"].shuffle(seed=0).select(range(1000))
ids = bert_tokenizer(list(train["text"]), truncation=True, max_length=64)["input_ids"]
classifier = LogisticRegression(C=1, max_iter=1000).fit(vectors(ids), list(train["label"]))

# %% [markdown]
# Two opinions are cut twice: by this encoder's own tokenizer, BERT's, and by GPT-2's. (Both cuts stand between `[CLS]`
# and `[SEP]`, the *special tokens* that mark beginning and end for BERT.) **Predict:** do GPT-2's ids raise an error?
# If not, what does the classifier say?

# %%
texts = ["What a beautiful and moving film.", "This film is a waste of time."]
cutters = {"BERT's ids": bert_tokenizer, "GPT-2's ids": gpt2_tokenizer}
for text in texts:
    print(text)
    for whose, tokenizer in cutters.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = [bert_tokenizer.cls_token_id, *ids, bert_tokenizer.sep_token_id]
        positive = classifier.predict_proba(vectors([ids]))[0, 1]
        print(f"   {whose:<11} {positive:4.0%} positive")

# %% [markdown]
# No error, no warning, and both verdicts are flipped. (These two were chosen because they flip, and because all their
# ids lie in BERT's table; section 6 judges 1,000.) This is what the encoder heard between `[CLS]` and `[SEP]`:

# %%
# NBVAL_CHECK_OUTPUT
from utils import pieces

ids = gpt2_tokenizer(texts[0])["input_ids"]
said, heard = pieces.heard(ids, gpt2_tokenizer), pieces.heard(ids, bert_tokenizer)
pieces.show({"GPT-2 says": said, "BERT hears": heard})

# %% [markdown]
# (`Ġ` is how GPT-2's tokenizer writes the space before a word. `[unused…]` are spare rows of BERT's table, which stand
# for no text.)
#
# ## 2. From pixels to tokens
#
# You know this from pictures with a *palette*: the pixel says 7, and the palette says which colour has the number 7.
# **Predict:** what does a picture look like with the palette of another picture?

# %%
import numpy as np
from sklearn.datasets import load_sample_images

from utils import plots

flower_numbers, flower = plots.with_palette(load_sample_images().images[1])
_, temple = plots.with_palette(load_sample_images().images[0])
fig, axes = plots.figure(2.6, columns=2)
for ax, (title, palette) in zip(
    axes, {"its own palette": flower, "another picture's palette": temple}.items(), strict=True
):
    ax.imshow(palette[flower_numbers])
    ax.set(title=title, xticks=[], yticks=[])
fig.suptitle("The same numbers, two palettes")
plots.show(fig, "A flower drawn from 16 numbered colours, with its own palette and with that of another picture.")

# %% [markdown]
# Equal numbers still get equal colours, so you can guess the shape; wrong rows leave BERT less to go by. An embedding
# table is such a palette: an id goes in, a vector comes out. A *vocabulary*, a list learned beforehand from much text,
# says which piece each row stands for. Pretraining then filled the rows. Before it they are random, and any numbering
# would do. **Predict** which rows are most similar to *film*'s row.

# %%
import torch
from transformers import AutoModel

encoder = AutoModel.from_pretrained(profile.small_encoder)
table = encoder.get_input_embeddings().weight.detach()
film = bert_tokenizer.convert_tokens_to_ids("film")
print(f"{table.shape[0]:,} rows of {table.shape[1]} numbers; film is row {film}")
unit = torch.nn.functional.normalize(table, dim=1)  # then a product of two rows is their cosine
nearest = (unit @ unit[film]).topk(7).indices[1:].tolist()
print("most similar:", *bert_tokenizer.convert_ids_to_tokens(nearest))

# %% [markdown]
# Here are three vocabularies. All have *film* as one piece, in BERT's with id 2143. **Predict:** does 2143 mean *film*
# in the other two? (Under `embedded`, T5's vocabulary is mini-t5's, learned from this course's texts; the real T5's has
# 32,100 pieces.)

# %%
# NBVAL_CHECK_OUTPUT
t5_tokenizer = AutoTokenizer.from_pretrained(profile.t5)
tokenizers = {"BERT": bert_tokenizer, "GPT-2": gpt2_tokenizer, "T5": t5_tokenizer}
for name, tokenizer in tokenizers.items():
    (film,) = tokenizer(" film", add_special_tokens=False)["input_ids"]
    other = tokenizer.convert_ids_to_tokens(2143)
    print(f"{name:<5} {len(tokenizer):>6,} pieces; film is {film:>5}, and 2143 is {other}")

# %% [markdown]
# (T5 writes a space as `▁`. In GPT-2, a piece without `Ġ` has no space before it: d-*rug*.) BERT and GPT-2 share
# thousands of words. **Predict:** how many have the same id in both?

# %%
# NBVAL_CHECK_OUTPUT
in_bert, in_gpt2 = bert_tokenizer.get_vocab(), gpt2_tokenizer.get_vocab()
shared = {word: number for word, number in in_bert.items() if word.isalpha() and f"Ġ{word}" in in_gpt2}
same = [word for word, number in shared.items() if in_gpt2[f"Ġ{word}"] == number]
print(f"{len(shared):,} words in both, {len(same)} with the same id: {', '.join(same)}")

# %% [markdown]
# ## 3. How text is cut
#
# Single letters mean little and make long texts. Whole words need a huge table, and every new word is missing from it.
# So a vocabulary holds frequent words whole and parts of the others: *subwords*.
#
# ### How a vocabulary is learned
#
# *Byte-pair encoding* (BPE; Sennrich et al., 2016) starts from single letters. It counts which two pieces stand side by
# side most often, makes them one, and does that again: GPT-2 made 50,000 such *merges*. Here are the first ten that BPE
# finds in the words of 500 film reviews. **Predict** the first.

# %%
import re
from collections import Counter
from itertools import pairwise


def merge(parts, pair):
    """Make the pair one piece wherever it stands."""
    merged = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


reviews = load_dataset(str(assets.imdb()))["test"].shuffle(seed=0).select(range(500))
counts = Counter(re.findall(r"[a-z]+", " ".join(reviews["text"]).replace("<br />", " ").lower()))

# %%
# NBVAL_CHECK_OUTPUT
words, merges = {word: list(word) for word in counts}, []  # "film": f, i, l, m
for step in range(1, 11):
    pairs = Counter()
    for word, parts in words.items():
        for pair in pairwise(parts):
            pairs[pair] += counts[word]
    best, count = pairs.most_common(1)[0]
    merges.append(best)
    words = {word: merge(parts, best) for word, parts in words.items()}
    print(f"{step:>2}. {best[0]} + {best[1]:<3} stand side by side {count:>7,} times")

# %% [markdown]
# To cut a word, also a new one, begin with its letters and make the merges in the order in which they were learned. No
# merge crosses the border of a word: text is split into words first (*pre-tokenization*). **Predict** the pieces of
# *the*, *thing* and *unthinkable*.

# %%
# NBVAL_CHECK_OUTPUT
for word in ("the", "thing", "unthinkable"):
    parts = list(word)
    for pair in merges:
        parts = merge(parts, pair)
    print(f"{word:<12} {' · '.join(parts)}")

# %% [markdown]
# ### Three ways to cut
#
# | | how it cuts a word |
# |---|---|
# | BERT: *WordPiece* | takes the longest piece that fits, then the next, from the left |
# | GPT-2: *byte-level BPE* | makes the merges that it learned, in their order |
# | T5: *Unigram* | each piece has a learned probability; takes the cut with the largest product |
#
# BERT's and T5's pieces are made of characters. GPT-2's are made of *bytes*, the numbers from 0 to 255 in which
# computers store text. None of the three has 😀 as a piece. **Predict:** which gives 😀 back when the ids
# are *decoded*, turned into text again?

# %%
# NBVAL_CHECK_OUTPUT
sample = "The café's soundtrack is unforgettably naïve, a 9/10 😀"
pieces.show({name: pieces.cut(tokenizer, sample) for name, tokenizer in tokenizers.items()})
for name, tokenizer in tokenizers.items():
    print(f"{name:<5} {tokenizer.decode(tokenizer(sample, add_special_tokens=False)['input_ids'])}")

# %% [markdown]
# - **WordPiece**: `##` marks a piece that continues a word. If no piece fits what is left of a word, the whole word
#   becomes `[UNK]` (unknown). This *uncased* tokenizer first lowercases the text and drops accents.
# - **Byte-level BPE** can write everything: each byte is shown as a sign: é is two, `Ã©`. GPT-2's words include the
#   preceding space, so merges joined a space with three of the emoji's four bytes. 256 bytes, 50,000 merges and one
#   special token make its 50,257 pieces.
# - **Unigram**: what it cannot write becomes `<unk>`. (mini-t5's short list needs more pieces.)
#
# [Deeper: the three algorithms](deeper/03_three_algorithms.ipynb), each in a few lines. Now your own text.

# %%
from utils import widgets

playground = widgets.tokenizer_playground(tokenizers, sample)
widgets.display(playground, "A box to cut your own text with the three tokenizers; a cell above shows this text.")

# %% [markdown]
# ## 4. What BERT hears
#
# A foreign id can name **another piece** (only one of 14,124 shared words keeps its id). It can name a **spare row**,
# which no text used; these lie below 1,000, where GPT-2 has its bytes and most frequent pieces. It can name a **special
# token**: GPT-2's `!` has id 0, which is BERT's `[PAD]`, the filler for short texts of a batch. Or it lies **beyond the
# table**.
#
# Choose who cuts and whose table reads. Let GPT-2 cut and BERT read: find a sentence of which BERT hears one word
# correctly. (Section 2 names the word; put a space before it. [In a browser](../site/live.md#the-wrong-tokenizer),
# too.)

# %%
hearing = widgets.what_the_model_hears(tokenizers, texts[0])
widgets.display(hearing, "A box to read a text's ids with another table; section 1 shows this text.")

# %% [markdown]
# Beyond the table nothing stands:

# %%
# NBVAL_CHECK_OUTPUT
ids = gpt2_tokenizer("An unwatchable, nostalgic mess.")["input_ids"]
said, heard = pieces.heard(ids, gpt2_tokenizer), pieces.heard(ids, bert_tokenizer)
pieces.show({"GPT-2 says": said, "BERT hears": heard})
try:
    mean_vectors(profile, bert_tokenizer, [ids], encoder=profile.small_encoder, device="cpu")
except IndexError as error:
    print(f"IndexError: {error}; the largest id is {max(ids):,}, the table has {len(table):,} rows")

# %% [markdown]
# An error is the lucky case. (On an NVIDIA GPU it reads `CUDA error: device-side assert triggered`; run the cell on the
# CPU to see the cause. Apple's GPU goes on without a report.)
#
# > “You will notice a wrong tokenizer: it raises an error.”
#
# **Predict:** how many of the 1,706 test sentences, and of batches of 16, have an id beyond the table?

# %%
# NBVAL_CHECK_OUTPUT
from utils.intervals import share

foreign = gpt2_tokenizer(list(sentences["test"]["text"]))["input_ids"]
beyond = np.array([max(ids) >= len(table) for ids in foreign])
batches = beyond[: len(beyond) // 16 * 16].reshape(-1, 16).any(axis=1)
print(f"{share(beyond)} of the sentences have one, and {batches.mean():.0%} of the batches")

# %% [markdown]
# So every batch fails, but of single sentences a third passes. And a vocabulary that is smaller than the table never
# raises this error.
#
# ## 5. Loud or silent?
#
# Five wrong tokenizers cut texts for BERT: GPT-2's, T5's, and three of BERT's own, set up wrongly:
#
# - *`[CLS]` and `[SEP]` left out*: the marks of beginning and end are missing;
# - *capitals kept*, `do_lower_case=False`: the uncased vocabulary has no capitals, so each word with one becomes
#   `[UNK]`;
# - *`<br />` added, table not enlarged* (`model.resize_token_embeddings` was forgotten): each `<br />`, the reviews'
#   line break, gets one id just beyond the table.
#
# Each cuts 200 review endings. For those that pass in silence, two measures: the mean *cosine* between its vectors and
# the right ones (1: the same direction), and how many verdicts of section 1's classifier change (a coin would change
# half; changed need not mean worse). **Predict** for each: loud (an error) or silent? Which silent one changes most?

# %%
from notebooks.source.lesson_03 import cards
from notebooks.source.lesson_03.mistakes import wrong_tokenizers

endings = [text[-300:] for text in reviews["text"][:200]]


def vectors_on_cpu(tokenizer):
    ids = tokenizer(endings, truncation=True, max_length=100)["input_ids"]
    return mean_vectors(profile, bert_tokenizer, ids, encoder=profile.small_encoder, device="cpu")


def cosines(first, second):
    return (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


# %%
expected, mistakes = vectors_on_cpu(bert_tokenizer), wrong_tokenizers(profile)
changed, loud = [], []
for mistake, tokenizer in mistakes.items():
    try:
        found = vectors_on_cpu(tokenizer)
    except IndexError:
        loud.append(mistake)
        print(f"{mistake:<34} loud: IndexError")
        continue
    alike = cosines(found, expected)
    if alike.min() < 0.999:  # rounding alone stays above
        changed.append(mistake)
    verdicts = (classifier.predict(found) != classifier.predict(expected)).mean()
    print(f"{mistake:<34} silent, cosine {alike.mean():.2f}, {verdicts:.0%} of the verdicts change")
print(f"for scale, two different endings:  cosine {cosines(expected[1:], expected[:-1]).mean():.2f}")

# %%
cards.raises_an_error(profile, len(mistakes), changed, loud, beyond)

# %% [markdown]
# The two loud ones gave an id beyond the table. The silent ones differ in harm. Without `[CLS]` and `[SEP]`, the mean
# vector and the verdicts change little (a head on `[CLS]` would get the first word's vector). Keeping capitals, an easy
# slip, changes more. Under `embedded`, all of T5's ids fit into the table, and the verdicts change as by a coin.
#
# ## 6. The cut or the ids?
#
# > “The output is junk.”
#
# Two things differ between the two tokenizers: where they cut, and which ids they give. Which of them does the harm?
# Change one at a time. (The sentences are in small letters, so case plays no part. GPT-2's tokenizer gets a space
# before each: the first word is cut like the others.)
#
# | | BERT's ids | wrong ids |
# |---|---|---|
# | **BERT's cut** | as usual | each piece gets a random id, the same everywhere; `[CLS]` and `[SEP]` keep theirs |
# | **GPT-2's cut** | its pieces looked up in BERT's list (we add `##` inside words; absent: `[UNK]`) | GPT-2's ids |
#
# One sentence, as BERT hears it in each of the four:

# %%
from notebooks.source.lesson_03 import exchange

one = ["an unwatchable , but moving film ."]
four = {
    "BERT's cut, BERT's ids": bert_tokenizer(one)["input_ids"],
    "GPT-2's cut, BERT's ids": exchange.spelled(bert_tokenizer, gpt2_tokenizer, one),
    "BERT's cut, wrong ids": exchange.renumbered(bert_tokenizer, bert_tokenizer(one)["input_ids"]),
    "GPT-2's cut, wrong ids": exchange.gpt2_ids(bert_tokenizer, gpt2_tokenizer, one),
}
pieces.show({name: pieces.heard(ids, bert_tokenizer) for name, (ids,) in four.items()})

# %% [markdown]
# Section 1's classifier judges 1,000 other sentences (test sentences and unused training ones), half of them positive,
# whose GPT-2 ids all have a row. We call such sentences *plain*. (More than a third of all are: they lack GPT-2's late,
# rare pieces.) Baselines: always the same answer, 50%, and counting words, learned from the same 1,000 sentences.
# **Predict** which of the four still work.

# %%
from utils.finetuning import counting_words

test, _, _ = exchange.drawn(profile, sentences, gpt2_tokenizer, rows=len(table), seen=1000)
truth = np.array(test["label"])
right_ids = bert_tokenizer(list(test["text"]), truncation=True, max_length=64)["input_ids"]
given = {
    "BERT's cut, BERT's ids": right_ids,
    "GPT-2's cut, BERT's ids": exchange.spelled(bert_tokenizer, gpt2_tokenizer, test["text"]),
    "BERT's cut, wrong ids": exchange.renumbered(bert_tokenizer, right_ids),
    "GPT-2's cut, wrong ids": exchange.gpt2_ids(bert_tokenizer, gpt2_tokenizer, test["text"]),
}
hits = {name: classifier.predict(vectors(ids)) == truth for name, ids in given.items()}
counter = counting_words(class_weight="balanced").fit(train["text"], train["label"])
hits["counting words"] = counter.predict(test["text"]) == truth
shares = {name: share(right) for name, right in hits.items()}
cards.cut_or_numbers(shares)  # draws the figure

# %% [markdown]
# Wrong ids alone take accuracy to chance. And GPT-2's cut alone? (For the card, *junk* is less than a fifth of the way
# from 50% to what BERT's ids get.)

# %%
from utils.intervals import paired_difference

own, foreign = hits["BERT's cut, BERT's ids"], hits["GPT-2's cut, BERT's ids"]
otherwise = exchange.cut_otherwise(bert_tokenizer, gpt2_tokenizer, test["text"]).mean()
print(f"{otherwise:.0%} of the words are cut differently; {(own != foreign).mean():.0%} of the verdicts differ")
print(f"accuracy with BERT's cut minus GPT-2's, both with BERT's ids: {paired_difference(own, foreign)}")
cards.is_junk(profile, shares, hits)

# %% [markdown]
# On these plain sentences GPT-2 cuts few words differently. Yet more verdicts change, about equally for better and
# worse: accuracy hardly moves. The opening quote holds, for a classifier that learned from BERT's ids. On these plain
# sentences the ids are to blame; the cut was hardly put to the test.
#
# [Deeper: the damage](deeper/03_the_damage.ipynb) asks about rarer words, and whether one can learn from the wrong ids.
#
# ## 7. A guard
#
# Silent mistakes need a check. The tokenizer that belongs to a model lies in the same folder, or on the same page of
# the hub (its address is `model.name_or_path`). So compare:


# %%
def belongs_to(model, tokenizer):
    own = AutoTokenizer.from_pretrained(model.name_or_path)
    texts = ["A plain sentence, with 2 numbers.", "Café, naïve: UPPER CASE 😀", "two  spaces"]
    return own.get_vocab() == tokenizer.get_vocab() and own(texts)["input_ids"] == tokenizer(texts)["input_ids"]


print("its own:", belongs_to(encoder, bert_tokenizer))
print("GPT-2's:", belongs_to(encoder, gpt2_tokenizer))

# %% [markdown]
# A subtler mistake: in the vocabulary, *good* and *bad* exchange their ids. **Predict:** what does the classifier say
# now? And does the comparison notice?

# %%
from notebooks.source.lesson_03.mistakes import exchanged

swapped = exchanged(bert_tokenizer, "good", "bad")
both = {"its own tokenizer": bert_tokenizer, "good and bad exchanged": swapped}
for whose, tokenizer in both.items():
    ids = tokenizer(["A good film, with good actors and a good story."])["input_ids"]
    print(f"{whose:<24} {classifier.predict_proba(vectors(ids))[0, 1]:4.0%} positive")
print("it belongs:", belongs_to(encoder, swapped))

# %% [markdown]
# The comparison notices. But it needs the original, and trusts it: a wrong tokenizer that was saved beside the model
# passes. ([Deeper](deeper/03_the_damage.ipynb) has fifteen other mistakes, and a guard that looks at model and
# tokenizer alone.) Better, avoid mix-ups: load model and tokenizer from one place, and save both to one place:
#
# ```python
# tokenizer = AutoTokenizer.from_pretrained(name)
# model = AutoModel.from_pretrained(name)
# ...
# tokenizer.save_pretrained(folder)
# model.save_pretrained(folder)
# ```
#
# What must match is the vocabulary and its settings, not the name: all-MiniLM-L6-v2 has bert-base-uncased's ids. Ids
# also come *out* of a GPT or a T5: a wrong tokenizer garbles the answer, too.

# %% [markdown]
# ## To remember
#
# - An id is the number of a row. BERT's and GPT-2's vocabularies share many words, hardly any with the same id.
# - A vocabulary is learned: BPE joins the most frequent neighbours, again and again.
# - Ids beyond the table raise an error on a CPU (clear) and on an NVIDIA GPU (obscure); ids within it pass in silence.
# - Wrong ids took a classifier that learned from right ones to chance; a wrong cut was hardly tested.
# - Load and save model and tokenizer together, and compare them once with the original.
#
# ## Exercises
#
# [Five exercises](exercises/03_the_tokenizer_must_match.ipynb) say whether you are right. Two more: predict, then try.
#
# 1. Cut your own name, in small letters, after ten merges, then after twenty (`range(1, 21)`; run section 3's cells
#    with `merges` again).
# 2. Break the check: find a setting that the three texts of `belongs_to` do not test. Try special tokens, capitals,
#    accents, the limit of length.
#
# ## Deeper
#
# [The three algorithms](deeper/03_three_algorithms.ipynb) · [the damage](deeper/03_the_damage.ipynb)
