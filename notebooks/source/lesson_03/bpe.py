"""Byte-pair encoding in four small functions. The deeper notebook writes it out, and compares it with the library."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

Word = tuple[str, ...]  # a word as the pieces into which it is cut so far: ("f", "i", "l", "m")
Pair = tuple[str, str]


def count_words(texts) -> dict[Word, int]:
    """How often each word of the texts occurs, in small letters a to z, each word cut into its letters."""
    text = " ".join(texts).replace("<br />", " ").lower()
    return {tuple(word): count for word, count in Counter(re.findall(r"[a-z]+", text)).items()}


def count_pairs(words: dict[Word, int]) -> Counter[Pair]:
    """How often two pieces stand side by side within a word, in all the text."""
    pairs = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def join(words: dict[Word, int], pair: Pair) -> dict[Word, int]:
    """The same words, with the pair made one piece wherever it stands."""
    return {tuple(_joined(word, pair)): count for word, count in words.items()}


def cut(word: str, merges: list[Pair]) -> list[str]:
    """The pieces of a word: its letters, then each merge in the order in which it was learned."""
    parts = list(word)
    for pair in merges:
        parts = _joined(parts, pair)
    return parts


def _joined(parts, pair: Pair) -> list[str]:
    joined = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined
