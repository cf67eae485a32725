"""Checks of the exercises of lesson 02: loss at the start, padding, honest splits, paired comparison.

Words of each hint stand in tests/wrong_answers/lesson_02.py, which tries every one.
"""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks import check, exercise
from utils.checks.answers import Hint, entries, hint_if, listed, number, numbers, require

__all__ = ["check"]  # the exercise notebook imports it from here, and with it come these checks

LABELS = (2, 3, 5, 1000)  # of exercise 1


@exercise(
    "02.1",
    "The loss before training",
    "a dict with a number for each number of labels",
    function=False,
    stronger="First the probability that an even guess gives to the true label, then the natural logarithm of it, "
    "then the other sign. Section 2 does this for two labels.",
    why="The loss of an even guess is known before you train, so a first loss far from it says that something is off.",
)
def loss_before_training(answer, rng) -> None:
    losses = {n: number(loss, f"the loss for {n} labels") for n, loss in entries(answer, LABELS).items()}

    def is_(theirs, within=0.02):
        return all(abs(losses[n] - theirs(n)) < within for n in losses)

    def even(n):
        return F.cross_entropy(torch.zeros(20, n), torch.from_numpy(rng.integers(0, n, 20))).item()

    hint_if(is_(lambda n: 0), "A loss of 0 means sure and right. Is a head sure that knows nothing yet?")
    hint_if(is_(lambda n: 1 / n), "This is the probability of the true label. How does a loss come out of it?")
    hint_if(is_(lambda n: 1 - 1 / n), "This is how often an even guess is wrong. The loss is another number.")
    hint_if(is_(lambda n: n), "The loss grows with the number of labels, but far more slowly than that number.")
    hint_if(is_(math.log2), "This is in bits, with the logarithm to the base 2. Which base gives nats?")
    hint_if(is_(math.log10), "This is the logarithm to the base 10. Which base gives nats?")
    require(min(losses.values()) >= 0, "Your loss is negative. The loss is *minus* the logarithm of a probability ≤ 1.")
    hint_if(is_(lambda n: math.log(2)), "All as with two labels: is one half still the probability of each?")
    hint_if(not is_(even) and is_(even, 0.1), "Nearly. Give two digits after the point; you may calculate.")
    off = ", ".join(str(n) for n in losses if abs(losses[n] - even(n)) >= 0.02)
    hint_if(off, f"Not right for {off} labels. Which probability does each label get there?")


@exercise(
    "02.2",
    "A collator that does not pad",
    "a function of rows and pad_id",
    stronger="Find the longest row of the batch. Add to each row as many pad ids as it lacks. Make the mask from "
    "the *lengths*: as many ones as the row had tokens, then zeros. Labels need no padding.",
    why="The mask comes from the lengths: an id alone does not say whether it was written or filled up.",
)
def collate(function, rng) -> None:
    for _ in range(3):
        pad = int(rng.integers(5, 50))
        lengths = rng.permutation(np.arange(3, 12))[:4].tolist()
        rows = [rng.integers(50, 1000, length).tolist() for length in lengths]
        longest = max(lengths)
        for row in rows:
            row[-1] = row[1] = pad  # real tokens with the id of the padding
        labels = [0, 1, *rng.integers(0, 2, 2).tolist()]
        batch = function([{"input_ids": ids, "label": label} for ids, label in zip(rows, labels, strict=True)], pad)
        hint_if(
            isinstance(batch, dict) and "labels" not in batch,
            "The labels are lost. Without an entry `labels` the model computes no loss.",
        )
        batch = entries(batch, ("input_ids", "attention_mask", "labels"), "the batch")
        for name, value in batch.items():
            require(isinstance(value, np.ndarray), f"`{name}` is to be a tensor. The model takes no lists.")
        ids, mask, got = (numbers(batch[name], name) for name in ("input_ids", "attention_mask", "labels"))
        require(
            ids.dtype.kind != "f" and got.dtype.kind != "f",
            "Ids and labels are whole numbers, yours have a decimal point. Which dtype do your tensors have?",
        )
        require(ids.ndim == 2 and len(ids) == 4, f"Expected input_ids of 4 rows for 4 reviews, got shape {ids.shape}.")
        width = ids.shape[1]
        require(
            width <= longest,
            f"The longest row of this batch has {longest} tokens, and you pad to {width}. What does the rest cost, "
            "and what does it teach?",
        )
        require(width == longest, f"The longest row has {longest} tokens, you keep {width}. No token may be lost.")
        filled = [[*row, *[pad] * (longest - len(row))] for row in rows]
        right = [[1] * length + [0] * (longest - length) for length in lengths]
        if not np.array_equal(ids, filled):
            hint_if(
                ids.tolist() == [[*[pad] * (longest - len(row)), *row] for row in rows],
                "You pad on the left; the exercise asks for the right.",
            )
            hint_if(
                ids.tolist() == [[*row, *[0] * (longest - len(row))] for row in rows],
                "You pad with 0. Not every tokenizer has its padding there. Which id is given?",
            )
            hint_if(sorted(ids.tolist()) == sorted(filled), "The rows are right, but their order has changed.")
            raise Hint(f"For rows of {lengths} tokens the ids are off. Is each row followed by pad ids only?")
        numbers(mask, "attention_mask", ids.shape)
        require(mask.dtype.kind in "iu", "The mask is to be of whole numbers, 0 and 1. Which dtype does yours have?")
        mask = mask.astype(int).tolist()
        hint_if(mask == np.ones_like(ids).tolist(), "The mask is 1 everywhere, so the model would read the padding.")
        hint_if(
            mask == (ids != pad).astype(int).tolist(),
            "A real token may have the id of the padding, and you mask it. What tells the two apart?",
        )
        hint_if(mask == [[1 - bit for bit in row] for row in right], "The mask is the wrong way round: 1 for text.")
        require(mask == right, f"For rows of {lengths} tokens the mask is off. How many ones does each row need?")
        numbers(got, "labels", (4,))
        require(got.tolist() == labels, "The labels are off: one for each row, as given, in the same order.")


@exercise(
    "02.3",
    "A split that lies",
    "a function of films, share and seed",
    stronger="Draw films, not rows: list each film once, shuffle that list with the seed, and take films for the "
    "test until they have enough rows. Then go through the rows and look where the film of each belongs.",
    why="Split what you want to be new at the test, here the film, and let the rows follow.",
)
def split(function, rng) -> None:
    for scattered in (False, True):
        share = float(rng.choice([0.2, 0.25, 0.3]))
        films = reviewed_films(rng, share, scattered)
        total = len(films)
        seed = int(rng.integers(1000))
        train, test = two_lists(function(films, share, seed), films)
        require(train and test, f"One of your lists is empty; {total} rows are to be divided.")
        learned, tested = set(train), set(test)
        hint_if(tested <= learned, "All test rows are in train as well. Take them out of what is learned from.")
        hint_if(learned & tested, f"{len(learned & tested)} rows are in both lists.")
        require(len(train) + len(test) == len(learned) + len(tested), "Some rows stand in a list twice.")
        lost = total - len(learned) - len(tested)
        hint_if(lost, f"{lost} of {total} rows are in neither list. Each row has its place.")
        both = {films[row] for row in train} & {films[row] for row in test}
        if both:
            by_position = tested in (set(range(len(test))), set(range(total - len(test), total)))
            hint_if(by_position and not scattered, "The rows are cut in one place, and it goes through a film.")
            hint_if(by_position, "You rely on the order, but the reviews of a film need not be neighbours.")
            raise Hint(f"{len(both)} films have reviews on both sides. What must be drawn, rows or films?")
        got = len(test) / total
        require(abs(got - (1 - share)) >= 0.05, "Train and test are swapped: the first list is for learning.")
        require(abs(got - share) <= 0.05, f"{got:.0%} of the rows are in test; expected about {share:.0%}.")
    again = two_lists(function(films, share, seed), films)
    require(set(again[1]) == tested, "The same seed gives another split. Nobody could repeat your measurement.")
    other = two_lists(function(films, share, seed + 1), films)
    hint_if(set(other[1]) == tested, "Another seed gives the same split. What does your function do with `seed`?")


def reviewed_films(rng, share: float, scattered: bool) -> list[str]:
    """A film's name for each review: 60 films of 8 to 12 reviews, none of which ends where a share of rows does."""
    while True:
        names = [f"film {place}" for place in rng.permutation(60)]
        films = [name for name in names for _ in range(rng.integers(8, 13))]
        rows = len(films)
        cuts = [round(part * rows) for part in (share, 1 - share)]
        if all(films[cut + step - 1] == films[cut + step] for cut in cuts for step in range(-2, 3)):
            return rng.permutation(films).tolist() if scattered else films


def two_lists(pair, films: list[str]) -> list[list[int]]:
    """Train and test as lists of row numbers.

    Raises:
        Hint: they are none.
    """
    require(isinstance(pair, list) and len(pair) == 2, "Expected two lists of row numbers, train and test.")
    train, test = listed(pair[0], "train"), listed(pair[1], "test")
    rows = [*train, *test]
    hint_if(any(isinstance(row, str) for row in rows), "Your lists hold names of films; row numbers are expected.")
    require(
        all(isinstance(row, int) and not isinstance(row, bool) and 0 <= row < len(films) for row in rows),
        f"Expected row numbers, whole numbers from 0 to {len(films) - 1}; some of yours are not.",
    )
    return [train, test]


@exercise(
    "02.4",
    "Is the difference real?",
    "a function of two lists of 0 and 1",
    stronger="Subtract review by review, which gives 1, 0 or -1. Take the mean and the standard deviation of these, "
    "divide the latter by the root of their number, times 1.96: is the mean larger than that?",
    why="Pairing takes out what the two share: a review that is easy or hard for both does not blur the difference.",
)
def is_better(function, rng) -> None:
    draws = comparisons(rng)
    verdicts = []
    for first, second in draws.values():
        verdict = function(first.tolist(), second.tolist())
        require(isinstance(verdict, bool), "Expected True or False. Compare the interval with 0.")
        verdicts.append(verdict)

    def is_(theirs):
        return verdicts == [bool(theirs(*pair)) for pair in draws.values()]

    require(
        any(verdicts),
        "You never say True, even where the first is clearly better. How does the half-width shrink with the number "
        "of reviews? And are both sides of your comparison in the same unit?",
    )
    hint_if(
        is_(lambda a, b: z(a, b) > 0),
        "You say True whenever the first is ahead, however little. Which gaps can chance explain? And is the "
        "half-width in the same unit as the gap?",
    )
    hint_if(
        is_(lambda a, b: abs(z(a, b)) > 1.96),
        "You say True where the *second* is better, too. On which side of 0 must the interval lie?",
    )
    hint_if(is_(lambda a, b: z(b, a) > 1.96), "You subtract the other way: first minus second is asked for.")
    hint_if(
        is_(lambda a, b: z(a, b) > -1.96),
        "You look at the upper end of the interval. Which end must be above 0 when all of it is?",
    )
    hint_if(
        (is_(intervals_apart) or is_(unpaired)),
        "You look at each classifier by itself. Both judged the same reviews: compare one by one.",
    )
    hint_if(
        (is_(lambda a, b: z(a, b) > 1) or is_(lambda a, b: z(a, b) > 1.645)),
        "Your interval is too narrow for 95%. How many standard errors go to each side?",
    )
    hint_if(is_(lambda a, b: z(a, b) > 2.576), "Your interval is too wide: it is one of 99%.")
    for (what, (first, second)), verdict in zip(draws.items(), verdicts, strict=True):
        alone = int((first > second).sum()), int((second > first).sum())
        require(
            verdict == (z(first, second) > 1.96),
            f"{len(first)} reviews, only the first right on {alone[0]}, only the second on {alone[1]} ({what}): you "
            f"say {verdict}.",
        )


def z(first: np.ndarray, second: np.ndarray) -> float:
    """The mean of the paired difference in standard errors."""
    gap = first.astype(float) - second.astype(float)
    return gap.mean() / (gap.std() / math.sqrt(len(gap)))


def unpaired(first: np.ndarray, second: np.ndarray) -> bool:
    """Is the first better, if its reviews were others than the second's?"""
    return first.mean() - second.mean() > 1.96 * math.sqrt((first.var() + second.var()) / len(first))


def intervals_apart(first: np.ndarray, second: np.ndarray) -> bool:
    """Does the interval of the first lie above that of the second?"""
    return first.mean() - second.mean() > 1.96 * (first.std() + second.std()) / math.sqrt(len(first))


def comparisons(rng) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs of hits on the same reviews, none near the border of an interval; what pairing sees and others do not."""
    wanted = {  # between which standard errors, how many reviews with one of the two right, is it clear unpaired?
        "a clear gap": (6, 9, 130, True),
        "a gap that the pairs show": (3, 3.6, 50, False),
        "a gap just large enough": (2.1, 2.4, 90, False),
        "a gap not quite large enough": (1.72, 1.86, 90, False),
        "a small gap": (1.1, 1.5, 60, False),
        "a tiny gap": (0.2, 0.6, 60, False),
        "a small gap the other way": (-1.5, -0.8, 60, False),
        "a clear gap the other way": (-9, -6, 130, False),
    }
    return {what: comparison(rng, *limits) for what, limits in wanted.items()}


def comparison(rng, low: float, high: float, alone: int, clear: bool) -> tuple[np.ndarray, np.ndarray]:
    """Hits of two classifiers on the same reviews whose paired difference lies between so many standard errors."""
    while True:
        only_one, size = int(rng.integers(alone - 10, alone + 11)), int(rng.integers(600, 900))
        only_first = int(rng.integers(0, only_one + 1))
        neither = int(rng.integers(100, 150))
        counts = [only_first, only_one - only_first, neither, size - only_one - neither]
        pairs = rng.permutation(np.repeat([[1, 0], [0, 1], [0, 0], [1, 1]], counts, axis=0))
        first, second = pairs.T
        if low < z(first, second) < high and unpaired(first, second) == intervals_apart(first, second) == clear:
            return first, second


@exercise(
    "02.5",
    "What padding costs",
    "a function of lengths and batch_size",
    stronger="Cut the list into pieces of batch_size. A piece costs its number of reviews times its longest. Add "
    "this up over the pieces; what of it is not in `lengths` is padding. Divide at the end, once.",
    why="What a batch costs is set by its longest review, so what it wastes depends on who is in it.",
)
def share_of_padding(function, rng) -> None:
    for _ in range(3):
        lengths, size = padded_lengths(rng)
        right = padding_by_batch(lengths, size)
        got = number(function(lengths, size), "the share")
        for hint, values in padding_mistakes(lengths, size).items():
            require(all(abs(got - value) > 1e-4 for value in values), hint)
        require(0 <= got <= 1, f"A share lies between 0 and 1; yours is {got:.4g}.")
        require(
            abs(got - right) < 1e-4,
            f"For {len(lengths)} lengths in batches of {size} your share is {got:.3f}. Do not round it; try it by "
            "hand on the example in the docstring.",
        )
    lengths = lengths[: len(lengths) // size * size]
    got = number(function(lengths, size), "the share")
    require(
        abs(got - padding_by_batch(lengths, size)) < 1e-4,
        "It is right where the last batch is smaller, and off where all batches are full.",
    )


def padded_lengths(rng) -> tuple[list[int], int]:
    """Lengths whose last batch is smaller, and a batch size, so that no typical mistake gives what another gives."""
    while True:
        size = int(rng.integers(4, 7))
        rows = size * int(rng.integers(3, 5)) + int(rng.integers(2, size - 1))
        lengths = rng.integers(5, 60, rows).tolist()
        mistakes = padding_mistakes(lengths, size)
        values = [padding_by_batch(lengths, size), *chain.from_iterable(mistakes.values())]
        if np.diff(np.sort(values)).min() > 1e-3:
            return lengths, size


def batches_of(lengths: list[int], size: int) -> list[list[int]]:
    """The lengths in pieces, the last one may be smaller."""
    return [lengths[start : start + size] for start in range(0, len(lengths), size)]


def padding_by_batch(lengths: list[int], size: int) -> float:
    """The share of padding in the computed tokens."""
    return 1 - sum(lengths) / sum(len(batch) * max(batch) for batch in batches_of(lengths, size))


def padding_mistakes(lengths: list[int], size: int) -> dict[str, list[float]]:
    """Hint -> what typical mistakes give."""
    right = padding_by_batch(lengths, size)
    batches = batches_of(lengths, size)
    text = sum(lengths)
    computed = round(text / (1 - right))
    as_full = sum(size * max(batch) for batch in batches)
    return {
        "You sort the lengths first. That saves padding, but the reviews come in the order given.": [
            padding_by_batch(sorted(lengths), size),
            padding_by_batch(sorted(lengths, reverse=True), size),
        ],
        "You fill up to the longest review of all. A batch knows only its own.": [
            1 - text / (len(lengths) * max(lengths))
        ],
        "You fill up to 512. Each batch is filled up to its own longest review.": [1 - text / (len(lengths) * 512)],
        "The last batch is missing. It is smaller, and it costs as well.": [
            padding_by_batch(lengths[: len(lengths) // size * size], size)
        ],
        "You count the last batch as if it were full. How many rows does it have?": [1 - text / as_full],
        "This is in percent; expected is a share from 0 to 1.": [100 * right],
        "This is the share of the text. How much is left for the padding?": [1 - right],
        "This is the number of padding tokens. Which share of all computed tokens are they?": [computed - text],
        "You compare the padding with the text. Compare it with all computed tokens, padding included.": [
            (computed - text) / text
        ],
        "You average the shares of the batches. A batch that computes more tokens must count more.": [
            float(np.mean([padding_by_batch(batch, size) for batch in batches]))
        ],
    }
