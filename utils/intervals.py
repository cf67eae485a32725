"""Measured numbers with their 95% intervals, as the claims of the lessons need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Number:
    """A measured number.

    Attributes:
        value: the estimate.
        low, high: ends of its 95% interval; None for a number that is exact.
        unit: written after it, for example "%".
    """

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else float(given))  # numpy's numbers are no JSON

    def __str__(self) -> str:
        if self.low is None:
            return f"{self._written(self.value)}{self.unit}"
        low, high = self._written(self.low), self._written(self.high)
        return f"{self._written(self.value)}{self.unit} ({low} to {high})"

    def __neg__(self) -> Number:
        """The same with the opposite sign: a difference the other way round."""
        ends = (None, None) if self.low is None else (-self.high, -self.low)
        return Number(-self.value, *ends, self.unit)

    def above(self, bound: float) -> bool | None:
        """Is the number above the bound? None if its interval holds the bound, so that the data cannot tell."""
        if self.low is None:
            return self.value > bound
        if self.low > bound:
            return True
        return False if self.high < bound else None

    def below(self, bound: float) -> bool | None:
        """Is the number below the bound? None if its interval holds the bound."""
        if self.low is None:
            return self.value < bound
        if self.high < bound:
            return True
        return False if self.low > bound else None

    def within(self, margin: float) -> bool | None:
        """Is the number nearer to 0 than the margin? A test of equivalence; None if the data cannot tell.

        Two one-sided tests at 2.5% (Schuirmann 1987): met if the whole 95% interval lies between -margin and margin.
        """
        if self.low is None:
            return abs(self.value) < margin
        if -margin < self.low and self.high < margin:
            return True
        return False if self.low > margin or self.high < -margin else None

    def holds(self, value: float) -> bool:
        """Is `value` inside the interval?"""
        low, high = (self.value, self.value) if self.low is None else (self.low, self.high)
        return low <= value <= high

    def _written(self, value: float) -> str:
        if value == 0:
            return "0"  # exactly; a rounded one is 0.0
        return f"{value:.1f}" if self.unit else f"{value:,.3g}"


def smallest(numbers: dict[str, Number], bound: float = 0.0) -> Number:
    """The weakest of a claim's parts, which decides whether all lie above a bound.

    If some surely do not, by their whole intervals, the one of them that ends lowest; else the one that begins lowest.
    """

    def end(number: Number, name: str) -> float:
        return number.value if number.low is None else getattr(number, name)

    failed = [number for number in numbers.values() if number.above(bound) is False]
    if failed:
        return min(failed, key=lambda number: end(number, "high"))
    return min(numbers.values(), key=lambda number: end(number, "low"))


def share(hits) -> Number:
    """The share of True among independent outcomes, in percent, with Wilson's interval.

    Args:
        hits: shape (n,), bool.
    """
    from scipy.stats import binomtest

    hits = np.asarray(hits, dtype=bool)
    if hits.ndim != 1 or len(hits) == 0:
        raise ValueError(f"Expected outcomes of shape (n,) with n > 0, got {hits.shape}.")
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return Number(100 * hits.mean(), 100 * interval.low, 100 * interval.high, "%")


def paired_difference(first, second, scale: float = 100.0, unit: str = " points") -> Number:
    """Mean of first - second over the same items, with the 95% interval of the t distribution.

    Args:
        first, second: shape (n,), outcomes (bool) or scores of the same n > 1 items.
        scale: factor of the difference; 100 turns shares into points.
        unit: of the scaled difference.
    """
    from scipy.stats import t

    gaps = scale * (np.asarray(first, dtype=float) - np.asarray(second, dtype=float))
    if gaps.ndim != 1 or len(gaps) < 2:
        raise ValueError(f"Expected two sets of outcomes of shape (n,) with n > 1, got {gaps.shape}.")
    half = t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    half = half or _never_seen(len(gaps), unit)
    return Number(gaps.mean(), gaps.mean() - half, gaps.mean() + half, unit)


def leave_one_out(value: float, without, unit: str = "") -> Number:
    """A statistic of n items with the 95% interval of the jackknife (Tukey 1958), for what is no mean over them.

    Args:
        value: the statistic of all items.
        without: shape (n,), n > 1: the statistic of all items but each one.
        unit: of the statistic.
    """
    without = np.asarray(without, dtype=float)
    if without.ndim != 1 or len(without) < 2:
        raise ValueError(f"Expected the statistic without each of n > 1 items, shape (n,), got {without.shape}.")
    count = len(without)
    around = mean(count * value - (count - 1) * without)
    half = (around.high - around.low) / 2
    return Number(value, value - half, value + half, unit)


def mean(values, unit: str = "") -> Number:
    """The mean of independent values with the 95% interval of the t distribution.

    Args:
        values: shape (n,), n > 1.
        unit: of the values.
    """
    return paired_difference(values, np.zeros(len(values)), scale=1, unit=unit)


def over_seeds(values, unit: str = "") -> Number:
    """The mean of n items' scores in several runs, with a 95% interval for other items and other seeds.

    The half-widths of the two means' own t intervals, over seeds and over items, are added as squares. In simulations
    with 3 to 20 seeds whose effects are normal, uniform or t distributed, it covers at least 93% (`tests`); where a
    few seeds fail altogether and the others do not, no interval of few seeds does: report those apart. Where all runs
    give the same answers, it is that of the items alone, and says nothing of other seeds.

    Args:
        values: shape (seeds, items), at least two of each: the score of each item in each run, or a paired difference.
        unit: of the values.
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"Expected scores of shape (seeds, items), at least two of each, got {values.shape}.")
    halves = []
    for axis in (0, 1):  # means over the seeds, one for each item; then means over the items, one for each seed
        means = values.mean(axis=axis)
        halves.append(t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))
    half = np.hypot(*halves) or _never_seen(values.shape[1], unit)
    return Number(values.mean(), values.mean() - half, values.mean() + half, unit)


def _never_seen(items: int, unit: str) -> float:
    """Half a width where all outcomes are the same: nothing varied, which does not mean that nothing can.

    Of what n items never showed, there may be 1 - 0.025^(1/n), about 3.7 in n (Clopper and Pearson 1934). For shares in
    percent or points only: other values have no range that says how much one of them could differ.
    """
    return 100 * (1 - 0.025 ** (1 / items)) if unit in ("%", " points") else 0.0
