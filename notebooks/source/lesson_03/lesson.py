# ---
# jupyter:
#   course:
#     name: 03_the_tokenizer_must_match
#     title: "Lesson 03: The tokenizer must match the model"
#     goals:
#       - say what a vocabulary, an id and an embedding table are, and how a vocabulary is learned
#       - see what a model reads when another vocabulary numbered the text
#       - say which mistakes raise an error and which pass in silence, and measure what they cost
#       - compare a tokenizer with the model's own before you trust it
#     minutes_yours: 45
#     minutes_cpu: about a minute
#     needs: lessons 01 (the three models) and 02
# ---

# %% [markdown]
# > “Use the tokenizer that your model was trained with. Feed BERT text that was cut by GPT's BPE, and the output is
# > junk.”
#
# These models never see letters. A *tokenizer* cuts text into pieces, the *tokens*, and gives each piece a number, its
# *id*. The model looks up the row with this number in its *embedding table*. Another tokenizer numbers its pieces
# differently. (GPT-2's method, BPE, is in section 3.)
#
# ```
# "a good film" → BERT's tokenizer  → 1037 2204 2143 → rows of BERT's table: a, good, film → BERT
# "a good film" → GPT-2's tokenizer →   64  922 2646 → rows of BERT's table: ?             → BERT
# ```
#
# ## 1. See it work
#
# Is a sentence about a film positive? With pictures you would freeze a ResNet and train a small classifier on its
# vectors. Here a frozen BERT gives one vector for each sentence. (Under `embedded`: all-MiniLM-L6-v2, a small BERT
# trained further for sentence vectors. Its pieces and ids are those of bert-base-uncased.)

# %%
from datasets import load_dataset
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

from utils import assets
from utils.vectors import mean_vectors

bert_tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2_tokenizer = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)


def vectors(ids):  # BERT's vector of each text: shape (texts, width)
    return mean_vectors(profile, bert_tokenizer, ids, encoder=profile.small_encoder)  # the tokenizer only pads


sentences = load_dataset(str(assets.rotten_tomatoes()))
train = sentences["train"].shuffle(seed=0).select(range(1000))
ids = bert_tokenizer(list(train["text"]), truncation=True, max_length=64)["input_ids"]
classifier = LogisticRegression(C=1, max_iter=1000).fit(vectors(ids), list(train["label"]))
print(train["text"][6], ids[6], sep="\n")  # one of them, and its ids

# %% [markdown]
# Under the sentence stand its ids. The first and the last, 101 for `[CLS]` and 102 for `[SEP]`, are *special tokens*:
# these two stand for no text, but mark beginning and end.
#
# Now BERT's tokenizer and GPT-2's cut the same two opinions; the code adds BERT's `[CLS]` and `[SEP]` each time.
# **Predict:** do GPT-2's ids raise an error? If not, does the classifier get both opinions right?

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
# There is no error, and both verdicts are flipped. (We chose two that flip; section 5 judges 1,000 others.) What did
# BERT hear? Each box is a piece with its id. GPT-2's pieces include the space before a word, which its tokenizer writes
# as `Ġ`.

# %%
# NBVAL_CHECK_OUTPUT
from utils import pieces

ids = gpt2_tokenizer(texts[0])["input_ids"]
said, heard = pieces.heard(ids, gpt2_tokenizer), pieces.heard(ids, bert_tokenizer)
pieces.show({"GPT-2 says": said, "BERT hears": heard})

# %% [markdown]
# Where GPT-2's tokenizer wrote *moving film*, BERT looked up *percent toward*. Note the space: for GPT-2, `a` at the
# start of a text and ` a` inside a sentence are two pieces, 64 and 257.
#
# In BERT's table an id of GPT-2 has four usual fates; section 2 finds a fifth:
#
# | GPT-2's piece | its id | in BERT's table |
# |---|---|---|
# | `Ġfilm` | 2646 | **another piece**: *toward* |
# | `Ġa` | 257 | a **spare row**, `[unused…]`: no text leads there |
# | `!` | 0 | a **special token**: `[PAD]`, which fills up short texts of a batch |
# | `Ġnostalgic` | 40459 | **beyond the table**: no such row |
#
# In the box, let GPT-2 cut your own sentence and BERT read it. Then exchange the two.

# %%
from utils import widgets

t5_tokenizer = AutoTokenizer.from_pretrained(profile.t5)
tokenizers = {"BERT": bert_tokenizer, "GPT-2": gpt2_tokenizer, "T5": t5_tokenizer}
hearing = widgets.what_the_model_hears(tokenizers, texts[0])
widgets.display(hearing, "A box to read a text's ids with another table; a cell above shows this text.")

# %% [markdown]
# ## 2. The table is a palette
#
# Some image files store a number for each pixel, and a *palette* that lists the colour of each number. We draw such a
# picture of a flower twice, with its own palette and with that of another picture. **Predict:** what can you still
# recognise in the second drawing?

# %%
from sklearn.datasets import load_sample_images

from notebooks.source.lesson_03 import figures
from utils import plots

temple, flower = load_sample_images().images
numbers, palette = plots.with_palette(flower)
_, other_palette = plots.with_palette(temple)
figures.two_palettes(palette[numbers], other_palette[numbers])

# %% [markdown]
# You still see the flower: equal numbers keep equal colours. In a text, too, equal pieces stay equal. But their meaning
# lies in the rows, and those are wrong.
#
# An embedding table is such a palette: BERT looks up `table[ids]` before its first layer. The *vocabulary* is the list
# that says which piece has which row. Before pretraining the rows are random, and any numbering would do. Pretraining
# then shapes each row for its piece, and from then on the numbering must stay.
#
# All three vocabularies below have *film* as one piece, BERT's with the id 2143. **Predict:** is 2143 *film* in the
# others, too? Of the thousands of words that BERT and GPT-2 share, do most, half or hardly any have the same id?

# %%
# NBVAL_CHECK_OUTPUT
for name, tokenizer in tokenizers.items():
    (film,) = tokenizer(" film", add_special_tokens=False)["input_ids"]  # with its space, as inside a sentence
    other = tokenizer.convert_ids_to_tokens(2143)
    print(f"{name:<5} {len(tokenizer):>6,} pieces; film is {film:>5}, and 2143 is {other}")

in_bert, in_gpt2 = bert_tokenizer.get_vocab(), gpt2_tokenizer.get_vocab()
shared = [word for word in in_bert if word.isalpha() and f"Ġ{word}" in in_gpt2]
same = [word for word in shared if in_bert[word] == in_gpt2[f"Ġ{word}"]]
print(f"BERT and GPT-2 share {len(shared):,} words; with the same id: {', '.join(same)}")

# %% [markdown]
# The fifth fate is the right piece: of 14,124 shared words, only *publicly* meets it. (Try it in the box above, with a
# space before it. Under `embedded`, T5's list is the shorter one of the course's mini-t5.)
#
# ## 3. How text is cut
#
# A list of all words would never end. With single letters, every text becomes long, and a letter means little. So a
# vocabulary holds frequent words whole, and for the rest parts of words, *subwords*.
#
# ### How a vocabulary is learned
#
# *Byte-pair encoding*, or *BPE* (Sennrich et al., 2016), begins with single letters. It finds the most frequent pair of
# neighbours inside words, joins them to a new piece, and counts again. Each joining is a *merge*. GPT-2's tokenizer
# learned 50,000; we learn ten, from 500 film reviews. **Predict** the first.

# %%
# NBVAL_CHECK_OUTPUT
from notebooks.source.lesson_03 import bpe

reviews = load_dataset(str(assets.imdb()))["test"].shuffle(seed=0).select(range(500))
words = bpe.count_words(reviews["text"])  # each word, cut into its letters
merges = []
for step in range(1, 11):
    pairs = bpe.count_pairs(words)
    best, count = pairs.most_common(1)[0]
    words = bpe.join(words, best)
    merges.append(best)
    print(f"{step:>2}. {best[0]} + {best[1]:<3} stand side by side {count:>7,} times")

# %% [markdown]
# The third merge uses a piece that the first one made: *the* is now a single piece.
#
# To cut a word, begin with its letters and make the merges in the order in which they were learned. **Predict** the
# pieces of these three words. Then add a word of your own.

# %%
# NBVAL_CHECK_OUTPUT
for word in ["the", "thing", "unthinkable"]:
    print(f"{word:<12} {' · '.join(bpe.cut(word, merges))}")

# %% [markdown]
# A rare word is not missing, as long as its letters are known: it only falls into more pieces.
#
# ### Three ways to cut
#
# BERT's and T5's pieces consist of characters. GPT-2's consist of *bytes*, the numbers from 0 to 255 in which a
# computer stores every text. To *decode* is to turn ids back into text. **Predict:** none of the three tokenizers has
# 😀 as a piece. Which one still gives it back?

# %%
# NBVAL_CHECK_OUTPUT
sample = "The café's soundtrack is unforgettably naïve, a 9/10 😀"
pieces.show({name: pieces.cut(tokenizer, sample) for name, tokenizer in tokenizers.items()})
for name, tokenizer in tokenizers.items():
    print(f"{name:<5} {tokenizer.decode(tokenizer(sample, add_special_tokens=False)['input_ids'])}")

# %% [markdown]
# - BERT's *WordPiece* takes the longest piece with which the word begins, then the longest for the rest, and so on.
#   `##` marks a piece that continues a word. Where nothing fits, the whole word becomes `[UNK]`, for *unknown*. Before
#   it cuts, this *uncased* tokenizer lower-cases letters and drops accents.
# - GPT-2's *byte-level BPE* makes its merges in their order. It loses nothing: each of the 256 bytes is a piece. Each
#   byte is shown as a sign: the space is `Ġ`, and é, two bytes, is `Ã©`.
# - T5's *Unigram* has learned a probability for each piece. It takes the cut whose probabilities have the largest
#   product. It writes a space as `▁`, and `<unk>` for what it cannot write.
#
# **Predict:** which tokenizer needs the most pieces for your name?

# %%
playground = widgets.tokenizer_playground(tokenizers, sample)
widgets.display(playground, "A box to cut your own text with the three tokenizers; a cell above shows this text.")

# %% [markdown]
# ## 4. Loud or silent?
#
# > “You will notice a wrong tokenizer: it raises an error.”
#
# **Predict:** how many test sentences, in percent, have an id beyond the table, as *nostalgic* has? How many batches of
# 16 contain such a sentence?

# %%
# NBVAL_CHECK_OUTPUT
import numpy as np
import torch
from transformers import AutoModel

encoder = AutoModel.from_pretrained(profile.small_encoder)
table = encoder.get_input_embeddings()
print(table)
try:
    table(torch.tensor(gpt2_tokenizer(" nostalgic")["input_ids"]))
except IndexError as error:
    print(f"nostalgic: IndexError: {error}")
foreign = gpt2_tokenizer(list(sentences["test"]["text"]))["input_ids"]
beyond = np.array([max(ids) >= table.num_embeddings for ids in foreign])
batches = [beyond[start : start + 16].any() for start in range(0, len(beyond), 16)]
print(f"{beyond.mean():.0%} of {len(beyond):,} sentences, {np.mean(batches):.0%} of the batches")

# %% [markdown]
# Pieces merged late, mostly rarer words, have high ids; one breaks its whole batch. Of single sentences, more than a
# third pass in silence. (This is a CPU. An NVIDIA GPU reports `device-side assert triggered`; restart the kernel, and
# look for the cause on the CPU.)
#
# A mistake is *loud* if any of the texts raises an error, else *silent*. We give BERT 200 endings of film reviews, cut
# by five wrong tokenizers: GPT-2's, T5's (under `embedded` mini-t5's), and BERT's own, set up wrongly in three ways:
#
# - *`[CLS]` and `[SEP]` left out*: beginning and end are not marked.
# - *Capitals kept*: this uncased vocabulary has none, so every word with a capital becomes `[UNK]`.
# - *`<br />` added, table not enlarged*: the reviews' line break gets the first id after the last row.
#
# The last column: how many of the classifier's answers change, compared with BERT's own ids; a coin would change half.
# **Predict** for each: loud or silent? Which silent one changes most?

# %%
from notebooks.source.lesson_03 import cards, mistakes

endings = [text[-300:] for text in reviews["text"][:200]]
outcomes = mistakes.try_each(profile, endings, classifier)
cards.raises_an_error(profile, outcomes, beyond)

# %% [markdown]
# Silent is not harmless: mini-t5's ids all have a row, yet about as many answers change as with a coin. (The full T5
# has ids beyond BERT's rows.)
#
# ## 5. The damage
#
# > “The output is junk.”
#
# Our classifier judges 1,000 sentences that it never learned from, with BERT's ids and with GPT-2's. All their GPT-2
# ids have a row: no errors. Half are positive, so always giving the same answer is right for 50%. We call it *junk* if
# less than a fifth of BERT's points above 50 remain.
#
# For comparison, a second classifier learned from the same labels by counting words. A bar is the share judged right, a
# thin line its 95% interval. **Predict:** is the bar of GPT-2's ids near that of BERT's, near counting words, or near
# 50%?

# %%
from notebooks.source.lesson_03 import exchange
from utils.finetuning import counting_words

# Sentences of the test, and of the training that are not in `train`, whose GPT-2 ids all have a row.
test = exchange.plain_sentences(profile, sentences, gpt2_tokenizer, table.num_embeddings, len(train))
right = bert_tokenizer(list(test["text"]), truncation=True, max_length=64)["input_ids"]
wrong = exchange.gpt2_ids(bert_tokenizer, gpt2_tokenizer, test["text"])
counter = counting_words(class_weight="balanced").fit(train["text"], train["label"])
judged = {
    "BERT's ids": classifier.predict(vectors(right)),
    "GPT-2's ids": classifier.predict(vectors(wrong)),
    "counting words": counter.predict(test["text"]),
}
hits = {name: verdicts == np.array(test["label"]) for name, verdicts in judged.items()}
figures.shares_right(hits)
cards.is_junk(profile, hits)

# %% [markdown]
# With BERT's ids the classifier is somewhat ahead of counting words. With GPT-2's ids it is right for about 50%, as by
# guessing: hardly any id keeps its meaning. Do the cuts hurt, or the ids? And if one trains on wrong ids? [Deeper: the
# damage](deeper/03_the_damage.ipynb) measures both.
#
# ## 6. A guard
#
# Silent mistakes need a check. A model's own tokenizer usually lies beside it, in its folder or on its page of the hub;
# `model.name_or_path` says where. So we load it and compare: the vocabulary, and the ids of three texts. **Predict:**
# which of the five mistakes does `belongs_to` find? Which ones leave the vocabulary unchanged?


# %%
# NBVAL_CHECK_OUTPUT
def belongs_to(model, tokenizer):
    own = AutoTokenizer.from_pretrained(model.name_or_path)
    texts = ["A plain sentence, with 2 numbers.", "Café, naïve: UPPER CASE 😀", "two  spaces"]
    same_vocabulary = own.get_vocab() == tokenizer.get_vocab()
    return same_vocabulary and own(texts)["input_ids"] == tokenizer(texts)["input_ids"]


for name, tokenizer in {"its own": bert_tokenizer, **mistakes.wrong_tokenizers(profile)}.items():
    same = tokenizer.get_vocab() == bert_tokenizer.get_vocab()
    print(f"{name:<34} belongs: {belongs_to(encoder, tokenizer)!s:<6} vocabulary the same: {same}")

# %% [markdown]
# It finds all five. (A wrong *call*, with `add_special_tokens=False`, stays unseen.) Comparing vocabularies alone would
# miss two, where only the ids of the texts differ.
#
# A wicked one: same pieces, same size, no error, but *good* and *bad* have exchanged their ids. **Predict:** what does
# the classifier say about a good film? Does the check notice?

# %%
swapped = mistakes.exchanged(bert_tokenizer, "good", "bad")
both = {"its own tokenizer": bert_tokenizer, "good and bad exchanged": swapped}
for whose, tokenizer in both.items():
    ids = tokenizer(["A good film, with good actors and a good story."])["input_ids"]
    print(f"{whose:<24} {classifier.predict_proba(vectors(ids))[0, 1]:4.0%} positive")
print("it belongs:", belongs_to(encoder, swapped))

# %% [markdown]
# The verdict flips, and the check notices, because it has the original to compare with. A wrong tokenizer that was
# saved beside the model would pass. [Deeper](deeper/03_the_damage.ipynb) tries fifteen other mistakes.
#
# Better still, load both from one place, and save both to one place:
#
# ```python
# tokenizer = AutoTokenizer.from_pretrained(name)
# model = AutoModel.from_pretrained(name)
# ...
# tokenizer.save_pretrained(folder)
# model.save_pretrained(folder)
# ```

# %% [markdown]
# ## To remember
#
# - An id is the number of a row. BERT's and GPT-2's vocabularies share many words, and a single one has the same id.
# - A vocabulary is learned: BPE joins the most frequent neighbours, again and again.
# - On a CPU or an NVIDIA GPU, an id beyond the table raises an error. An id within it passes in silence.
# - With GPT-2's ids, a classifier that learned from BERT's only guesses: about 50% right.
# - Load and save model and tokenizer together, and compare the tokenizer once with the original.
#
# ## Exercises
#
# [Five exercises](exercises/03_the_tokenizer_must_match.ipynb) say whether you are right.
#
# ## Deeper
#
# [The three algorithms](deeper/03_three_algorithms.ipynb) · [the damage](deeper/03_the_damage.ipynb)
