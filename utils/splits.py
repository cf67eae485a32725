"""Split labelled reviews so that no film stands on both sides.

The IMDB archive lists the reviews of one film next to each other, but names no film, and it lists
negative and positive reviews in unrelated orders. So a split needs two steps: cut each label into
contiguous blocks, then drop what the other label's blocks still share, told by rare proper names.
"""

from __future__ import annotations

import numpy as np

SPLIT_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
RARE_NAME = r"(?<=[a-z,] )[A-Z][a-z]{2,}"  # a capitalised word that does not open a sentence
RARE_IN_AT_MOST = 40  # reviews; IMDB holds at most 30 reviews of a film
SHARED_NAMES = 3


def contiguous_blocks(labels: np.ndarray, shares: dict[str, float]) -> dict[str, np.ndarray]:
    """Cut every label's rows, in their order, into consecutive blocks.

    Args:
        labels: shape (n,), one class id per row.
        shares: name of split -> share of the rows, in order; they add up to 1.

    Returns:
        Name of split -> sorted row numbers. Every row is in exactly one split.
    """
    labels = np.asarray(labels)
    if len(labels) == 0 or not np.isclose(sum(shares.values()), 1.0):
        raise ValueError(f"Expected rows and shares that add up to 1, got {len(labels)} rows and {shares}.")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in shares}
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        ends = np.rint(np.cumsum(list(shares.values())) * len(of_label)).astype(int)
        for name, block in zip(shares, np.split(of_label, ends[:-1]), strict=True):
            rows[name].append(block)
    return {name: np.sort(np.concatenate(blocks)) for name, blocks in rows.items()}


def rare_names(texts: list[str]):
    """Which rare proper names each text holds: a binary sparse matrix of shape (texts, names).

    A name is rare when it stands in 2 to 40 texts. Characters, actors and directors of one film
    are shared by its reviews and by few others.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        lowercase=False, token_pattern=RARE_NAME, binary=True, min_df=1, max_df=RARE_IN_AT_MOST, dtype=np.int32
    )
    try:
        return vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # no text holds any name
        return csr_matrix((len(texts), 1), dtype=np.int32)


def shares_names(names, rows: np.ndarray, held_out: np.ndarray, at_least: int = SHARED_NAMES) -> np.ndarray:
    """For each of `rows`: does it share `at_least` rare names with any held-out row?  Shape (len(rows),), bool."""
    common = (names[rows] @ names[held_out].T).tocsr()
    if common.nnz == 0:
        return np.zeros(len(rows), dtype=bool)
    return common.max(axis=1).toarray().ravel() >= at_least


def film_split(texts: list[str], labels: np.ndarray, shares: dict[str, float] | None = None) -> dict[str, np.ndarray]:
    """Split reviews into train, validation and test with no film in two of them, as far as names tell.

    Contiguous blocks per label; then every row is dropped that shares three rare names with a later
    split (train against validation and test, validation against test); then each split is balanced by
    leaving out the rows of the larger label that stand nearest to the next split.

    Args:
        texts: n reviews in the archive's order, without duplicates.
        labels: shape (n,), class ids.
        shares: name of split -> share of the rows, in order of the blocks; SPLIT_SHARES by default.

    Returns:
        Name of split -> sorted row numbers, the labels equally frequent in each.
    """
    labels = np.asarray(labels)
    splits = contiguous_blocks(labels, shares or SPLIT_SHARES)
    names = rare_names(texts)
    later = list(splits)
    while len(later) > 1:
        name = later.pop(0)
        held_out = np.concatenate([splits[other] for other in later])
        splits[name] = splits[name][~shares_names(names, splits[name], held_out)]
    for name, rows in splits.items():
        smallest = min(np.sum(labels[rows] == label) for label in np.unique(labels))
        balanced = [rows[labels[rows] == label][:smallest] for label in np.unique(labels)]
        splits[name] = np.sort(np.concatenate(balanced))
    return splits


def with_validation(dataset, share: float = 0.1):
    """Take a validation split from the end of each label's training rows, films kept apart as in `film_split`.

    Args:
        dataset: a `DatasetDict` with `train` (columns `text`, `label`) and without `validation`.
        share: share of the training rows.

    Returns:
        A new `DatasetDict`: train (smaller), validation, and the other splits as they were.
    """
    from datasets import DatasetDict

    rows = dataset["train"]
    if "validation" in dataset:
        raise ValueError("Expected a data set without a validation split, got one that has it.")
    parts = film_split(rows["text"], np.array(rows["label"]), {"train": 1 - share, "validation": share})
    return DatasetDict({**dataset, **{name: rows.select(chosen) for name, chosen in parts.items()}})
