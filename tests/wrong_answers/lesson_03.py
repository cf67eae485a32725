"""Typical wrong answers to the exercises of lesson 03, each with words of the hint that it must get."""

from collections import Counter
from functools import cache
from itertools import pairwise

from utils import assets


def back(bert=(0, 5), gpt2=range(7)):
    return {"BERT": list(bert), "GPT-2": list(gpt2)}


@cache
def tokenizers():
    from transformers import AutoTokenizer

    folders = assets.small_encoder(), assets.gpt2_tokenizer()
    return *map(AutoTokenizer.from_pretrained, folders), AutoTokenizer.from_pretrained(folders[0], do_lower_case=False)


def foreign(force, ends=True):
    def ids_for_bert(text, max_length):
        own, other, _ = tokenizers()
        ids = force(other(text)["input_ids"], len(own))
        return [own.cls_token_id, *ids[: max_length - 2], own.sep_token_id] if ends else ids[:max_length]

    return ids_for_bert


def dropped(ids, rows):
    return [number for number in ids if number < rows]


def clipped(ids, rows):
    return [min(number, rows - 1) for number in ids]


def wrapped(ids, rows):
    return [number % rows for number in ids]


def own(text, **options):
    return tokenizers()[0](text, **options)["input_ids"]


def pieces_of_gpt2(text, max_length):
    bert, gpt2, _ = tokenizers()
    return bert.convert_tokens_to_ids(["[CLS]", *gpt2.tokenize(text)[: max_length - 2], "[SEP]"])


def with_capitals(text, max_length):
    return tokenizers()[2](text, truncation=True, max_length=max_length)["input_ids"]


def twice(text, max_length):
    return [101, *own(text, truncation=True, max_length=max_length - 2), 102]


def without_the_beginning(text, max_length):
    ids = own(text, add_special_tokens=False)
    return [101, *ids[-(max_length - 2) :], 102]


def sums(counts, parts_of=str.split):
    found = Counter()
    for word, times in counts.items():
        for pair in pairwise(parts_of(word)):
            found[pair] += times
    return found


def first(found):
    return min(found, key=lambda pair: (-found[pair], pair))


def once_in_a_word(counts):
    return first(Counter(pair for word, n in counts.items() for pair in list(set(pairwise(word.split()))) * n))


def across_words(counts):
    return first(Counter(pairwise(" ".join(word for word, n in counts.items() for _ in range(n)).split())))


def frequent_parts(counts):
    common = Counter(part for word, n in counts.items() for part in word.split() * n).most_common(2)
    return [part for part, _ in common]


def without_order(counts):
    found = Counter()
    for pair, n in sums(counts).items():
        found[tuple(sorted(pair))] += n
    return first(found)


def matching(choose=lambda fitting: max(fitting, key=len), unknown=lambda parts, rest: ["[UNK]"]):
    def cut(word, vocabulary):
        parts, rest = [], word
        while rest:
            fitting = [piece for piece in vocabulary if rest.startswith(piece)]
            if not fitting:
                return unknown(parts, rest)
            parts.append(choose(fitting))
            rest = rest[len(parts[-1]) :]
        return parts

    return cut


def unknown_letter(word, vocabulary):
    parts = []
    while word:
        fitting = [piece for piece in vocabulary if word.startswith(piece)]
        parts.append(max(fitting, key=len) if fitting else "[UNK]")
        word = word[len(parts[-1]) if fitting else 1 :]
    return parts


def anywhere(word, vocabulary):
    inside = [piece for piece in vocabulary if piece in word]
    if not word or not inside:
        return ["[UNK]"] if word else []
    piece = max(inside, key=lambda piece: (len(piece), -word.find(piece)))
    left, right = word.split(piece, 1)
    return [*anywhere(left, vocabulary), piece, *anywhere(right, vocabulary)]


def looking_back(word, vocabulary):
    def cuts(rest):
        for piece in sorted(vocabulary, key=len, reverse=True):
            if rest == piece:
                return [piece]
            if rest.startswith(piece) and (found := cuts(rest[len(piece) :])):
                return [piece, *found]
        return None

    return cuts(word) or ["[UNK]"]


def four(ids, rows, special, spare):
    beyond, inside = [one for one in ids if one >= rows], [one for one in ids if one < rows]
    counts = {"special": sum(one in special for one in inside), "spare": sum(one in spare for one in inside)}
    counts |= {"piece": len(inside) - sum(counts.values()), "beyond": len(beyond)}
    return counts


def all_of(batch):
    return [number for ids in batch for number in ids]


def fate(shift=0, how=any, ids_of=all_of, loud_of=all_of, piece=False, stop=False):
    def fate(batch, rows, special, spare):
        rows += shift
        found = four(ids_of(batch), rows, special, spare)
        if piece:
            found["piece"] += found["special"] + found["spare"]
        loud = how(one >= rows for one in loud_of(batch))
        if stop and loud:
            found = dict.fromkeys(found, 0)
        return found | {"loud": loud}

    return fate


def tie_by(key):
    return lambda counts: min(sums(counts), key=lambda pair: (-sums(counts)[pair], key(pair)))


def as_in_the_lesson(word, vocabulary):
    parts, start = [], 0
    while start < len(word):
        mark, end = "##" if start else "", len(word)
        while end > start and mark + word[start:end] not in vocabulary:
            end -= 1
        if end == start:
            return ["[UNK]"]
        parts.append(mark + word[start:end])
        start = end
    return parts


WRONG = [
    ("03.1", back(bert=range(7)), "normalizer of an *uncased*"),
    ("03.1", back(bert=[0, 2, 5]), "*café* and *naïve*"),
    ("03.1", back(bert=[0, 3, 5]), "there were two spaces"),
    ("03.1", back(bert=[0, 4, 5]), "are there pieces to write it"),
    ("03.1", back(bert=[0]), "to be cut is not to be lost"),
    ("03.1", back(bert=[0, 5, 6]), "pre-tokenizer split it"),
    ("03.1", back(gpt2=[0, 1, 2, 3, 5, 6]), "does every text consist"),
    ("03.1", back(gpt2=[0, 1, 3, 4, 5, 6]), "two bytes are *shown*"),
    ("03.1", back(gpt2=[0, 1, 2, 4, 5, 6]), "Is any byte"),
    ("03.1", back(bert=[1, 6, 7]), "numbers 0 to 6"),
    ("03.2", foreign(dropped), "come from"),
    ("03.2", foreign(dropped, ends=False), "come from"),
    ("03.2", foreign(clipped), "forced into the table"),
    ("03.2", foreign(wrapped), "forced into the table"),
    ("03.2", foreign(lambda ids, rows: ids), "lie beyond BERT's table"),
    ("03.2", pieces_of_gpt2, "are [UNK]"),
    ("03.2", with_capitals, "are [UNK]"),
    ("03.2", lambda text, n: own(text, add_special_tokens=False, truncation=True, max_length=n), "two special tokens"),
    ("03.2", lambda text, n: own(text), "Which ids count"),
    ("03.2", lambda text, n: own(text, truncation=True, max_length=n + 2), "Which ids count"),
    ("03.2", lambda text, n: own(text)[:n], "loses its [SEP]"),
    ("03.2", lambda text, n: own(text, truncation=True, max_length=n, padding="max_length"), "is padding"),
    ("03.2", lambda text, n: own([text], truncation=True, max_length=n), "list in your list"),
    ("03.2", lambda text, n: own(text[:n], truncation=True, max_length=n), "not words or letters"),
    ("03.2", twice, "twice in a row"),
    ("03.2", without_the_beginning, "keeps its last pieces"),
    ("03.3", lambda counts: first(sums(dict.fromkeys(counts, 1))), "Every word counts once"),
    ("03.3", once_in_a_word, "counts once there"),
    ("03.3", across_words, "border of two words"),
    ("03.3", without_order, "order of the two parts"),
    ("03.3", frequent_parts, "frequent *parts*"),
    ("03.3", lambda counts: first(sums(counts, lambda word: word.replace(" ", ""))), "You pair letters"),
    ("03.3", lambda counts: first(sums(counts, list)), "where a part ends"),
    ("03.3", lambda counts: sums(counts).most_common(1)[0][0], "equally frequent"),
    ("03.3", lambda counts: max(sums(counts), key=lambda pair: (sums(counts)[pair], pair)), "equally frequent"),
    ("03.3", lambda counts: "".join(first(sums(counts))), "got one text"),
    ("03.4", matching(choose=lambda fitting: min(fitting, key=len)), "the shortest piece"),
    ("03.4", matching(choose=lambda fitting: fitting[0]), "the first piece of the vocabulary"),
    ("03.4", anywhere, "anywhere in the word"),
    ("03.4", matching(unknown=lambda parts, rest: [*parts, "[UNK]"]), "*whole* word"),
    ("03.4", matching(unknown=lambda parts, rest: parts), "says nothing"),
    ("03.4", matching(unknown=lambda parts, rest: []), "empty list"),
    ("03.4", matching(unknown=lambda parts, rest: "[UNK]"), "Expected a list"),
    ("03.4", unknown_letter, "only a part of the word"),
    ("03.4", looking_back, "take a shorter piece"),
    ("03.5", fate(shift=1), "The first row has the number 0"),
    ("03.5", fate(shift=-1), "What is the number of the last row"),
    ("03.5", fate(how=all), "How many ids"),
    ("03.5", fate(loud_of=lambda batch: batch[0]), "How many ids"),
    ("03.5", fate(how=lambda tests: not all(tests)), "every id has a row"),
    ("03.5", fate(ids_of=lambda batch: set(all_of(batch))), "counts once"),
    ("03.5", fate(ids_of=lambda batch: batch[0]), "the first text only"),
    ("03.5", fate(piece=True), "What is left without them"),
    ("03.5", fate(stop=True), "Count them all"),
    ("03.3", tie_by(lambda pair: "".join(pair)), "equally frequent"),
    ("03.3", tie_by(lambda pair: pair[0]), "equally frequent"),
    ("03.4", as_in_the_lesson, "with the mark ##"),
]
