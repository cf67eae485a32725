"""Which sentences an encoder puts side by side although they have no word in common."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

BEGINNING = 5  # letters: "romance" and "romantic" count as one word


def pairs_without_shared_words(sentences: Sequence[str], vectors: np.ndarray) -> list[tuple[int, int]]:
    """For each sentence its nearest one, by cosine, among those that share no word with it, stop words apart.

    Args:
        sentences: n texts.
        vectors: shape (n, width), none of them 0.

    Returns:
        Places of two sentences, each pair once, the smaller place first; the pair with the largest cosine comes first.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(analyzer=beginnings_of_words).fit_transform(sentences)
    strangers = (words @ words.T).toarray() == 0
    np.fill_diagonal(strangers, False)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = np.where(strangers, unit @ unit.T, -np.inf)
    nearest = {row: int(cosines[row].argmax()) for row in np.flatnonzero(strangers.any(axis=1)).tolist()}
    pairs = {tuple(sorted(pair)) for pair in nearest.items()}
    return sorted(pairs, key=lambda pair: (-cosines[pair], pair))


def beginnings_of_words(text: str) -> set[str]:
    """The first letters of each word of a lower-case text that is no stop word."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return {word[:BEGINNING] for word in re.findall(r"\w\w+", text) if word not in ENGLISH_STOP_WORDS}


def show(pairs: Sequence[tuple[int, int]], sentences: Sequence[str], truth: Sequence[int], most: int = 4) -> None:
    """Print the first pairs, each sentence once: + before a positive one, - before a negative one."""
    shown: set[int] = set()
    for pair in pairs:
        if len(shown) < 2 * most and not shown & set(pair):
            print(*[f"{'+' if truth[place] else '-'} {sentences[place]}" for place in pair], sep="\n", end="\n\n")
            shown |= set(pair)
