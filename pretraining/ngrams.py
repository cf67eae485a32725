"""The baseline that knows no network: an interpolated, modified Kneser-Ney n-gram model (Chen and Goodman 1999).

An n-gram of token ids is one number whose digits, in base `vocabulary`, are the ids; five ids below 7,131 fit into 64
bits. So counts are sorted arrays and a probability is a binary search: no table of strings, no tree.
"""

from __future__ import annotations

import numpy as np

ORDER = 5
LARGEST = 2**64  # of a number that stands for an n-gram
FALLBACK = (0.5, 1.0, 1.5)  # KenLM's discounts where a text is too small or too regular to estimate them


class KneserNey:
    """A 5-gram model of token ids with three discounts for each order, as KenLM's, over one stream of tokens.

    Args:
        tokens: shape (n,), ids.
        vocabulary: number of ids, at most 7,131 for 5-grams; each gets a probability above 0.
        order: longest n-gram, at most 5.
    """

    def __init__(self, tokens: np.ndarray, vocabulary: int, order: int = ORDER) -> None:
        if order < 1 or vocabulary**order > LARGEST:
            raise ValueError(f"{vocabulary} ids and order {order} do not fit into 64 bits; expected fewer ids.")
        self.order, self.vocabulary = order, vocabulary
        self.tables = []
        for n in range(order, 0, -1):
            if n == order:
                grams, counts = np.unique(self._codes(tokens, n), return_counts=True)
            else:  # in how many different contexts: count the longer n-grams without their first token
                longer = self.tables[0]["grams"] % np.uint64(vocabulary**n)
                grams, counts = np.unique(longer, return_counts=True)
            histories = grams // np.uint64(vocabulary)
            self.tables.insert(0, {"grams": grams, **_discounted(histories, counts)})

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
                history = history + contexts[:, 1 - n].astype(np.uint64) * np.uint64(self.vocabulary ** (n - 2))
                codes = history * np.uint64(self.vocabulary) + tokens.astype(np.uint64)
            mass = _look_up(table["grams"], table["discounted"], codes, 0.0)
            total = _look_up(table["histories"], table["totals"], history, 0.0)
            backed_off = _look_up(table["histories"], table["left_over"], history, 0.0)
            known = total > 0
            total = np.where(known, total, 1.0)
            probability = np.where(known, (mass + backed_off * probability) / total, probability)
        return np.log(probability)

    def _codes(self, tokens: np.ndarray, n: int) -> np.ndarray:
        codes = np.zeros(len(tokens) - n + 1, np.uint64)
        for place in range(n):
            codes = codes * np.uint64(self.vocabulary) + tokens[place : len(tokens) - n + 1 + place].astype(np.uint64)
        return codes


def _discounted(histories: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Counts less their discount, and for each history its total and what the discounts left over."""
    n1, n2, n3, n4 = (int(np.sum(counts == count)) for count in (1, 2, 3, 4))  # n-grams that occur so often
    discounts = np.array(FALLBACK)
    if min(n1, n2, n3, n4) > 0:
        rate = n1 / (n1 + 2 * n2)
        estimated = np.array([1 - 2 * rate * n2 / n1, 2 - 3 * rate * n3 / n2, 3 - 4 * rate * n4 / n3])
        discounts = np.where((estimated > 0) & (estimated < [1, 2, 3]), estimated, discounts)
    discount = discounts[np.minimum(counts, 3) - 1]
    histories, first = np.unique(histories, return_index=True)
    return {
        "discounted": counts - discount,
        "histories": histories,
        "totals": np.add.reduceat(counts, first).astype(float),
        "left_over": np.add.reduceat(discount, first),
    }


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, default: float) -> np.ndarray:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], default)
