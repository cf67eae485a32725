"""Typical wrong answers to the exercises of lesson 02, each with words of the hint that it must get."""

import math

import numpy as np
import torch


def losses(formula):
    return {n: formula(n) for n in (2, 3, 5, 1000)}


def filled(width=None, fill=None, left=False, mask="lengths", labels=True, dtype=torch.long, tensors=True, order=1):
    def collate(rows, pad_id):
        rows = rows[::order]
        kept = [row["input_ids"] for row in rows]
        to = width(map(len, kept)) if width else max(map(len, kept))
        lacking = [[pad_id if fill is None else fill] * (to - len(ids)) for ids in kept]
        padded = [more + ids if left else (ids + more)[:to] for ids, more in zip(kept, lacking, strict=True)]
        ids = torch.tensor(padded, dtype=dtype)
        one = torch.arange(to) < torch.tensor([[len(ids)] for ids in kept])
        masks = {
            "lengths": one.long(),
            "ones": torch.ones_like(ids),
            "ids": (ids != pad_id).long(),
            "not": 1 - one.long(),
            "float": one.float(),
        }
        batch = {"input_ids": ids if tensors else padded, "attention_mask": masks[mask]}
        return batch | {"labels": torch.tensor([row["label"] for row in rows])} if labels else batch

    return collate


def random_rows(films, share, seed):
    rows = np.random.default_rng(seed).permutation(len(films)).tolist()
    return rows[round(share * len(rows)) :], rows[: round(share * len(rows))]


def first_rows(films, share, seed):
    rows = list(range(len(films)))
    return rows[round(share * len(rows)) :], rows[: round(share * len(rows))]


def last_rows(films, share, seed):
    rows = list(range(len(films)))
    return rows[: len(rows) - int(share * len(rows))], rows[len(rows) - int(share * len(rows)) :]


def to_the_end_of_a_film(films, share, seed):
    cut = round(share * len(films))
    while films[cut] == films[cut - 1]:
        cut += 1
    return list(range(cut, len(films))), list(range(cut))


def by_film(swapped=False, lose=False, overlap=False, names_only=False, factor=1.0, seeded="given", twice=False):
    def split(films, share, seed):
        rng = np.random.default_rng({"given": seed, "never": None, "fixed": 0}[seeded])
        names = rng.permutation(sorted(set(films))).tolist()
        chosen = set(names[: round(factor * share * len(names))])
        test = [row for row, film in enumerate(films) if film in chosen]
        train = [row for row, film in enumerate(films) if overlap or film not in chosen]
        if names_only:
            return [name for name in names if name not in chosen], sorted(chosen)
        train = train[:-5] if lose else train + train[:3] if twice else train
        return (test, train) if swapped else (train, test)

    return split


def interval(width=1.96, root=True, absolute=False, swapped=False, upper=False, number=False):
    def is_better(first, second):
        gap = np.array(first) - np.array(second)
        gap = -gap if swapped else gap
        half = width * gap.std() / (np.sqrt(len(gap)) if root else 1)
        middle = abs(gap.mean()) if absolute else gap.mean()
        end = middle + half if upper else middle - half
        return end if number else bool(end > 0)

    return is_better


def by_itself(first, second):
    ends = []
    for hits, side in ((first, -1), (second, 1)):
        ends.append(np.mean(hits) + side * 1.96 * np.std(hits) / np.sqrt(len(hits)))
    return bool(ends[0] > ends[1])


def as_if_others(first, second):
    half = 1.96 * np.sqrt((np.var(first) + np.var(second)) / len(first))
    return bool(np.mean(first) - np.mean(second) - half > 0)


def share(order=list, width=None, last="as it is", give=lambda padding, computed: padding / computed):
    def share_of_padding(lengths, batch_size):
        lengths = order(lengths)
        if last == "dropped":
            lengths = lengths[: len(lengths) // batch_size * batch_size]
        batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
        rows = [batch_size if last == "full" else len(batch) for batch in batches]
        longest = [width(lengths) if width else max(batch) for batch in batches]
        computed = sum(row * long for row, long in zip(rows, longest, strict=True))
        return give(computed - sum(lengths), computed)

    return share_of_padding


def mean_of_batches(lengths, batch_size):
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    return float(np.mean([1 - sum(batch) / (len(batch) * max(batch)) for batch in batches]))


def sub(first, second):
    return np.array(first, dtype=float) - np.array(second, dtype=float)


def error(first, second):
    return sub(first, second).std() / np.sqrt(len(first))


WRONG = [
    ("02.1", losses(lambda n: round(1 / n, 2)), "probability of the true label"),
    ("02.1", losses(lambda n: round(math.log2(n), 2)), "in bits"),
    ("02.1", losses(math.log10), "base 10"),
    ("02.1", losses(lambda n: 0.69), "All as with two labels"),
    ("02.1", losses(lambda n: n), "far more slowly"),
    ("02.1", losses(lambda n: 0), "sure and right"),
    ("02.1", losses(lambda n: 1 - 1 / n), "how often an even guess is wrong"),
    ("02.1", losses(lambda n: round(-math.log(n), 2)), "negative"),
    ("02.1", {2: 0.7, 3: 1.1, 5: 1.6, 1000: 7}, "two digits"),
    ("02.1", losses(lambda n: math.log(n) if n < 9 else 1.0), "Not right for 1000 labels"),
    ("02.2", filled(width=lambda _: 512), "you pad to 512"),
    ("02.2", filled(mask="ones"), "1 everywhere"),
    ("02.2", filled(mask="ids"), "A real token may have"),
    ("02.2", filled(mask="not"), "wrong way round"),
    ("02.2", filled(left=True), "on the left"),
    ("02.2", filled(fill=0), "pad with 0"),
    ("02.2", filled(labels=False), "labels are lost"),
    ("02.2", filled(width=min), "No token may be lost"),
    ("02.2", filled(dtype=torch.float), "whole numbers"),
    ("02.2", filled(tensors=False), "`input_ids` is to be a tensor"),
    ("02.2", filled(order=-1), "their order has changed"),
    ("02.3", random_rows, "rows or films"),
    ("02.3", first_rows, "goes through a film"),
    ("02.3", last_rows, "goes through a film"),
    ("02.3", to_the_end_of_a_film, "need not be neighbours"),
    ("02.3", by_film(lose=True), "in neither list"),
    ("02.3", by_film(overlap=True), "All test rows are in train"),
    ("02.3", by_film(swapped=True), "swapped"),
    ("02.3", by_film(names_only=True), "names of films"),
    ("02.3", by_film(factor=0.5), "in test; expected about"),
    ("02.3", by_film(seeded="never"), "The same seed gives another split"),
    ("02.3", by_film(seeded="fixed"), "Another seed gives the same split"),
    ("02.3", by_film(twice=True), "twice"),
    ("02.4", lambda first, second: sum(first) > sum(second), "however little"),
    ("02.4", by_itself, "each classifier by itself"),
    ("02.4", as_if_others, "each classifier by itself"),
    ("02.4", interval(absolute=True), "where the *second* is better"),
    ("02.4", interval(width=1), "too narrow"),
    ("02.4", interval(width=0.674), "too narrow"),
    ("02.4", interval(width=1.645), "too narrow"),
    ("02.4", interval(width=2.576), "too wide"),
    ("02.4", interval(root=False), "never say True"),
    ("02.4", interval(swapped=True), "other way"),
    ("02.4", interval(upper=True), "upper end"),
    ("02.4", interval(number=True), "True or False"),
    ("02.5", share(order=sorted), "sort the lengths first"),
    ("02.5", share(width=max), "longest review of all"),
    ("02.5", share(width=lambda _: 512), "fill up to 512"),
    ("02.5", share(last="dropped"), "The last batch is missing"),
    ("02.5", share(last="full"), "as if it were full"),
    ("02.5", share(give=lambda padding, computed: 100 * padding / computed), "in percent"),
    ("02.5", share(give=lambda padding, computed: 1 - padding / computed), "share of the text"),
    ("02.5", share(give=lambda padding, computed: padding), "number of padding tokens"),
    ("02.5", share(give=lambda padding, computed: padding / (computed - padding)), "with the text"),
    ("02.5", mean_of_batches, "average the shares"),
    ("02.2", filled(mask="float"), "The mask is to be of whole numbers"),
    (
        "02.4",
        lambda first, second: 100 * sub(first, second).mean() > 1.96 * error(first, second),
        "in the same unit",
    ),
    ("02.4", lambda first, second: sub(first, second).mean() > 196 * error(first, second), "in the same unit"),
]
