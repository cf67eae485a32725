"""Sentences for lesson 03 and its deeper notebook, and ids of which the cut, the numbers or both are not BERT's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

LONGEST = 62  # pieces between [CLS] and [SEP]
# Sentences of each label, so that always the same answer is right for half; more of rarer words, for a small effect.
OF_EACH, RARER, FEW = 500, 2000, 50


def plain_sentences(profile, sentences: DatasetDict, gpt2, rows: int, seen: int) -> Dataset:
    """1,000 sentences, half of them positive, that the classifier has not met; all their GPT-2 ids have a row."""
    return drawn(profile, sentences, gpt2, rows, seen)[0]


def drawn(profile, sentences: DatasetDict, gpt2, rows: int, seen: int) -> tuple[Dataset, Dataset, Dataset]:
    """Sentences that section 1's classifier has not met, half of each label: to be judged, to learn from, rarer words.

    Args:
        profile: a quick one takes few.
        sentences: Rotten Tomatoes.
        gpt2: GPT-2's tokenizer; of the first two sets all ids lie in the table, of the third at least one does not.
        rows: of the table.
        seen: how many of the shuffled training sentences the classifier has met.
    """
    from datasets import concatenate_datasets

    unseen = sentences["train"].shuffle(seed=0).select(range(seen, len(sentences["train"])))
    others = concatenate_datasets([sentences["test"], sentences["validation"], unseen])
    labels = np.array(others["label"])
    fits = np.array([max(ids) < rows for ids in _gpt2_ids(gpt2, others["text"])])
    of_each, of_rarer = (FEW, FEW) if profile.quick else (OF_EACH, RARER)
    sets = ((fits, slice(of_each)), (fits, slice(of_each, 2 * of_each)), (~fits, slice(of_rarer)))
    return tuple(
        others.select(np.concatenate([np.flatnonzero(kind & (labels == label))[part] for label in (0, 1)]))
        for kind, part in sets
    )


def gpt2_ids(bert, gpt2, texts) -> list[list[int]]:
    """GPT-2's ids between BERT's special tokens."""
    return _between_ends(bert, _gpt2_ids(gpt2, texts))


def spelled(bert, gpt2, texts) -> list[list[int]]:
    """GPT-2's pieces, each with the id that BERT's vocabulary gives to its spelling; [UNK] where it has none."""
    ids = _gpt2_ids(gpt2, texts)
    vocabulary = bert.get_vocab()

    def number(piece: str) -> int:
        if piece.startswith("Ġ"):
            piece = piece[1:]
        elif piece.isalpha():
            piece = f"##{piece}"  # goes on with a word, mostly
        return vocabulary.get(piece.lower(), bert.unk_token_id)

    return _between_ends(bert, [[number(piece) for piece in gpt2.convert_ids_to_tokens(row)] for row in ids])


def renumbered(bert, rows: list[list[int]], seed: int = 0) -> list[list[int]]:
    """Each piece gets one fixed other number, drawn at random; special tokens keep theirs."""
    other = np.random.default_rng(seed).permutation(len(bert))
    special = set(bert.all_special_ids)
    return [[id if id in special else int(other[id]) for id in ids] for ids in rows]


def cut_otherwise(bert, gpt2, texts) -> np.ndarray:
    """For each word of the texts: does GPT-2 cut it at other places than BERT?"""
    words = [word for text in texts for word in text.split()]
    other = {
        word: [piece.removeprefix("##") for piece in bert.tokenize(word)]
        != [piece.removeprefix("Ġ").lower() for piece in gpt2.tokenize(f" {word}")]
        for word in set(words)
    }
    return np.array([other[word] for word in words])


def _gpt2_ids(gpt2, texts) -> list[list[int]]:
    return gpt2([f" {text}" for text in texts])["input_ids"]  # the space makes the first word one like the others


def _between_ends(bert, rows: list[list[int]]) -> list[list[int]]:
    return [[bert.cls_token_id, *ids[:LONGEST], bert.sep_token_id] for ids in rows]
