"""A table of labelled sentences, such as a student might bring: columns `verdict` and `opinion`."""

from __future__ import annotations

import pandas as pd

NAMES = {0: "bad", 1: "good"}


def film_sentences(rows: int) -> pd.DataFrame:
    """So many sentences about films (Pang and Lee, 2005), drawn at random, with a verdict as a word."""
    from datasets import load_dataset

    from utils import assets

    sentences = load_dataset(str(assets.rotten_tomatoes()))["train"].shuffle(seed=0).select(range(rows))
    return pd.DataFrame({"verdict": [NAMES[label] for label in sentences["label"]], "opinion": sentences["text"]})
