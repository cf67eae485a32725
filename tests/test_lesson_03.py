"""The code that students read in lesson 03: three algorithms against the library's, the forced ids, the verdicts."""

import json
import random
import re
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_predict
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from notebooks.source.lesson_03 import bpe, cards, exchange, mistakes
from notebooks.source.lesson_03.mistakes import right_pairs, unseen_mistakes, wrong_tokenizers
from tests.conftest import ROOT, cells_of
from utils import assets, claims, pieces
from utils.intervals import Number
from utils.tokenizer_guard import check_tokenizer_matches

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


def test_vectors_tell_what_is_in_them_and_nothing_else(from_lesson):
    rng, topics = np.random.default_rng(0), np.array([0, 1] * 50)
    scope = {"np": np, "cross_val_predict": cross_val_predict, "RidgeClassifier": RidgeClassifier}
    (topics_read,) = from_lesson("03", "topics_read", topics=topics, **scope)
    noise = rng.normal(size=(100, 5))
    assert topics_read(noise).mean() < 0.7
    assert topics_read(noise + 5 * topics[:, None]).mean() > 0.95


def test_the_spread_is_that_of_all_pairs_and_without_each_text_that_of_the_others(from_lesson):
    (spread,) = from_lesson("03", "spread", np=np)
    vectors = np.random.default_rng(0).normal(size=(20, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def of_pairs(some):
        return 1 - (some @ some.T)[np.triu_indices(len(some), k=1)].mean()

    value, without = spread(vectors)
    assert value == pytest.approx(of_pairs(vectors))
    assert without == pytest.approx([of_pairs(np.delete(vectors, number, axis=0)) for number in range(20)])
    assert spread(np.ones((100, 4)) / 2)[0] == pytest.approx(0)  # all in one point
    assert np.isnan(spread(np.full((3, 5), np.nan))[0])


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
    return {"WordPiece": percent(wordpiece), "BPE": Number(bpe, unit="%"), "Unigram": percent(unigram)}


def junk(wrong, right=720):
    return ({"BERT's ids": hits(right), "GPT-2's ids": hits(wrong), "counting words": hits(680)},)


def collapse(cosine, finite=True, swing=0.001):
    without = np.tile([1 - swing, 1 + swing], 200)  # the spread without each of 400 articles, as a share of all
    spreads = {"right": (0.9, np.full(400, 0.9)), "wrong": (1 - cosine, (1 - cosine) * without)}
    return "a model", spreads, {"right": hits(370, 400), "wrong": hits(190, 400)}, hits(90, 400), finite


def won(missing, half=3.0):
    gaps = {"missing to the right ids": Number(missing, missing - half, missing + half, " points")}
    return "a model", claims.MEASURED_HERE, gaps, {"right ids": percent(65)}, "a source"


def compared(missed=0):
    found = {number: number >= missed for number in range(15)}
    return dict.fromkeys(found, True), found, {"comparing": ["a pair"], "guard": []}, 6


HOLDS, DEPENDS, FAILS, OPEN = claims.HOLDS, claims.DEPENDS, claims.FAILS, claims.OPEN
CASES = [
    ("03.1", cards.loses_nothing, (trips(0, 100, 98),), DEPENDS),
    ("03.1", cards.loses_nothing, (trips(0, 99.9, 98),), FAILS),
    ("03.1", cards.loses_nothing, (trips(100, 100, 100),), HOLDS),
    ("03.2", cards.raises_an_error, ({"GPT-2's": mistakes.LOUD, "capitals": mistakes.SILENT}, hits(630)), FAILS),
    ("03.2", cards.raises_an_error, ({"GPT-2's": mistakes.LOUD, "the same": mistakes.HARMLESS}, hits(630)), HOLDS),
    ("03.3", cards.is_junk, junk(500), HOLDS),
    ("03.3", cards.is_junk, junk(650), FAILS),
    ("03.3", cards.is_junk, junk(545), OPEN),
    ("03.4", cards.collapses, collapse(0.83), FAILS),
    ("03.4", cards.collapses, collapse(0.999), HOLDS),
    ("03.4", cards.collapses, collapse(0.991, swing=0.02), OPEN),
    ("03.4", cards.collapses, collapse(np.nan, finite=False), HOLDS),
    ("03.5", cards.wins_back, won(9), FAILS),
    ("03.5", cards.wins_back, won(-1), HOLDS),
    ("03.5", cards.wins_back, won(3), OPEN),
    ("03.6", cards.finds_as_many, compared(), HOLDS),
    ("03.6", cards.finds_as_many, compared(missed=7), FAILS),
]


@pytest.mark.parametrize(("id", "card", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(monkeypatch, tmp_path, id, card, numbers, verdict):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
    card(SimpleNamespace(name="test", bert="a/bert", small_encoder="b/encoder"), *numbers)
    (claim,) = claims.ledger("test")
    assert (claim.id, claim.verdict) == (id, verdict)


def test_both_verdicts_of_the_first_section_are_turned_round():
    """What the text below the cell says."""
    (cell,) = (cell for cell in cells_of("03", "positive") if "positive = classifier" in cell.source)
    shown = [int(number) for number in re.findall(r"(\d+)% positive", cell.outputs[0].text)]
    (good, good_as_heard), (bad, bad_as_heard) = shown[:2], shown[2:]
    assert bad < 50 < good
    assert good_as_heard < 50 < bad_as_heard


def test_the_guard_is_tried_on_fifteen_unseen_mistakes_and_six_right_pairs():
    folders = {name: str(assets.small_model(f"mini-{name.lower()}")) for name in ("BERT", "GPT", "T5")}
    folders["encoder"] = str(assets.small_encoder())
    assert len(unseen_mistakes(folders)) == 15
    profile = SimpleNamespace(
        small_encoder=folders["encoder"], t5=folders["T5"], gpt2_tokenizer=str(assets.gpt2_tokenizer())
    )
    assert len(wrong_tokenizers(profile)) == 5
    pairs = right_pairs(folders)
    assert {name: check_tokenizer_matches(*pair) for name, pair in pairs.items()} == {key: [] for key in pairs}
    assert len(pairs) == 6


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("03", [(id, numbers, verdict) for id, _, numbers, verdict in CASES])) >= 6


def test_the_ten_merges_are_those_of_the_deeper_notebook(from_lesson):
    """The lesson's module learns and cuts as the code does that the deeper notebook compares with the library."""
    merge, learn_merges = from_lesson("03", "merge", "learn_merges", Counter=Counter, pairwise=pairwise)
    texts = ["The thin thing<br />is the other thing.", "another INN, an inn in the inn"]
    words, merges = bpe.count_words(texts), []
    assert words[tuple("the")] == 3
    assert words[tuple("inn")] == 3
    for _ in range(3):
        (best, count), (_, second) = bpe.count_pairs(words).most_common(2)
        assert count > second  # else the two may choose differently
        words = bpe.join(words, best)
        merges.append(best)
    assert merges == learn_merges(Counter({"".join(word): count for word, count in words.items()}), 3)
    parts = list("another")
    for pair in merges:
        parts = merge(parts, pair)
    assert bpe.cut("another", merges) == parts
    assert bpe.cut("aaab", [("a", "a")]) == ["aa", "a", "b"]
    assert bpe.join({("a", "a", "b"): 2}, ("x", "y")) == {("a", "a", "b"): 2}


def test_a_mistake_is_loud_or_silent_or_changes_nothing(monkeypatch, capsys):
    from transformers import AutoTokenizer

    folder = str(assets.small_encoder())
    own = AutoTokenizer.from_pretrained(folder)
    capitals, beyond = AutoTokenizer.from_pretrained(folder, do_lower_case=False), AutoTokenizer.from_pretrained(folder)
    beyond.add_tokens(["<br />"])
    wrong = {"beyond": beyond, "capitals": capitals, "none": own}
    monkeypatch.setattr(mistakes, "wrong_tokenizers", lambda profile: wrong)
    profile = SimpleNamespace(small_encoder=folder, precision="float32", device="cpu")
    classifier = SimpleNamespace(predict=lambda vectors: vectors[:, 0] > 0)
    outcomes = mistakes.try_each(profile, ["A Good film", "Not so Bad,<br />this FILM"], classifier)
    assert outcomes == {"beyond": mistakes.LOUD, "capitals": mistakes.SILENT, "none": mistakes.HARMLESS}
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_the_four_fates_of_section_4_are_those_of_the_table(real_tokenizers):
    gpt2, bert = real_tokenizers["gpt2"], real_tokenizers["wordpiece"]
    text = (ROOT / "notebooks" / "source" / "lesson_03" / "lesson.py").read_text(encoding="utf-8")
    rows = re.findall(r"^# \| `(.+?)` \| (\d+) \| (.+) \|$", text, re.MULTILINE)
    assert [gpt2.convert_tokens_to_ids(piece) for piece, _, _ in rows] == [int(number) for _, number, _ in rows]
    other, spare, special = bert.convert_ids_to_tokens([int(number) for _, number, _ in rows[:3]])
    assert f"*{other}*" in rows[0][2]
    assert spare.startswith("[unused")
    assert f"`{special}`" in rows[2][2]
    assert int(rows[3][1]) >= len(bert)


def test_a_tokenizer_that_was_changed_does_not_belong(take_from_lesson):
    from transformers import AutoModel, AutoTokenizer

    (belongs_to,) = take_from_lesson("03", "belongs_to", AutoTokenizer=AutoTokenizer)
    folder = str(assets.small_encoder())
    model = AutoModel.from_pretrained(folder)
    assert belongs_to(model, AutoTokenizer.from_pretrained(folder))
    assert not belongs_to(model, AutoTokenizer.from_pretrained(folder, do_lower_case=False))
    assert not belongs_to(model, AutoTokenizer.from_pretrained(str(assets.gpt2_tokenizer())))


def shown_by(name: str) -> str:
    """What the cell of the committed lesson printed, or its picture's words, that uses a name."""
    outputs = [output for cell in cells_of("03", name) for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_section_6_shows_what_the_text_below_it_says():
    words = shown_by("judged").split("95% interval: ")[1].split("Claim")[0]
    shown = {name.strip(): float(number) for name, number in re.findall(r"([^;%()]+?) (\d+\.\d)% \(", words)}
    assert shown["BERT's ids"] > shown["counting words"] > 60
    assert abs(shown["GPT-2's ids"] - 50) < 5


def test_the_check_of_section_7_finds_all_five():
    shown = re.findall(r"belongs: (\w+) +vocabulary the same: (\w+)$", shown_by("same_vocabulary"), re.MULTILINE)
    assert [belongs for belongs, _ in shown] == ["True"] + ["False"] * 5
    assert [same for _, same in shown].count("True") == 1 + 2  # its own; [CLS] and [SEP] left out, capitals kept


def test_section_5_shows_what_the_text_below_it_says():
    rows = dict(re.findall(r"^(.+?) {2,}(IndexError|silent +\d+%)", shown_by("outcomes"), re.MULTILINE))
    changed = {name: int(found.split()[1][:-1]) for name, found in rows.items() if found != "IndexError"}
    assert len(rows) == 5
    assert changed["[CLS] and [SEP] left out"] < 10 < changed["capitals kept"]
    assert 40 < changed["mini-t5's tokenizer"] < 60


def test_deeper_it_is_the_ids_and_not_the_cut():
    """With BERT's ids both cuts work, above counting words; with others neither does."""
    words = shown_by("shares").split("same answer: ")[1].split("Claim")[0]
    shown = {name.strip(): float(number) for name, number in re.findall(r"([^;%]+?) (\d+\.\d)% \(", words)}
    sides = ("BERT's", "GPT-2's")
    right, other = ([shown[f"{whose} cut, {kind} ids"] for whose in sides] for kind in ("BERT's", "wrong"))
    assert min(right) > 70
    assert max(other) < 55
    assert max(other) < shown["counting words"] < min(right)


def test_deeper_what_learned_from_wrong_ids_lies_between_chance_and_counting_words():
    shown = dict(re.findall(r"(.+?) +(\d+\.\d)% \([^)]+\) right", shown_by("learned")))
    never, learned, counted = (float(shown[name]) for name in (
        "never saw GPT-2's ids", "learned from GPT-2's ids", "counting words"
    ))  # fmt: skip
    assert never < 55 < learned < counted


def test_deeper_the_cut_costs_what_the_text_says():
    found = shown_by("rarer")
    costs = re.findall(r"better by (-?[\d.]+) points \((-?[\d.]+) to (-?[\d.]+)\)", found)
    (_, low, high), (cost, rarer_low, _) = [[float(number) for number in row] for row in costs]
    assert low < 0 < rarer_low < cost < 10
    assert high > rarer_low
    (few, _), (more, unknown) = re.findall(r"otherwise (\d+)%, pieces that BERT lacks (\d+)%", found)
    assert int(few) < int(more) < 20
    assert int(unknown) > 0


def test_good_and_bad_exchanged_flip_a_verdict():
    own, exchanged = (int(share) for share in re.findall(r"(\d+)% positive", shown_by("swapped")))
    assert exchanged < 50 < own


def test_what_the_guard_misses_is_what_the_text_names():
    rows = re.findall(r"^(found|MISSED) +(found|MISSED) +(.+)$", shown_by("unseen_mistakes"), re.MULTILINE)
    assert {compared for compared, _, _ in rows} == {"found"}
    missed = [name for _, guarded, name in rows if guarded == "MISSED"]
    assert len(rows) == 15
    assert len(missed) == 7
    assert sum("lesson 01's BERT" in name for name in missed) == 2
    assert "a piece added, table resized" in shown_by("unseen_mistakes")


def test_exchanged_ids_differ_in_what_they_should(real_tokenizers):
    bert, gpt2 = real_tokenizers["wordpiece"], real_tokenizers["gpt2"]
    texts = ["a plain film", "an unwatchable mess"]
    own = bert(texts)["input_ids"]
    assert exchange.spelled(bert, gpt2, texts)[0] == own[0]
    assert bert.unk_token_id in exchange.spelled(bert, gpt2, ["☃"])[0]
    other = exchange.renumbered(bert, own)
    assert [row[0] for row in other] == [bert.cls_token_id] * 2
    assert sum(old == new for old, new in zip(own[0][1:-1], other[0][1:-1], strict=True)) == 0
    assert exchange.renumbered(bert, own) == other  # one fixed number for each piece
    assert exchange.gpt2_ids(bert, gpt2, texts)[0][1:-1] == gpt2(f" {texts[0]}")["input_ids"]
    assert exchange.cut_otherwise(bert, gpt2, texts).tolist() == [False, False, False, False, True, False]
