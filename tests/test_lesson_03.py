"""The code that students read in lesson 03: three algorithms against the library's, the forced ids, the verdicts."""

import json
import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_predict
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from utils import assets, claims, pieces
from utils.intervals import Number, mean, over_seeds, paired_difference, share

VOCABULARIES = ("wordpiece", "gpt2", "unigram")


@pytest.fixture(scope="module")
def sentences():
    """2,500 sentences of reviews, as they stand in the archive, line breaks and all."""
    texts = pd.read_parquet(assets.imdb() / "test.parquet")["text"].iloc[::12]
    found = [sentence for text in texts for sentence in re.split(r"(?<=[.!?]) +", text)]
    assert len(found) >= 2500
    return found[:2500]


@pytest.fixture(scope="module")
def odd_strings():
    """500 strings of signs that no review holds: controls, accents alone, emoji, right-to-left, joined letters."""
    rng = random.Random(0)
    blocks = [
        (0x20, 0x7E), (0x00, 0x1F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
        (0x2000, 0x206F), (0x2580, 0x259F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF),
        (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
    ]  # fmt: skip
    found = []
    for _ in range(500):
        chosen = rng.sample(blocks, rng.randint(1, 4))
        found.append("".join(chr(rng.randint(*rng.choice(chosen))) for _ in range(rng.randint(0, 60))))
    return found


@pytest.mark.parametrize("name", VOCABULARIES)
def test_each_algorithm_is_the_library_s_on_review_sentences(cutters, real_tokenizers, sentences, name):
    library = real_tokenizers[name](sentences, add_special_tokens=False)["input_ids"]
    wrong = [text for text, ids in zip(sentences, library, strict=True) if cutters[name](text) != ids]
    assert wrong == []


@pytest.mark.parametrize("name", VOCABULARIES)
def test_each_algorithm_is_the_library_s_on_odd_strings(cutters, real_tokenizers, odd_strings, name):
    library = real_tokenizers[name](odd_strings, add_special_tokens=False)["input_ids"]
    wrong = [text for text, ids in zip(odd_strings, library, strict=True) if cutters[name](text) != ids]
    assert wrong == []


@pytest.mark.parametrize("text", ["x" * 100, "x" * 101, "é" * 100, "", " ", "\n", "#" * 30, "ab" * 400, "a b " * 3000])
def test_the_algorithms_agree_at_the_edges(cutters, real_tokenizers, text):
    for name, own in cutters.items():
        assert own(text) == real_tokenizers[name](text, add_special_tokens=False, verbose=False)["input_ids"], name


@pytest.mark.parametrize("steps", [0, 1, 40, 400])
def test_the_learned_merges_are_the_library_s(from_lesson, sentences, steps):
    merge, learn_merges = from_lesson("03", "merge", "learn_merges", Counter=Counter, pairwise=pairwise)
    counts = Counter(word for sentence in sentences[:150] for word in sentence.split())
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    size = len(set("".join(counts))) + steps
    trained.train_from_iterator(counts.elements(), trainers.BpeTrainer(vocab_size=size, show_progress=False))
    library = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    # Two merges can give the same piece; the library counts pieces, so it may learn a few more.
    assert learn_merges(counts, len(library)) == library
    assert len(library) >= steps
    assert merge(list("aaab"), ("a", "a")) == ["aa", "a", "b"]


def test_learning_stops_when_no_pair_is_left(from_lesson):
    _, learn_merges = from_lesson("03", "merge", "learn_merges", Counter=Counter, pairwise=pairwise)
    assert learn_merges(Counter(["ab"]), 10) == [("a", "b")]
    assert learn_merges(Counter(), 10) == []


def test_ids_are_forced_into_the_table(from_lesson, real_tokenizers):
    in_range, wrong_rows, right_rows = from_lesson("03", "in_range", "wrong_rows", "right_rows", pieces=pieces)
    assert in_range([1, 9, 10, 25], 10, "dropped") == [1, 9]
    assert in_range([1, 9, 10, 25], 10, "clipped") == [1, 9, 9, 9]
    assert in_range([1, 9, 10, 25], 10, "wrapped") == [1, 9, 0, 5]
    own, text = real_tokenizers["wordpiece"], "An extraordinarily unforgettable Kurosawa retrospective " * 30
    for how in ("dropped", "clipped", "wrapped"):
        (row,) = wrong_rows([text], real_tokenizers["gpt2"], own, how)
        assert (row[0], row[-1]) == (own.cls_token_id, own.sep_token_id)
        assert max(row) < len(own)
        assert len(row) == 64
    assert right_rows([text], own) == own([text], truncation=True, max_length=64)["input_ids"]


def test_round_trips_are_named_for_what_they_lose(from_lesson, real_tokenizers):
    (round_trip,) = from_lesson("03", "round_trip", pieces=pieces)
    assert round_trip(real_tokenizers["wordpiece"], "a film") == "exact"
    assert round_trip(real_tokenizers["wordpiece"], "A film") == "letters change"
    assert round_trip(real_tokenizers["wordpiece"], "a  film") == "spaces change"
    assert round_trip(real_tokenizers["wordpiece"], "a film 😀 😀") == "2 × [UNK]"
    assert round_trip(real_tokenizers["gpt2"], "A  café 😀\n") == "exact"
    assert round_trip(real_tokenizers["unigram"], "A film 😀") == "1 × <unk>"


def told_by(from_lesson, vectors, topics):
    scope = {"np": np, "cross_val_predict": cross_val_predict, "RidgeClassifier": RidgeClassifier}
    (told_by_the_vectors,) = from_lesson("03", "told_by_the_vectors", topics=np.array(topics), **scope)
    return told_by_the_vectors(np.array(vectors, dtype=float))


def test_the_effective_dimension_counts_directions(from_lesson):
    rng, topics = np.random.default_rng(0), [0, 1] * 25
    one_line = np.outer(rng.normal(size=50), [1.0, 2.0, 3.0])
    assert told_by(from_lesson, one_line, topics)[1] == pytest.approx(1)
    four_axes = np.vstack([np.eye(4), -np.eye(4)] * 6)
    assert told_by(from_lesson, four_axes, [0, 1] * 24)[1] == pytest.approx(4)


def test_vectors_tell_what_is_in_them_and_nothing_else(from_lesson):
    rng, topics = np.random.default_rng(0), np.array([0, 1] * 50)
    noise = rng.normal(size=(100, 5))
    assert told_by(from_lesson, noise, topics)[2].mean() < 0.7
    assert told_by(from_lesson, noise + 5 * topics[:, None], topics)[2].mean() > 0.95
    same = np.ones((100, 5)) / np.sqrt(5)
    assert told_by(from_lesson, same + 1e-9 * noise, topics)[0] == pytest.approx(1)
    assert np.isnan(told_by(from_lesson, np.full((100, 5), np.nan), topics)[0])


@pytest.mark.parametrize("name", ["wordpiece", "gpt2"])
def test_shuffling_numbers_keeps_special_tokens_and_spare_rows(from_lesson, real_tokenizers, name):
    tokenizer = real_tokenizers[name]
    rows_in_use, shuffled_numbers, shuffled_rows = from_lesson(
        "03", "rows_in_use", "shuffled_numbers", "shuffled_rows", np=np
    )
    numbers, used = shuffled_numbers(tokenizer), rows_in_use(tokenizer)
    assert sorted(numbers) == list(range(len(tokenizer)))
    kept = np.setdiff1d(np.arange(len(tokenizer)), used)
    assert set(tokenizer.all_special_ids) <= set(kept)
    assert (numbers[kept] == kept).all()
    assert (numbers[used] != used).mean() > 0.99
    assert shuffled_rows([[0, 1], [5]], numbers) == [[numbers[0], numbers[1]], [numbers[5]]]


def test_batches_hold_each_row_once_with_its_mask(from_lesson):
    import torch

    _, batches = from_lesson("03", "padded", "batches", torch=torch)
    rows = [list(range(1, 1 + length)) for length in (3, 1, 5, 2, 9)]
    seen = []
    for numbers, ids, mask in batches(rows, pad=0, size=2):
        assert ids.shape == mask.shape
        for number, row, real in zip(numbers, ids, mask, strict=True):
            assert row[real.bool()].tolist() == rows[number]
            assert (row[~real.bool()] == 0).all()
            seen.append(number)
    assert sorted(seen) == [0, 1, 2, 3, 4]


def percent(value, half=2.0):
    return Number(value, value - half, value + half, "%")


def hits(right, of=1000):
    """`of` outcomes, the first `right` of them true."""
    return np.arange(of) < right


def trips(wordpiece, bpe, unigram):
    return {"exact": {"WordPiece": percent(wordpiece), "BPE": Number(bpe, unit="%"), "Unigram": percent(unigram)}}


def heard(reviews=96, sentences=65, harmless=(1.0,), harmful=(0.5,)):
    cosines = {f"fault {value}": Number(value, value - 1e-4, value + 1e-4) for value in (*harmless, *harmful)}
    return {
        "tokens_beyond": percent(3, 0.1), "reviews_beyond": percent(reviews), "sentences_beyond": percent(sentences),
        "cosines": cosines, "loud": ["one", "two"],
    }  # fmt: skip


def junk(hidden=-11.0, headlines=2.0, classifier=500):
    fed = {f"GPT-2's ids, {how}": hits(classifier) for how in ("dropped", "clipped", "wrapped")}
    return {
        "fed": fed | {"right ids": hits(780)}, "articles": range(400), "wrapped": "wrapped",
        "top_5": {"right": percent(68), "wrong": percent(1)}, "top_5_gain": {"wrong": percent(hidden, 1)},
        "found_others": {"right ids": 100 * hits(350, 400), "wrapped": 100 * hits(int(4 * headlines), 400)},
        "profile": SimpleNamespace(name="test", bert="a/bert", small_encoder="b/encoder"),
    }  # fmt: skip


def collapse(value=1.0, cosine=0.8, read=180):
    return {
        "news_vectors": {"wrapped": np.full((4, 3), value)}, "wrapped": "wrapped", "encoder_name": "encoder",
        "told": {name: (cosine, 20.0, hits(read, 400)) for name in ("right ids", "wrapped")}, "MARGIN": 5.0,
        "most_frequent": hits(90, 400), "articles": range(400),
        "encoder": SimpleNamespace(config=SimpleNamespace(hidden_size=3)),
    }  # fmt: skip


def won(right=660, wrong=550, random=610, seeds=(0, 3, 6)):
    found = {"right ids, pretrained": right, "wrong ids, pretrained": wrong, "right ids, random start": random,
             "wrong ids, random start": random, "wrong ids in the test only": 500, "counting words": 640}  # fmt: skip
    rng = np.random.default_rng(0)
    by_seed = {
        (name, 500): np.array([rng.permutation(hits(number + seed)) for seed in seeds], dtype=float)
        for name, number in found.items()
    }
    gap = lambda one, other: over_seeds(100 * (by_seed[one, 500] - by_seed[other, 500]), " points")  # noqa: E731
    return {
        "gap": gap, "most": 500, "MARGIN": 5.0, "SEEDS": (0, 1, 2), "EPOCHS": 4,
        "of_starts": {name: over_seeds(100 * hit, "%") for (name, _), hit in by_seed.items()},
    }  # fmt: skip


def guarded(missed=0, false=0):
    findings = {number: [] if number < missed else ["found"] for number in range(9)}
    return {"findings": findings, "alarms": {number: ["alarm"] * (number < false) for number in range(5)}}


HOLDS, IN_PART, FAILS, OPEN = claims.HOLDS, claims.IN_PART, claims.FAILS, claims.OPEN
CASES = [
    ("03.1", trips(0, 100, 98), IN_PART),
    ("03.1", trips(0, 99.9, 98), FAILS),
    ("03.1", trips(100, 100, 100), HOLDS),
    ("03.2", heard(), IN_PART),
    ("03.2", heard(harmful=()), HOLDS),
    ("03.2", heard(reviews=20, sentences=5), FAILS),
    ("03.2", heard(reviews=50, sentences=50), OPEN),
    ("03.3", junk(), HOLDS),
    ("03.3", junk(headlines=20), IN_PART),
    ("03.3", junk(hidden=20, headlines=20, classifier=700), FAILS),
    ("03.3", junk(hidden=5, headlines=5, classifier=550), OPEN),
    ("03.4", collapse(), FAILS),
    ("03.4", collapse(cosine=0.999), IN_PART),
    ("03.4", collapse(value=np.nan, cosine=np.nan, read=0), IN_PART),
    ("03.4", collapse(value=np.inf, cosine=0.999, read=90), HOLDS),
    ("03.4", collapse(read=110), OPEN),
    ("03.5", won(), IN_PART),
    ("03.5", won(wrong=660), HOLDS),
    ("03.5", won(wrong=430), FAILS),
    ("03.5", won(right=580, wrong=520, random=540, seeds=(-60, 0, 60)), OPEN),
    ("03.6", guarded(), HOLDS),
    ("03.6", guarded(missed=1), IN_PART),
    ("03.6", guarded(missed=1, false=1), FAILS),
]


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(verdict_of, id, numbers, verdict):
    scope = {"np": np, "share": share, "paired_difference": paired_difference, "Number": Number, "Path": Path}
    assert verdict_of(id, scope | {"mean": mean, "over_seeds": over_seeds} | numbers) == verdict


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("03", CASES)) >= 6
