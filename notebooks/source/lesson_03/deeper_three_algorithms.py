# ---
# jupyter:
#   course:
#     name: 03_three_algorithms
#     title: "Deeper 03: The three algorithms, by hand"
#     goals:
#       - write WordPiece, byte-level BPE and Unigram in a few lines each, and hold them against the library
#       - say what each loses, and what other languages and code cost
#     minutes_cpu: under a minute
#     needs: lesson 03
# ---

# %% [markdown]
# Three real vocabularies, one for each algorithm: BERT's (bert-base-uncased; the small encoder of `embedded` has the
# same), GPT-2's, and that of the T5 of your profile.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoTokenizer

wordpiece = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2 = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)
unigram = AutoTokenizer.from_pretrained(profile.t5)
tokenizers = {"WordPiece (BERT)": wordpiece, "byte-level BPE (GPT-2)": gpt2, "Unigram (T5)": unigram}
for name, tokenizer in tokenizers.items():
    print(f"{name:<23} {len(tokenizer):>6,} pieces")

# %%
gpt2_numbers = gpt2.get_vocab()
sample = "The café's soundtrack is unforgettably naïve, a 9/10 😀"

# %% [markdown]
# ## 1. Cutting, by hand
#
# In each, two things happen. First a *normalizer*, where there is one, cleans the text (BERT's makes capitals small and
# drops accents), and a *pre-tokenizer* splits it into words; take these from the library. Then an algorithm cuts each
# word into pieces of the vocabulary. You will write all three, and compare them with the library on real text: 500
# sentences of film reviews. The 500 reviews are for later.

# %%
import re

from datasets import load_dataset

from utils import pieces
from utils.splits import with_validation

imdb = load_dataset(profile.imdb)
if "validation" not in imdb:
    imdb = with_validation(imdb)
reviews = list(imdb["validation"].shuffle(seed=0).select(range(500))["text"])
sentences = [part for text in reviews[:60] for part in re.split(r"(?<=[.!?]) +", text)][:500]  # split after . ! ?


def words_of(tokenizer, text):
    text = pieces.clean(text)  # replaces what is no valid text
    backend = tokenizer.backend_tokenizer  # the part that does the work, written in Rust
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    return [word for word, place in backend.pre_tokenizer.pre_tokenize_str(text)]


# %%
# NBVAL_CHECK_OUTPUT
for name, tokenizer in tokenizers.items():
    print(f"{name:<23} {words_of(tokenizer, 'It was naïve, sadly.')}")

# %% [markdown]
# ### Byte-level BPE (GPT-2)
#
# *Byte-pair encoding* (Sennrich et al. 2016) learns its vocabulary from the most frequent neighbours. Start with single
# letters. Count which two pieces stand next to each other most often, make them one piece, and repeat. The list of
# these *merges*, in order, is all that is learned. Where counts are equal, the library takes the pair whose first piece
# stands earlier in the list of pieces, then the one whose second does. The list begins with the letters in the order of
# the alphabet, and each merge adds its piece at the end.

# %%
from collections import Counter
from itertools import pairwise


def merge(parts, pair):
    merged = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


# %%
def learn_merges(counts, steps):
    cut, merges = {word: list(word) for word in counts}, []
    known = sorted({letter for word in counts for letter in word})
    for _ in range(steps):
        pairs = Counter()
        for word, parts in cut.items():
            for pair in pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], known.index(pair[0]), known.index(pair[1])))
        merges.append(best)
        known.append("".join(best))
        cut = {word: merge(parts, best) for word, parts in cut.items()}
    return merges


# %% [markdown]
# Watch it learn from twelve words, eight different ones, merge by merge. At first six pairs occur four times, and `f`
# comes before `g`, `i`, `l` and `o`:

# %%
# NBVAL_CHECK_OUTPUT
toy_text = "good film good films very good filming a goodness of a film"
toy = Counter(toy_text.split())
parts_of = {word: list(word) for word in toy}
print(f"{'':<10}", " ".join("·".join(parts) for parts in parts_of.values()))
for pair in learn_merges(toy, 7):
    parts_of = {word: merge(parts, pair) for word, parts in parts_of.items()}
    print(f"{'+'.join(pair):<10}", " ".join("·".join(parts) for parts in parts_of.values()))

# %% [markdown]
# Frequent words become one piece, rare ones stay in parts. A letter that was never seen is still unknown; GPT-2 avoids
# that by starting from the 256 bytes, of which every text consists. The library's trainer, on the same words:

# %%
# NBVAL_CHECK_OUTPUT
import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

trained = Tokenizer(models.BPE())
trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
size = len(set("".join(toy))) + 7  # the letters and seven merges
trained.train_from_iterator(toy.elements(), trainers.BpeTrainer(vocab_size=size, show_progress=False))
library_merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
print("the library learns the same merges:", library_merges == learn_merges(toy, 7))

# %% [markdown]
# GPT-2's list has 50,000 merges, learned on bytes. To cut a word, make the merge that was learned first among those
# that are possible, until none is. `backend_tokenizer.to_str()` gives all rules of a tokenizer as JSON.

# %%
merges = json.loads(gpt2.backend_tokenizer.to_str())["model"]["merges"]
ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}  # 0: learned first


def bpe_pieces(word, ranks):
    parts = list(word)
    while True:
        pairs = pairwise(parts)
        first = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)), default=None)  # the one that was learned first
        if first not in ranks:  # no merge is possible, or only one part is left
            return parts
        parts = merge(parts, first)


def bpe_ids(text):
    return [gpt2_numbers[part] for word in words_of(gpt2, text) for part in bpe_pieces(word, ranks)]


def same_as_library(tokenizer, ids_of, texts):
    return sum(tokenizer(text, add_special_tokens=False)["input_ids"] == ids_of(text) for text in texts)


# %%
# NBVAL_CHECK_OUTPUT
print(f"{len(ranks):,} merges, the first: {merges[:5]}")
print(bpe_pieces("Ġunforgettably", ranks))
print("same ids as the library:", same_as_library(gpt2, bpe_ids, sentences), "of", len(sentences), "sentences")

# %% [markdown]
# ### WordPiece (BERT)
#
# *WordPiece* learns by merges too, but takes the pair that most raises the likelihood of the text (Schuster and
# Nakajima 2012). To cut, BERT's tokenizer needs no merges, only the vocabulary: the longest piece with which the word
# begins, then the longest with which the rest begins, and so on (`tokenization.py` in google-research/bert). If at some
# point nothing fits, the *whole word* becomes `[UNK]`; so does a word of more than 100 letters.

# %%
word_numbers = wordpiece.get_vocab()


def wordpiece_pieces(word, vocabulary):
    if len(word) > 100:
        return ["[UNK]"]
    parts, start = [], 0
    while start < len(word):
        mark, end = "##" if start else "", len(word)
        while end > start and mark + word[start:end] not in vocabulary:
            end -= 1
        if end == start:  # nothing fits
            return ["[UNK]"]
        parts.append(mark + word[start:end])
        start = end
    return parts


def wordpiece_ids(text):
    return [word_numbers[part] for word in words_of(wordpiece, text) for part in wordpiece_pieces(word, word_numbers)]


# %%
# NBVAL_CHECK_OUTPUT
print(wordpiece_pieces("unforgettably", word_numbers), wordpiece_pieces("映", word_numbers))
print("same ids as the library:", same_as_library(wordpiece, wordpiece_ids, sentences), "of", len(sentences))

# %% [markdown]
# ### Unigram (T5)
#
# *Unigram* (Kudo 2018) starts from far too many pieces and drops those that help least. Each piece that stays has a
# score, the logarithm of its probability, which is negative. Of all ways to cut a word it takes the one with the
# largest sum, the one nearest to zero. Trying all would take for ever. But the best cut up to a place ends in *some*
# last piece, and what stands before that piece is cut in the best way too. So go through the word once and keep, for
# each place, the best sum so far and where its last piece began (Viterbi's algorithm). A letter that is no piece gets
# the lowest score minus 10.

# %%
t5_numbers = unigram.get_vocab()
scores = dict(json.loads(unigram.backend_tokenizer.to_str())["model"]["vocab"])
unknown_score, longest = min(scores.values()) - 10, max(map(len, scores))


def unigram_pieces(word, scores):
    best = [0.0] + [float("-inf")] * len(word)  # best[end]: the best sum for word[:end]
    began = [0] * (len(word) + 1)  # where the last piece of that cut begins
    for start in range(len(word)):
        for end in range(start + 1, min(start + longest, len(word)) + 1):
            score = scores.get(word[start:end], unknown_score if end == start + 1 else float("-inf"))
            if best[start] + score > best[end]:
                best[end], began[end] = best[start] + score, start
    parts, end = [], len(word)
    while end:
        parts.append(word[began[end] : end])
        end = began[end]
    return parts[::-1]


# %%
def unigram_ids(text):
    ids = []
    for word in words_of(unigram, text):
        found = [t5_numbers.get(part, unigram.unk_token_id) for part in unigram_pieces(word, scores)]
        for place, number in enumerate(found):
            if place == 0 or not (number == found[place - 1] == unigram.unk_token_id):  # unknown letters in a row: once
                ids.append(number)
    return ids


# %%
# NBVAL_CHECK_OUTPUT
word = "▁unforgettably"
for parts in (unigram_pieces(word, scores), list(word)):
    print(f"{sum(scores.get(part, unknown_score) for part in parts):.2f}", "·".join(parts))
print("same ids as the library:", same_as_library(unigram, unigram_ids, sentences), "of", len(sentences))

# %% [markdown]
# ## 2. What is lost on the way
#
# Decode the ids again. What comes back to the letter, what only nearly, what not?


# %%
def round_trip(tokenizer, text):
    text = pieces.clean(text)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    back = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    if back == text:
        return "exact"
    if unknown := ids.count(tokenizer.unk_token_id):
        return f"{unknown} × {tokenizer.unk_token}"
    same_letters = "".join(back.split()) == "".join(text.split())
    return "spaces change" if same_letters else "letters change"


# %%
# NBVAL_CHECK_OUTPUT
examples = {
    "lower case": "a film that is worth your time", "Capitals": "Marty McFly meets Doc Brown in 1985.",
    "accents": "Amélie déjà vu, señor", "emoji": "great 😀👍🏽", "Chinese": "这部电影很好看",
    "code": "def f(x):\n    return x ** 2", "numbers": "3.14159 and 1,000,000", "spaces": "two  spaces,\ta tab",
}  # fmt: skip
print(f"{'':<12}" + "".join(f"{name:<24}" for name in tokenizers))
for kind, text in examples.items():
    print(f"{kind:<12}" + "".join(f"{round_trip(tokenizer, text):<24}" for tokenizer in tokenizers.values()))

# %% [markdown]
# (T5 writes one `<unk>` for several unknown letters in a row, so 6 and 1 are not comparable.) Bytes can spell anything,
# so *byte-level BPE* needs no unknown token. What comes back of all 500 reviews?

# %%
from utils.intervals import share

came_back = {name: [round_trip(tokenizer, text) for text in reviews] for name, tokenizer in tokenizers.items()}
exact = {name: share([kind == "exact" for kind in kinds]) for name, kinds in came_back.items()}
for name, kinds in came_back.items():
    print(f"{name:<23} exact: {exact[name]};", Counter(kinds).most_common(3))

# %%
from notebooks.source.lesson_03 import cards

cards.loses_nothing(profile, exact)

# %% [markdown]
# ## 3. How many pieces does a word take?
#
# Each piece costs time and a place in the input. A tokenizer needs few pieces for texts like those that it was learned
# from, and many for others. Compare kinds of English text, and then the same names of countries and regions in several
# languages (Unicode CLDR; with a space in front, as in a sentence).

# %%
import numpy as np
from babel import Locale

from utils import assets
from utils.intervals import mean

news = load_dataset(str(assets.bbc()))["validation"]["body"][:100]
modules = sorted(Path(re.__file__).parent.parent.glob("[a-z]*.py"))[:60]  # Python's own library
code = [module.read_text(encoding="utf-8") for module in modules]
english = {"film reviews": reviews[:100], "news": news, "Python code": code}
languages = {"English": "en", "German": "de", "Turkish": "tr", "Russian": "ru", "Chinese": "zh"}
territories = {language: Locale(tag).territories for language, tag in languages.items()}
places = [place for place in territories["English"] if all(place in known for known in territories.values())]
names = {language: [f" {known[place]}" for place in places] for language, known in territories.items()}


# %%
def count_pieces(tokenizer, texts, per_word):
    """Pieces per word or per text, and whether most texts hold an unknown piece."""
    cut_texts = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    words = [len(text.split()) if per_word else 1 for text in texts]
    unwritten = np.mean([tokenizer.unk_token_id in ids for ids in cut_texts]) > 0.5
    return mean([len(ids) / number for ids, number in zip(cut_texts, words, strict=True)]), unwritten


per_word = {name: [count_pieces(t, texts, True) for texts in english.values()] for name, t in tokenizers.items()}
per_name = {name: [count_pieces(t, texts, False) for texts in names.values()] for name, t in tokenizers.items()}

# %%
from utils import plots

fig, axes = plots.figure(3.6, columns=2, width_ratios=(3, 4))
plots.grouped_bars(axes[0], list(english), per_word, "most with unknown")
plots.grouped_bars(axes[1], list(names), per_name, "most with unknown")
axes[0].set_ylabel("pieces per word (line: 95% interval)")
axes[1].set_ylabel("pieces per name")
axes[1].legend(fontsize=8, loc="upper left")
bpe = "byte-level BPE (GPT-2)"
of_gpt2 = {language: cost.value for language, (cost, _) in zip(names, per_name[bpe], strict=True)}
dearest = max(of_gpt2, key=of_gpt2.get)
times = of_gpt2[dearest] / of_gpt2["English"]
fig.suptitle(f"GPT-2 needs {times:.1f} times as many pieces for a place's name in {dearest} as in English")
plots.show(fig, f"GPT-2 needs {times:.1f} times as many pieces for a name in {dearest} as in English. " + "; ".join(
    f"{name}, {group} {cost}{' (most with unknown)' if unwritten else ''}"
    for groups, found in ((english, per_word), (names, per_name)) for name, costs in found.items()
    for group, (cost, unwritten) in zip(groups, costs, strict=True)))  # fmt: skip

# %%
blank = [number for piece, number in gpt2_numbers.items() if not piece.strip("ĠĊĉ")]  # space, line break, tab
in_code = np.concatenate(gpt2(code, verbose=False)["input_ids"])
print(
    f"{100 * np.isin(in_code, blank).mean():.0f}% of GPT-2's pieces in the code are nothing but spaces and line breaks"
)

# %% [markdown]
# Hatched bars mislead: the tokenizer cannot write most of these names whole, and an unknown piece is one piece. In
# code, GPT-2 pays for the indentation that the other two drop. mini-t5 has 6,144 pieces, learned from English film
# reviews, news and Wikipedia; the other two vocabularies are larger. So the bars compare three tokenizers, not three
# algorithms.

# %% [markdown]
# ## To remember
#
# - To cut, WordPiece needs the vocabulary, byte-level BPE the merges in their order, Unigram the pieces' probabilities.
# - Cleaning before the cut, and unknown pieces, are what gets lost; bytes lose nothing.
# - A tokenizer is cheap on texts like those that it was learned from, and dear on others.
