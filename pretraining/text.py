"""The one text that the three models learn from, and what is held out from it.

Learned from: the reviews of lesson 02's training films and the training part of the BBC articles. Held out: the
validation films and a tenth of the articles. The test films and the last tenth of the articles are left for the end.
"""

from __future__ import annotations

import random
import re
from functools import cache

from utils import assets
from utils.articles import Article


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
    """BBC articles of a split, in a fixed order; `utils.articles` says how they are split."""
    import pandas as pd

    rows = pd.read_parquet(assets.bbc() / f"{split}.parquet")
    return [Article(*row) for row in zip(rows["headline"], rows["body"], rows["topic"], strict=True)]


def without_markup(text: str) -> str:
    """The review with its `<br />` turned into line breaks; nothing else is changed."""
    return re.sub(r"\s*(?:<br\s*/?>\s*)+", "\n", text).strip()
