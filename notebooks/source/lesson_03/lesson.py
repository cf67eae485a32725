# ---
# jupyter:
#   course:
#     name: 03_the_tokenizer_must_match
#     title: "Lesson 03: The tokenizer must match the model"
#     goals:
#       - say what a vocabulary, an id and an embedding table are, and how a vocabulary is learned
#       - read what a model hears when the ids come from another vocabulary
#       - say which mistakes raise an error and which pass in silence, and measure what they cost
#       - compare a tokenizer with the model's own, and guard your code
#     minutes_yours: 45
#     minutes_cpu: about 1
#     minutes_gpu: not yet measured
#     needs: nothing but this course; lesson 02 explains the frozen encoder
# ---

# %% [markdown]
# > “Use the tokenizer that your model was trained with. Feed BERT with text that was cut by GPT's BPE, and the output
# > is junk.”
#
# A model never sees letters. A *tokenizer* cuts text into pieces and gives each its number, the *id*. The id says which
# row of the model's *embedding table* is the vector of this piece. Another tokenizer has other numbers:
#
# ```
# "a good film" → BERT's tokenizer  → 1037 2204 2143 → rows of BERT's table: a, good, film → BERT
# "a good film" → GPT-2's tokenizer →   64  922 2646 → rows of BERT's table: ?             → BERT
# ```
#
# In vision you fed a network with the wrong normalisation, and it only became worse. What happens here?
#
# ## 1. See it work
#
# A classifier of film opinions, made as in lesson 02: a frozen encoder turns each text into a vector, and logistic
# regression learns from 1,000 labelled sentences which vectors are positive. (Under `embedded` the encoder is
# all-MiniLM-L6-v2, a small BERT trained for sentences, with BERT's vocabulary. The tokenizer that `mean_vectors` gets
# only makes the texts of a batch equally long.)

# %%
from datasets import load_dataset
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

from utils import assets
from utils.vectors import mean_vectors

bert = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2 = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)


def vectors(ids):
    """The frozen encoder's vector of each text. Shape (texts, width)."""
    return mean_vectors(profile, bert, ids, encoder=profile.small_encoder)


sentences = load_dataset(str(assets.rotten_tomatoes()))
train = sentences["train"].shuffle(seed=0).select(range(1000))
ids = bert(list(train["text"]), truncation=True, max_length=64)["input_ids"]
classifier = LogisticRegression(C=1, max_iter=1000).fit(vectors(ids), list(train["label"]))

# %% [markdown]
# Two opinions, each cut by BERT's tokenizer, which is this encoder's own, and by GPT-2's. (`[CLS]` and `[SEP]`, the
# *special tokens* that mark beginning and end for a BERT, are put around both.) **Predict:** do GPT-2's ids raise an
# error, or what does the classifier say?

# %%
texts = ["What a beautiful and moving film.", "This film is a waste of time."]
for text in texts:
    print(text)
    for whose, tokenizer in {"BERT's ids": bert, "GPT-2's ids": gpt2}.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        positive = classifier.predict_proba(vectors([[bert.cls_token_id, *ids, bert.sep_token_id]]))[0, 1]
        print(f"   {whose:<11} {positive:4.0%} positive")

# %% [markdown]
# No error, no warning, and both verdicts are turned round. (These two were chosen because they flip, and because all
# their ids lie in BERT's table; section 5 counts.) This is what the encoder heard between `[CLS]` and `[SEP]`:

# %%
# NBVAL_CHECK_OUTPUT
from utils import pieces

ids = gpt2(texts[0])["input_ids"]
pieces.show({"GPT-2 says": pieces.heard(ids, gpt2), "BERT hears": pieces.heard(ids, bert)})

# %% [markdown]
# (`Ġ` is how GPT-2's tokenizer writes the space before a word. `[unused…]` are spare rows of BERT's table, which no
# text ever used.)
#
# ## 2. From pixels to tokens
#
# You know this from pictures with a *palette*: the pixel says 7, and the palette says which colour has the number 7.
# **Predict:** what does a picture look like with the palette of another?

# %%
import numpy as np
from sklearn.datasets import load_sample_images

from utils import plots

flower_numbers, flower = plots.with_palette(load_sample_images().images[1])
_, temple = plots.with_palette(load_sample_images().images[0])
fig, axes = plots.figure(2.6, columns=2)
for ax, (title, palette) in zip(axes, {"its own palette": flower, "another's": temple}.items(), strict=True):
    ax.imshow(palette[flower_numbers])
    ax.set(title=title, xticks=[], yticks=[])
fig.suptitle("The same numbers")
plots.show(fig, "A flower drawn from 16 numbered colours, with its own palette and with that of another picture.")

# %% [markdown]
# Equal numbers stay equal, so you still see a flower; its colours are lost. An embedding table is such a palette: an id
# is looked up, a vector comes out. Which piece each row stands for is said by a *vocabulary*, a list of pieces that was
# learned from much text before; pretraining then filled the rows with meaning.

# %%
from transformers import AutoModel

encoder = AutoModel.from_pretrained(profile.small_encoder)
table = encoder.get_input_embeddings().weight
print(f"BERT's table here: {table.shape[0]:,} rows of {table.shape[1]} numbers")
print(
    f"row 2143 is {bert.convert_ids_to_tokens(2143)}: {table[2143, 0]:.3f} {table[2143, 1]:.3f} {table[2143, 2]:.3f} …"
)

# %% [markdown]
# Three vocabularies. All three have *film* as one piece. **Predict:** has it the same id? (Under `embedded`, T5's is
# that of mini-t5, learned from this course's texts; the real one has 32,100 pieces.)

# %%
# NBVAL_CHECK_OUTPUT
t5 = AutoTokenizer.from_pretrained(profile.t5)
tokenizers = {"WordPiece (BERT)": bert, "byte-level BPE (GPT-2)": gpt2, "Unigram (T5)": t5}
for name, tokenizer in tokenizers.items():
    (film,) = tokenizer(" film", add_special_tokens=False)["input_ids"]
    other = tokenizer.convert_ids_to_tokens(2143)
    print(f"{name:<23} {len(tokenizer):>6,} pieces; film is {film:>5}, and 2143 is {other}")

# %% [markdown]
# BERT and GPT-2 share thousands of words. **Predict:** how many have the same id in both?

# %%
# NBVAL_CHECK_OUTPUT
in_gpt2 = gpt2.get_vocab()
shared = {word: number for word, number in bert.get_vocab().items() if word.isalpha() and f"Ġ{word}" in in_gpt2}
same = [word for word, number in shared.items() if in_gpt2[f"Ġ{word}"] == number]
print(f"{len(shared):,} words in both, {len(same)} with the same id: {', '.join(same)}")

# %% [markdown]
# ## 3. How text is cut
#
# ### How a vocabulary is learned
#
# *Byte-pair encoding* (BPE; Sennrich et al., 2016) starts from single letters. It counts which two pieces stand side by
# side most often, makes them one, and does that again: GPT-2 made 50,000 such *merges*. Ten of them, on the words of
# 500 film reviews. **Predict** the first.

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
# To cut a word, also a new one, begin with its letters and make the merges in the order in which they were learned.
# **Predict** the pieces of *the*, *thing* and *unthinkable*.

# %%
# NBVAL_CHECK_OUTPUT
for word in ("the", "thing", "unthinkable"):
    parts = list(word)
    for pair in merges:
        parts = merge(parts, pair)
    print(f"{word:<12} {' · '.join(parts)}")

# %% [markdown]
# Frequent words become one piece early, rare ones stay in parts. (WordPiece learns by merges too, chosen by a score
# instead of the count; Unigram starts from far too many pieces and drops those without which the text stays nearly as
# likely.) A letter that was never seen would be *unknown*. GPT-2 avoids that: it starts from the 256 *bytes* of which
# computers make all text. 256 bytes, 50,000 merges and one special token make its 50,257.
#
# ### Three ways to cut
#
# **Predict:** the emoji is one piece in none of the three. Who can write it?

# %%
# NBVAL_CHECK_OUTPUT
sample = "The café's soundtrack is unforgettably naïve, a 9/10 😀"
pieces.show({name: pieces.cut(tokenizer, sample) for name, tokenizer in tokenizers.items()})

# %% [markdown]
# - **WordPiece** takes the longest piece that fits, from the left. `##` marks a piece that continues a word. If at some
#   point nothing fits, the whole word becomes `[UNK]`, unknown. This *uncased* one first makes capitals small and drops
#   accents.
# - **Byte-level BPE** can write everything: é is two bytes, shown as `Ã©`; of the emoji's four bytes, merges joined
#   three with the space before it.
# - **Unigram** gives each piece a probability and takes the likeliest cut. `▁` stands for a space.
#
# Decode the ids again. **Predict** what is missing or added, for each.

# %%
# NBVAL_CHECK_OUTPUT
for name, tokenizer in tokenizers.items():
    print(f"{name:<23} {tokenizer.decode(tokenizer(sample, add_special_tokens=False)['input_ids'])}")

# %% [markdown]
# [Deeper: the three algorithms](deeper/03_three_algorithms.ipynb), each in a few lines and equal to the library; how
# much of 500 reviews comes back; what other languages and code cost. Now your own text: your name, another language,
# code.

# %%
from utils import widgets

playground = widgets.tokenizer_playground(tokenizers, sample)
widgets.display(playground, "A box to cut your own text with the three tokenizers; a cell above shows this text.")

# %% [markdown]
# ## 4. What BERT hears
#
# A foreign id can name **another piece** (once in 14,124 words the right one: *publicly*). It can name a **spare row**,
# whose numbers mean nothing; GPT-2's most frequent pieces have ids below 1,000, where BERT's spare rows are. It can
# name a **special token**: GPT-2's `!` is 0, and 0 is BERT's `[PAD]`, which fills up short texts of a batch. Or it lies
# **beyond the table**.
#
# Choose who cuts and whose table reads. Can you find a sentence of which BERT hears one word rightly?

# %%
hearing = widgets.what_the_model_hears(tokenizers, texts[0])
widgets.display(hearing, "A box to read a text's ids with another table; section 1 shows this text.")

# %% [markdown]
# Beyond the table there is nothing to look up:

# %%
# NBVAL_CHECK_OUTPUT
ids = gpt2("An unwatchable, nostalgic mess.")["input_ids"]
pieces.show({"GPT-2 says": pieces.heard(ids, gpt2), "BERT hears": pieces.heard(ids, bert)})
try:
    mean_vectors(profile, bert, [ids], encoder=profile.small_encoder, device="cpu")
except IndexError as error:
    print(f"IndexError: {error}; the largest id is {max(ids):,}, the table has {len(table):,} rows")

# %% [markdown]
# That is the lucky case. (On an NVIDIA GPU the message is `CUDA error: device-side assert triggered`. It may come from
# a later, innocent line, and every further CUDA call fails until you restart the kernel: run the batch on the CPU to
# see the cause. On Apple's GPUs some releases of PyTorch gave zeros in silence. A text longer than the table of
# positions is another cause: a GPT-2 gives the same message, a BERT says that two sizes do not match.)
#
# > “You will notice a wrong tokenizer: it raises an error.”
#
# **Predict:** how many of the 1,706 test sentences have an id beyond the table? And of batches of 16?

# %%
# NBVAL_CHECK_OUTPUT
from utils.intervals import share

foreign = gpt2(list(sentences["test"]["text"]))["input_ids"]
beyond = np.array([max(ids) >= len(table) for ids in foreign])
whole = len(beyond) // 16 * 16  # in batches of 16
print(f"{share(beyond)} of the sentences have one, {share(beyond[:whole].reshape(-1, 16).any(axis=1))} of the batches")

# %% [markdown]
# So with GPT-2's tokenizer you will notice, if you try more than a sentence or two. With a smaller vocabulary you will
# not.
#
# ### Loud or silent?
#
# Six tokenizers that somebody might pass to this encoder. (The last is made by its class alone, without files: it knows
# the special tokens, and every word is `[UNK]`.)

# %%
from notebooks.source.lesson_03 import cards
from notebooks.source.lesson_03.mistakes import wrong_tokenizers

mistakes = wrong_tokenizers(profile)
print(*mistakes, sep="\n")

# %% [markdown]
# **Predict** for each: loud (an error) or silent? And what does it do? The *cosine* of two vectors is 1 if they point
# the same way: compare the vectors of 200 endings of reviews with those under the right tokenizer. And let section 1's
# classifier judge them; with 200 texts a share is sure to some 7 points, and always one answer has about half.

# %%
endings, opinions = [text[-300:] for text in reviews["text"][:200]], np.array(reviews["label"][:200])


def vectors_on_cpu(tokenizer):
    ids = tokenizer(endings, truncation=True, max_length=100)["input_ids"]
    return mean_vectors(profile, bert, ids, encoder=profile.small_encoder, device="cpu")


expected, changed, loud = vectors_on_cpu(bert), [], []
print(f"{'its own tokenizer':<34} silent, cosine 1.00, right {np.mean(classifier.predict(expected) == opinions):.0%}")
for mistake, tokenizer in mistakes.items():
    try:
        found = vectors_on_cpu(tokenizer)
        cosines = (found * expected).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        right = np.mean(classifier.predict(found) == opinions)
        changed += [mistake] if cosines.min() < 0.999 else []  # rounding alone stays far above
        print(f"{mistake:<34} silent, cosine {cosines.mean():.2f}, right {right:.0%}")
    except IndexError:
        loud.append(mistake)
        print(f"{mistake:<34} loud: IndexError")

# %%
cards.raises_an_error(profile, len(mistakes), changed, loud, beyond)

# %% [markdown]
# One counterexample is enough. With capitals kept, every word with a capital becomes `[UNK]`: another vector, though
# this task hardly needs those words. A table at least as large as the other vocabulary never raises the error.
#
# ## 5. What is it worth?
#
# > “The output is junk.”
#
# Take sentences whose GPT-2 ids all lie in the table (about a third, the plainer ones), 500 of each label, which
# section 1's classifier has not seen, and give it:
#
# - **right ids**: BERT's tokenizer;
# - **GPT-2's ids**: another cut, other numbers;
# - **right cut, other numbers**: BERT's pieces, but their ids exchanged at random;
# - **other cut, right numbers**: GPT-2's pieces, each looked up in BERT's vocabulary by its spelling.
#
# And two more: **learned from GPT-2's ids**, a classifier that met only such ids, of 1,000 other sentences; and
# **counting words**. **Predict** which of them work. Is it the cut or the numbers?

# %%
from datasets import concatenate_datasets

unseen = sentences["train"].shuffle(seed=0).select(range(1000, len(sentences["train"])))
others = concatenate_datasets([sentences["test"], sentences["validation"], unseen])
labels = np.array(others["label"])
fits = np.array([max(ids) < len(table) for ids in gpt2(list(others["text"]))["input_ids"]])
of_label = [np.flatnonzero(fits & (labels == label)) for label in (0, 1)]
test = others.select(np.concatenate([rows[:500] for rows in of_label]))
to_learn = others.select(np.concatenate([rows[500:1000] for rows in of_label]))
truth = np.array(test["label"])  # 500 of each: always one answer is right for half of them

# %%
in_bert, special = bert.get_vocab(), set(bert.all_special_ids)


def between_ends(rows):
    return [[bert.cls_token_id, *ids[:62], bert.sep_token_id] for ids in rows]


def by_spelling(piece):
    if piece.startswith("Ġ"):
        piece = piece[1:]
    elif piece.isalpha():
        piece = f"##{piece}"  # goes on with a word, mostly
    return in_bert.get(piece.lower(), bert.unk_token_id)


# %%
right_ids = bert(list(test["text"]), truncation=True, max_length=64)["input_ids"]
gpt2_ids = gpt2([f" {text}" for text in test["text"]])["input_ids"]
exchanged = np.random.default_rng(0).permutation(len(table))
given = {
    "right ids": right_ids,
    "GPT-2's ids": between_ends(gpt2(list(test["text"]))["input_ids"]),
    "right cut, other numbers": [[i if i in special else int(exchanged[i]) for i in ids] for ids in right_ids],
    "other cut, right numbers": between_ends(
        [[by_spelling(piece) for piece in gpt2.convert_ids_to_tokens(ids)] for ids in gpt2_ids]
    ),
}
hits = {name: classifier.predict(vectors(ids)) == truth for name, ids in given.items()}

# %%
from utils.finetuning import counting_words

learned = LogisticRegression(C=1, max_iter=1000)
learned.fit(vectors(between_ends(gpt2(list(to_learn["text"]))["input_ids"])), list(to_learn["label"]))
hits["learned from GPT-2's ids"] = learned.predict(vectors(given["GPT-2's ids"])) == truth
hits["counting words"] = counting_words().fit(train["text"], train["label"]).predict(test["text"]) == truth
shares, heard = {name: share(right) for name, right in hits.items()}, "GPT-2's ids"
plots.number_figure(
    shares,
    f"Right with its own ids: {shares['right ids'].value:.0f}%. With GPT-2's: {shares[heard].value:.0f}%",
    "right (%), with 95% interval; dotted: always one answer",
    [plots.BLUE] + [plots.ORANGE] * 4 + [plots.GREY],
    baseline=50,
)
cards.is_junk(profile, shares, hits["right ids"], hits["GPT-2's ids"])

# %% [markdown]
# It is the numbers. With the right cut and other numbers, this classifier has nothing to go by; with another cut and
# the right numbers, it hardly suffers on these sentences. Not everything was lost: a classifier that learned from the
# wrong ids finds something in them, as you still see a flower, since equal numbers stay equal. But it finds less than
# counting words does: what pretraining knew about the words is out of reach.
#
# [Deeper: the damage](deeper/03_the_damage.ipynb) asks BERT's own task, whether “the matrix collapses”, and whether
# fine-tuning on the wrong ids wins back what they cost.
#
# ## 6. A guard
#
# Silent mistakes need a check. The tokenizer that belongs to a model lies beside it. So compare:


# %%
def belongs_to(model, tokenizer):
    own = AutoTokenizer.from_pretrained(model.name_or_path)
    texts = ["A plain sentence, with 2 numbers.", "Café, naïve: UPPER CASE 😀", "two  spaces"]
    return own.get_vocab() == tokenizer.get_vocab() and own(texts)["input_ids"] == tokenizer(texts)["input_ids"]


print("its own:", belongs_to(encoder, bert), "· GPT-2's:", belongs_to(encoder, gpt2))

# %% [markdown]
# (It trusts what lies beside the model.) Where the original is not at hand, the course has a guard that looks at model
# and tokenizer alone: sizes, classes, special ids as far as the model names them, a round trip from text to ids and
# back, and, where the model guesses tokens, its loss on plain English. It gives a list of findings:

# %%
from utils.tokenizer_guard import check_tokenizer_matches

for finding in check_tokenizer_matches(encoder, gpt2):
    print(f"{finding.problem}\n→ {finding.remedy}")
print("for its own tokenizer:", check_tokenizer_matches(encoder, bert))

# %% [markdown]
# Both are tried on fifteen other mistakes, and on six pairs that belong together:

# %%
from notebooks.source.lesson_03.mistakes import right_pairs, unseen_mistakes

folders = {"encoder": profile.small_encoder, "BERT": profile.bert, "GPT": profile.gpt, "T5": profile.t5}
wrong, right = unseen_mistakes(folders), right_pairs(folders)
print(*wrong, sep="\n")

# %% [markdown]
# **Predict:** which are hard to find without the original?

# %%
# NBVAL_CHECK_OUTPUT
compared = {name: not belongs_to(*pair) for name, pair in wrong.items()}
guarded = {name: len(check_tokenizer_matches(*pair)) > 0 for name, pair in wrong.items()}
print("compared guard")
for name in wrong:
    print(f"{'found' if compared[name] else 'MISSED':<9}{'found' if guarded[name] else 'MISSED':<7}{name}")
alarms = {"comparing": 0, "guard": 0}
for pair in right.values():
    alarms["comparing"] += not belongs_to(*pair)
    alarms["guard"] += len(check_tokenizer_matches(*pair)) > 0
print(f"false alarms, of {len(right)} right pairs: {alarms}")

# %%
cards.finds_most_mistakes(profile, compared, guarded, alarms, len(right))

# %% [markdown]
# Comparing also speaks up where you changed the tokenizer on purpose: a piece added, the table enlarged. What the guard
# misses leaves sizes and classes in order: numbers were exchanged, or a setting is another, and this encoder guesses no
# tokens that could tell. So the safest rule is older than any check: **load model and tokenizer from the same place,
# and save them to the same place.**

# %% [markdown]
# ## To remember
#
# - An id is the number of a row. Vocabularies learned apart share many words, and hardly any with the same id in both.
# - A vocabulary is learned: BPE joins the most frequent neighbours, again and again.
# - Ids beyond the table raise an error on a CPU or an NVIDIA GPU; ids within it pass in silence.
# - It is the numbers more than the cut: with other numbers, what pretraining knew about the words is out of reach.
# - Load and save model and tokenizer together, and compare them once with the original.
#
# ## Exercises
#
# [Five exercises](exercises/03_the_tokenizer_must_match.ipynb) say whether you are right. Three more: predict, then
# try.
#
# 1. Cut your own name, in small letters, with section 3's merges, then after twenty merges (`range(1, 21)`; run both
#    cells again).
# 2. Leave out the special tokens: `classifier.predict(vectors([ids[1:-1] for ids in right_ids]))`. Is it worse? Compare
#    with `paired_difference` of `utils.intervals`.
# 3. Break the check: find a wrong tokenizer that `belongs_to` passes. (Look at what it never compares.)
#
# ## Deeper
#
# [The three algorithms](deeper/03_three_algorithms.ipynb) · [the damage](deeper/03_the_damage.ipynb)
