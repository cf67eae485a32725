"""Checks of the exercises of lesson 03: what tokenizers lose, how they cut, and ids from another vocabulary.

Words of each hint stand in tests/wrong_answers/lesson_03.py, which tries every one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise

import numpy as np

from utils import assets
from utils.checks import check, exercise
from utils.checks.answers import Hint, entries, hint_if, listed, number, require, shown

__all__ = ["check"]  # the exercise notebook imports it from here, and with it come these checks

SAMPLES = ["good film", "Good film", "naïve", "two  spaces", "映", "unforgettably", "9/10"]  # of exercise 1
OF_BERT = [
    "these words are in the vocabulary, and nothing in them needs cleaning. What could be lost?",
    "what does the normalizer of an *uncased* tokenizer do before the text is cut?",
    "look at *café* and *naïve* in section 3. Which piece does BERT write for each?",
    "it is split into words at white space. Which piece could say that there were two spaces?",
    "are there pieces to write it with? If not, what stands there instead?",
    "it is cut into several pieces, but to be cut is not to be lost. What does `##` tell whoever decodes?",
    "into how many words does the pre-tokenizer split it? What does decoding put between words?",
]
OF_GPT2 = [
    "nothing in it is special. Where does GPT-2 keep the space, and does it come back?",
    "GPT-2 has no normalizer. What happens to a capital?",
    "`Ã¯` in a piece is how two bytes are *shown*. Which letter do these two bytes make together?",
    "a space is a byte too, written `Ġ`. Is any byte of the text thrown away?",
    "of what does every text consist for GPT-2, also one in a script that it hardly saw?",
    "it is cut into several pieces. Join them: is a letter missing?",
    "it is cut into several pieces. Is there a `Ġ` in one of them?",
]


@exercise(
    "03.1",
    "What comes back?",
    "a dict with a list of text numbers for each tokenizer",
    function=False,
    stronger="BERT: make capitals small, drop accents, split at white space and punctuation, look for unknown "
    "letters, and join words with one space. Is it still the text? GPT-2: which byte of the text could get "
    "lost?",
    why="Bytes can spell every text. What an uncased WordPiece loses, it loses before the cut or for want of pieces.",
)
def texts_that_come_back(answer, rng) -> None:
    returned = {name: listed(places, name) for name, places in entries(answer, ("BERT", "GPT-2")).items()}
    for name, places in returned.items():
        require(
            all(isinstance(place, int) and 0 <= place < len(SAMPLES) for place in places),
            f"The texts have the numbers 0 to {len(SAMPLES) - 1}; some of {name} do not.",
        )
    for name, hints in (("BERT", OF_BERT), ("GPT-2", OF_GPT2)):
        tokenizer = tokenizers()[name]
        for place, text in enumerate(SAMPLES):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            same = tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
            require((place in returned[name]) == same, f"{name}, text {place}: {hints[place]}")


@cache
def tokenizers() -> dict:
    """The two tokenizers of the lesson, by the names of exercise 1."""
    from transformers import AutoTokenizer

    folders = {"BERT": assets.small_encoder(), "GPT-2": assets.gpt2_tokenizer()}
    return {name: AutoTokenizer.from_pretrained(folder) for name, folder in folders.items()}


COMMON = ["film", "story", "actor", "music", "scene", "ending", "camera", "hero", "plot", "voice", "night", "summer"]
RARE = ["unforgettable", "sluggish", "heartfelt", "nostalgic", "goofy", "satirical"]  # GPT-2's ids: beyond BERT's rows
CAPITALS = ["The", "This", "That", "Its", "Every", "Another"]


@exercise(
    "03.2",
    "Ids from another vocabulary",
    "a function of a text and max_length",
    stronger="The tokenizer that belongs to the model does it all in one call: it cuts, puts its special tokens "
    "around, and keeps to a limit if you ask for it. Section 1 makes the right ids this way.",
    why="Ids that fit into the table raise no error and still mean something else. Cut with the model's own tokenizer.",
)
def ids_for_bert(function, rng) -> None:
    own, other = tokenizers().values()
    for count, short in ((6, False), (9, False), (14, True), (20, True)):
        words = [rng.choice(CAPITALS), rng.choice(RARE), *rng.choice([*COMMON, *RARE], count)]
        text = " ".join(map(str, words)) + ", isn't it?"
        max_length = int(rng.integers(7, count)) if short else 100
        compare_ids(function(text, max_length), text, max_length, own, other)


def compare_ids(result, text: str, max_length: int, own, other) -> None:
    """Compare a student's ids of a text with the tokenizer's own, and say what is off."""
    got = listed(result, "the ids")
    hint_if((len(got) == 1 and isinstance(got[0], list)), "There is a list in your list; one text, one list of ids.")
    whole = all(isinstance(token_id, int) and not isinstance(token_id, bool) for token_id in got)
    require(whole, "Expected a list of whole numbers.")
    everything = own(text)["input_ids"]
    right = own(text, truncation=True, max_length=max_length)["input_ids"]
    if got == right:
        return
    ends = (own.cls_token_id, own.sep_token_id)
    rows = len(own)
    foreign = other(text, add_special_tokens=False)["input_ids"]
    inner = [token_id for token_id in got if token_id not in ends]
    start = len(inner)
    dropped = [token_id for token_id in foreign if token_id < rows]
    clamped = [min(token_id, rows - 1) for token_id in foreign]
    wrapped = [token_id % rows for token_id in foreign]
    require(max(got, default=0) < rows, "Some ids lie beyond BERT's table. Whose tokenizer makes them?")
    hint_if(
        start >= 3 and inner == dropped[:start],
        "The ids beyond the table are left out, but which table do the ones that stay come from?",
    )
    hint_if(
        start >= 3 and inner in (clamped[:start], wrapped[:start]),
        "The ids are forced into the table. They raise no error; do they name the same pieces now?",
    )
    hint_if(own.pad_token_id in got, "There is padding in your ids. It fills a batch; one text alone needs none.")
    require(
        got.count(own.unk_token_id) <= right.count(own.unk_token_id),
        "Some of your ids are [UNK]. Whose pieces do you look up, and are they lower case?",
    )
    require(
        got != everything and len(got) <= max_length,
        f"You give {len(got)} ids where max_length is {max_length}. Which ids count towards it?",
    )
    bare = everything[1:-1]
    hint_if(
        got in (bare, bare[:max_length], bare[: max_length - 2]),
        "The pieces are right, but BERT read each text between two special tokens. Where are they?",
    )
    require(
        got[:2] != [ends[0]] * 2 and got[-2:] != [ends[1]] * 2,
        "A special token stands twice in a row. Does the tokenizer put one there already?",
    )
    hint_if(
        got == everything[:max_length],
        "A text that is too long loses its [SEP]. What must be shortened, and what comes around it?",
    )
    hint_if(
        got[-2:-1] == bare[-1:] and len(everything) > max_length,
        "A text that is too long keeps its last pieces. The task asks for the end to go.",
    )
    require(
        len(got) >= len(right),
        f"You give {len(got)} ids; {len(right)} are possible. Count pieces, not words or letters.",
    )
    raise Hint(f"For max_length {max_length} your ids are off: {shown(got)}. Decode them: what do they say?")


@exercise(
    "03.3",
    "The next pair to merge",
    "a function of counts",
    stronger="Cut each word at its spaces and go through its neighbours. For each pair keep a sum, and add how "
    "often the *word* occurs. At the end compare the sums first and, only where they are equal, the pairs.",
    why="All that byte-pair encoding learns is such pairs, in order: merge this one, count again, and so on.",
)
def most_frequent_pair(function, rng) -> None:
    for target in (*MISTAKES, *TIES):
        counts, right, mistaken = draw_counts(rng, target)
        got = function(counts)
        hint_if(isinstance(got, str), 'Expected two parts, such as ("o", "d"), got one text.')
        got = listed(got, "the pair", 2)
        require(all(isinstance(part, str) for part in got), "Expected two parts, which are texts, and no count.")
        got = tuple(got)
        if got == right:
            continue
        sums = count_pairs(counts)
        parts = {part for word in counts for part in word.split()}
        hint_if(" " in got, "A space is no part. It only shows where a part ends.")
        for answer, hint in mistaken.items():
            hint_if(got == answer, hint)
        require(set(got) <= parts, f"{shown(*got)}: these are not two parts of the words. Where does a part end?")
        require(got in sums, f"{shown(*got)} stand side by side in no word. Do you count from one word to the next?")
        hint_if(sums[got] == sums[right], f"{shown(got)} and {shown(right)} are equally frequent. Which comes first?")
        raise Hint(
            f"In {shown(counts)} {shown(got)} stand side by side {sums[got]} times; another pair does so more often.",
        )


def count_pairs(counts: dict[str, int], once: bool = False, ordered: bool = True) -> Counter:
    """How often each pair stands side by side; `once`: a word counts once for each of its pairs."""
    sums = Counter()
    for word, times in counts.items():
        pairs = [pair if ordered else tuple(sorted(pair)) for pair in pairwise(word.split())]
        for pair in set(pairs) if once else pairs:
            sums[pair] += times
    return sums


def best(sums: Counter) -> tuple[str, str]:
    """The most frequent pair, the first in alphabetical order where several are."""
    return min(sums, key=lambda pair: (-sums[pair], pair))


MISTAKES = {
    "words once": "Every word counts once. How often does each occur?",
    "pairs once": "A pair that stands twice in a word counts once there. Look again.",
    "no order": "The order of the two parts is lost. Is a b the same pair as b a?",
    "letters": "You pair letters, and a part may have several. What shows where a part ends?",
    "borders": "You count across the border of two words. Where must counting start anew?",
    "parts": "These are two frequent *parts*. How often are they neighbours, in this order?",
}


def mistaken_pairs(counts: dict[str, int]) -> dict[str, tuple[str, str]]:
    """What each of the typical mistakes gives."""
    in_letters = {" ".join(word.replace(" ", "")): times for word, times in counts.items()}
    in_a_row = {" ".join(word for word, times in counts.items() for _ in range(times)): 1}
    common = Counter(part for word, times in counts.items() for part in word.split() * times).most_common(2)
    return {
        "words once": best(count_pairs(dict.fromkeys(counts, 1))),
        "pairs once": best(count_pairs(counts, once=True)),
        "no order": best(count_pairs(counts, ordered=False)),
        "letters": best(count_pairs(in_letters)),
        "borders": best(count_pairs(in_a_row)),
        "parts": tuple(part for part, _ in common),
    }


TIES = {  # what a wrong rule takes of several pairs that are equally frequent
    "first met": lambda top: top[0],
    "joined": lambda top: min(top, key="".join),
    "first part only": lambda top: min(top, key=lambda pair: pair[0]),
}


def draw_counts(rng, target: str) -> tuple[dict[str, int], tuple[str, str], dict[tuple[str, str], str]]:
    """Words with counts, the right pair, and wrong pair -> hint; the target: which mistake or tie must show."""
    while True:
        letters = list("ai" if target == "joined" else "abdegiklmnoprstu")
        alphabet = [*rng.choice(letters, min(3, len(letters)), replace=False).tolist(), "in", "an", "s"][:5]
        words = [" ".join(alphabet[place] for place in rng.integers(0, 5, rng.integers(3, 7))) for _ in range(5)]
        counts = {word: int(times) for word, times in zip(words, rng.integers(1, 6, 5), strict=True)}
        sums = count_pairs(counts)
        top = [pair for pair in sums if sums[pair] == max(sums.values())]
        right = best(sums)
        if any(first == second for word in words for first, second in pairwise(word.split())):
            continue  # how often a part that stands three times in a row makes a pair is not asked here
        if target in TIES and len(top) > 1 and TIES[target](top) != right:
            return counts, right, {}
        wrong = {name: pair for name, pair in mistaken_pairs(counts).items() if pair != right}
        if len(top) == 1 and target in wrong and len(set(wrong.values())) == len(wrong):
            return counts, right, {pair: MISTAKES[name] for name, pair in wrong.items()}


UNKNOWN = ["[UNK]"]


@exercise(
    "03.4",
    "The longest piece first",
    "a function of a word and a vocabulary",
    stronger="Keep the place where the rest begins. Among the pieces with which the rest begins, the longest is "
    "next, and the place moves on by its length. If there is none, all that you found so far does not "
    "matter.",
    why="Longest match never looks back: it is fast, and it can call a word unknown that other cuts would write.",
)
def cut(function, rng) -> None:
    for kind in ("fits", "fits", "whole", "fits", "unknown letter", "unknown letter", "dead end", "dead end"):
        word, vocabulary = draw_word(rng, kind)
        right = longest_first(word, vocabulary)
        got = function(word, vocabulary)
        hint_if(isinstance(got, str), "Expected a list, also where the word is unknown: a list with one piece.")
        got = listed(got, "the pieces")
        require(all(isinstance(piece, str) for piece in got), "Expected a list of texts, the pieces.")
        if got == right:
            continue
        what = f"{word} with the vocabulary {' '.join(vocabulary)}"
        if right == UNKNOWN:
            hint_if(got == [], f"{what}: you give back an empty list. What stands for a word that cannot be written?")
            hint_if(
                got[-1:] == UNKNOWN and len(got) >= 2 and got.count("[UNK]") <= 1,
                f"{what}: you keep the pieces found before. What becomes of the *whole* word?",
            )
            hint_if("[UNK]" in got, f"{what}: only a part of the word becomes [UNK]. What becomes of the whole?")
            hint_if(
                "".join(got) == word and set(got) <= set(vocabulary),
                f"{what}: you find a cut, longest match does not. Can it take a shorter piece?",
            )
            hint_if(word.startswith("".join(got)), f"{what}: the cut stops where nothing fits and says nothing.")
            raise Hint(f"{what}: at some place nothing fits, and you give {shown(got)}.")
        marked = with_marks(word, vocabulary)
        hint_if(
            got == marked and marked != right,
            f"{what}: you look for pieces with the mark ##. Here there are none: any piece may stand anywhere.",
        )
        hint_if(
            got == UNKNOWN,
            f"{what}: you say unknown, but a cut exists. Do you try pieces of every length, up to the whole rest?",
        )
        hint_if(
            got == shortest_first(word, vocabulary),
            f"{what}: you take the shortest piece that fits. With which length must the search begin?",
        )
        hint_if(
            got == first_that_fits(word, vocabulary),
            f"{what}: you take the first piece of the vocabulary that fits, and its order is by chance. Which of the "
            "fitting ones is asked for?",
        )
        hint_if(
            got == longest_anywhere(word, vocabulary),
            f"{what}: you look for the longest piece anywhere in the word. At which place does the search begin?",
        )
        require(set(got) <= set(vocabulary), f"{what}: {shown(got)} has pieces that are not in the vocabulary.")
        require("".join(got) == word, f"{what}: your pieces, put together, are not the word: {shown(got)}")
        raise Hint(f"{what}: you give {shown(got)}. Is each piece the longest with which the rest begins?")


def match(word: str, vocabulary: list[str], choose: Callable) -> list[str]:
    """Cut from the left; `choose` picks among the pieces that fit by length."""
    parts = []
    start = 0
    while start < len(word):
        fitting = [piece for piece in vocabulary if word.startswith(piece, start)]
        if not fitting:
            return UNKNOWN
        parts.append(choose(fitting, key=len))
        start += len(parts[-1])
    return parts


def with_marks(word: str, vocabulary: list[str]) -> list[str]:
    """A typical mistake: the tokenizer's own way, which looks for ## inside a word."""
    first = [piece for piece in vocabulary if word.startswith(piece)]
    longest = max(first, key=len, default="")
    return [longest] if longest == word else UNKNOWN


def longest_first(word: str, vocabulary: list[str]) -> list[str]:
    """The right cut."""
    return match(word, vocabulary, max)


def shortest_first(word: str, vocabulary: list[str]) -> list[str]:
    """A typical mistake."""
    return match(word, vocabulary, min)


def first_that_fits(word: str, vocabulary: list[str]) -> list[str]:
    """A typical mistake."""
    return match(word, vocabulary, lambda fitting, key: fitting[0])


def longest_anywhere(word: str, vocabulary: list[str]) -> list[str]:
    """A typical mistake: the longest piece that is in the word (the first such), then the same left and right of it."""
    if not word:
        return []
    inside = [piece for piece in vocabulary if piece in word]
    if not inside:
        return UNKNOWN
    piece = max(inside, key=lambda piece: (len(piece), -word.find(piece)))
    left, right = word.split(piece, 1)
    return [*longest_anywhere(left, vocabulary), piece, *longest_anywhere(right, vocabulary)]


def any_cut(word: str, vocabulary: list[str]) -> bool:
    """Can the word be written with these pieces at all?"""
    return not word or any(word.startswith(piece) and any_cut(word[len(piece) :], vocabulary) for piece in vocabulary)


def draw_word(rng, kind: str) -> tuple[str, list[str]]:
    """A word and a vocabulary for which the typical mistakes give something else than the right cut."""
    while True:
        letters = rng.choice(list("abdegiklmnoprstu"), 5, replace=False)
        word = "".join(rng.choice(letters[:4], 8))
        places = [(start, start + size) for size in (2, 3, 4) for start in rng.choice(8 - size, 2, replace=False)]
        vocabulary = {word[start:end] for start, end in places} | set(letters[:4])
        if kind == "whole":
            vocabulary.add(word)
        elif kind == "unknown letter":
            place = int(rng.integers(3, 6))
            word = word[:place] + letters[4] + word[place + 1 :]
        elif kind == "dead end":
            vocabulary -= set(letters[:2])
        vocabulary = [str(piece) for piece in rng.permutation(sorted(vocabulary))]
        right = longest_first(word, vocabulary)
        if kind == "fits":
            cuts = [right, *(way(word, vocabulary) for way in (shortest_first, first_that_fits, longest_anywhere))]
            good = all(first != second for first, second in combinations(cuts, 2)) and len(right[-1]) > 1
        elif kind == "dead end":
            good = right == UNKNOWN and any_cut(word, vocabulary)
        else:
            good = kind == "whole" or any(len(piece) > 1 and word.startswith(piece) for piece in vocabulary)
        if good:
            return word, vocabulary


FATES = ("special", "spare", "piece", "beyond", "loud")


@exercise(
    "03.5",
    "The fate of an id",
    "a function of batch, rows, special and spare",
    stronger="Go through every id of every text and ask in this order: does it have a row, is it special, is it "
    "spare? Rows are counted from 0, so what is the number of the last row? One id without a row stops the "
    "batch.",
    why="Only ids beyond the table are loud. All others are looked up in silence, whatever they were meant to say.",
)
def fate(function, rng) -> None:
    for kind in ("last row", "one beyond", "some beyond", "silent", "some beyond"):
        batch, rows, special, spare = draw_batch(rng, kind)
        got = entries(function(batch, rows, special, spare), FATES, "the result")
        require(isinstance(got["loud"], bool), "“loud” is True or False.")
        counts = {name: number(got[name], f"“{name}”") for name in FATES[:4]}
        ids = [token_id for row in batch for token_id in row]
        right = fates(ids, rows, special, spare)
        loud = max(ids) >= rows
        if counts == right and got["loud"] == loud:
            continue
        hint_if(
            counts != right and counts == fates(ids, rows + 1, special, spare),
            f"Does the id {rows} have a row in a table of {rows} rows? The first row has the number 0.",
        )
        hint_if(
            counts != right and counts == fates(ids, rows - 1, special, spare),
            f"The id {rows - 1} counts as beyond, with {rows} rows. What is the number of the last row?",
        )
        hint_if(
            counts != right and counts == fates(sorted(set(ids)), rows, special, spare),
            "An id that occurs twice counts once. Each time it is looked up anew.",
        )
        hint_if(
            counts != right and counts == fates(batch[0], rows, special, spare),
            "You count the first text only. A batch has several.",
        )
        hint_if(
            counts["piece"] == sum(right.values()) - right["beyond"],
            "“piece” has the special tokens and spare rows in it too. What is left without them?",
        )
        hint_if(
            loud and sum(counts.values()) != len(ids),
            f"The batch has {len(ids)} ids, your four counts add up to {sum(counts.values()):g}. Count them all, "
            "also where the batch is loud.",
        )
        for name in FATES[:4]:
            require(
                counts[name] == right[name],
                f"“{name}”: you count {counts[name]:g}; {right[name]} of the {len(ids)} ids are, each as often as it "
                "occurs. Look at the four fates of section 1.",
            )
        hint_if(got["loud"], "You call a batch loud although every id has a row. What raises the error?")
        raise Hint(
            f"{right['beyond']} of {len(ids)} ids lie beyond the table, and you say silent. How many ids, in how "
            "many texts, does it take?",
        )


def fates(ids: list[int], rows: int, special: list[int], spare: list[int]) -> dict[str, int]:
    """The four counts."""
    counts = dict.fromkeys(FATES[:4], 0)
    for token_id in ids:
        if token_id >= rows:
            counts["beyond"] += 1
        elif token_id in special:
            counts["special"] += 1
        elif token_id in spare:
            counts["spare"] += 1
        else:
            counts["piece"] += 1
    return counts


def draw_batch(rng, kind: str) -> tuple[list[list[int]], int, list[int], list[int]]:
    """Ids of four texts, in which the table's last row, repeated ids and all four fates occur; see `fate`."""
    rows = int(rng.integers(40, 60))
    special = [0, *rng.choice(np.arange(20, 30), 3, replace=False).tolist()]
    spare = list(range(1, 12))
    batch = [
        [*rng.choice(special, 2), *rng.choice(spare, 3), *rng.choice(np.arange(30, rows - 1), 3)] for _ in range(4)
    ]
    batch = [[int(token_id) for token_id in rng.permutation(row)] for row in batch]
    batch[0][0] = batch[0][1]  # an id that occurs twice
    if kind == "last row":
        batch[2][3] = rows - 1
    elif kind == "one beyond":
        batch[1][4] = rows
    elif kind == "some beyond":
        batch[2][1:6] = [rows, rows + 3, rows - 1, *rng.integers(rows + 4, 2 * rows, 2).tolist()]
    return batch, rows, special, spare
