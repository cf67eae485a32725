"""The baseline that knows no network: an interpolated, modified Kneser-Ney n-gram model (Chen and Goodman 1999).

An n-gram of token ids below 4,096 fits into one 64-bit number of 12 bits each, so counts are sorted arrays and a
probability is a binary search: no table of strings, no tree.
"""

from __future__ import annotations

import numpy as np

BITS = 12  # of a token id
ORDER = 5
FALLBACK = (0.5, 1.0, 1.5)  # KenLM's discounts where a text is too small or too regular to estimate them


class KneserNey:
    """A 5-gram model of token ids with three discounts for each order, as KenLM's, over one stream of tokens.

    Args:
        tokens: shape (n,), ids below 4,096.
        vocabulary: number of ids; each gets a probability above 0.
        order: longest n-gram, at most 5.
    """

    def __init__(self, tokens: np.ndarray, vocabulary: int, order: int = ORDER) -> None:
        if vocabulary > 2**BITS or not 1 <= order <= 64 // BITS:
            raise ValueError(f"{vocabulary} ids and order {order}; expected at most {2**BITS} and {64 // BITS}.")
        self.order, self.vocabulary = order, vocabulary
        self.tables = []
        for n in range(order, 0, -1):
            if n == order:
                grams, counts = np.unique(_codes(tokens, n), return_counts=True)
            else:  # in how many different contexts: count the longer n-grams without their first token
                longer = self.tables[0]["grams"] & np.uint64(2 ** (BITS * n) - 1)
                grams, counts = np.unique(longer, return_counts=True)
            self.tables.insert(0, {"grams": grams, **_discounted(grams, counts)})

    def log_probabilities(self, contexts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """ln p(token | the 4 tokens before it); shape (n,).

        Args:
            contexts: shape (n, order - 1), the nearest token last.
            tokens: shape (n,).
        """
        codes = tokens.astype(np.uint64)
        history = np.zeros(len(tokens), np.uint64)
        probability = np.full(len(tokens), 1 / self.vocabulary)
        for n, table in enumerate(self.tables, 1):
            if n > 1:
                place = np.uint64(BITS * (n - 2))
                history = history | contexts[:, 1 - n].astype(np.uint64) << place
                codes = history << np.uint64(BITS) | tokens.astype(np.uint64)
            mass = _look_up(table["grams"], table["discounted"], codes, 0.0)
            total = _look_up(table["histories"], table["totals"], history, 0.0)
            backed_off = _look_up(table["histories"], table["left_over"], history, 0.0)
            known = total > 0
            total = np.where(known, total, 1.0)
            probability = np.where(known, (mass + backed_off * probability) / total, probability)
        return np.log(probability)


def _codes(tokens: np.ndarray, n: int) -> np.ndarray:
    codes = np.zeros(len(tokens) - n + 1, np.uint64)
    for place in range(n):
        codes = codes << np.uint64(BITS) | tokens[place : len(tokens) - n + 1 + place].astype(np.uint64)
    return codes


def _discounted(grams: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Counts less their discount, and for each history its total and what the discounts left over."""
    n1, n2, n3, n4 = (int(np.sum(counts == count)) for count in (1, 2, 3, 4))  # n-grams that occur so often
    discounts = np.array(FALLBACK)
    if min(n1, n2, n3, n4) > 0:
        rate = n1 / (n1 + 2 * n2)
        estimated = np.array([1 - 2 * rate * n2 / n1, 2 - 3 * rate * n3 / n2, 3 - 4 * rate * n4 / n3])
        discounts = np.where((estimated > 0) & (estimated < [1, 2, 3]), estimated, discounts)
    discount = discounts[np.minimum(counts, 3) - 1]
    histories, first = np.unique(grams >> np.uint64(BITS), return_index=True)
    return {
        "discounted": counts - discount,
        "histories": histories,
        "totals": np.add.reduceat(counts, first).astype(float),
        "left_over": np.add.reduceat(discount, first),
    }


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, default: float) -> np.ndarray:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], default)
