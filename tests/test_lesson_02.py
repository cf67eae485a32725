"""The code that students read in lesson 02 and its deeper notebooks, taken out of the committed notebooks."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import load_dataset
from transformers import AutoTokenizer

from notebooks.source.lesson_02 import beforehand, cards
from tests.conftest import cells_of
from utils import assets, claims, profiles
from utils.claims import FAILS, HOLDS, OPEN
from utils.intervals import Number
from utils.opinions import OPINIONS
from utils.vectors import mean_vectors


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(assets.encoder(), truncation_side="left")


def test_the_end_of_a_long_review_is_kept_between_the_special_tokens(from_lesson, tokenizer):
    profile = SimpleNamespace(max_length=8)
    (tokenize,) = from_lesson("02", "tokenize", tokenizer=tokenizer, profile=profile)
    (ids,) = tokenize({"text": ["the plot drags on but the very end saves it all"]})["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<s>", "the", "very", "end", "saves", "it", "all", "</s>"]
    (short,) = tokenize({"text": ["a mess"]})["input_ids"]
    assert tokenizer.convert_ids_to_tokens(short) == ["<s>", "a", "mess", "</s>"]


def test_the_archive_lists_one_label_after_the_other():
    """What section 2 says of a sample that is not shuffled."""
    labels = load_dataset(str(assets.imdb()))["train"]["label"]
    assert labels == sorted(labels)


def test_mean_vectors_do_not_see_the_padding(tokenizer):
    profile = SimpleNamespace(encoder=str(assets.small_encoder()), device="cpu", precision="float32")
    small = AutoTokenizer.from_pretrained(assets.small_encoder())
    rows = small(["good", "a very long text about nothing at all, really", "bad film"])["input_ids"]
    together = mean_vectors(profile, small, rows)
    alone = np.concatenate([mean_vectors(profile, small, [row]) for row in rows])
    assert together.shape == (3, 384)
    assert together == pytest.approx(alone, abs=1e-5)


def test_the_opinions_are_twenty_different_ones_and_balanced():
    assert len({text for text, _ in OPINIONS}) == len(OPINIONS) == 20
    assert sum(label == "pos" for _, label in OPINIONS) == 10


def test_computed_tokens_count_the_rectangles(from_lesson):
    (computed,) = from_lesson("02", "computed")
    assert computed(np.array([3, 1, 2, 5, 4]), 2, np.array([0, 1, 2, 3, 4])) == 2 * 3 + 2 * 5 + 4
    assert computed(np.array([3, 1, 2, 5, 4]), 2, np.array([1, 2, 0, 4, 3])) == 2 * 2 + 2 * 4 + 5


@pytest.mark.parametrize(("length", "kept"), [(3, "a b c"), (5, "a b c d e"), (8, "a b f g h")])
def test_keep_takes_both_ends(from_lesson, length, kept):
    (keep,) = from_lesson("02", "keep")
    assert keep(" ".join("abcdefgh"[:length]), 2, 3) == kept


def test_the_committed_lesson_saves_what_a_pipeline_needs_and_reads_it():
    printed = "".join(output.get("text", "") for cell in cells_of("02", "saved") for output in cell.outputs)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(printed.split())
    assert len(re.findall(r"^(?:neg|pos) \(\d+%\), true: (?:neg|pos)$", printed, re.MULTILINE)) == 4


def test_what_was_measured_beforehand_is_whole():
    """Each run judged the same 1,000 reviews; where the cards look, there are the same three draws of each start."""
    for start in beforehand.STARTS:
        for labels in beforehand.LABELS:
            right = beforehand.right_beforehand(start, labels)
            assert right.shape[1:] in ((beforehand.TESTED,), ())
    for start in ("fine-tuning", "counting words", "random start"):
        assert len(beforehand.right_beforehand(start, cards.LABELS)) == len(beforehand.SEEDS)


def test_without_fast_16_bit_arithmetic_the_lesson_learns_enough():
    labels = profiles.BY_RATE[60][0]
    right = beforehand.right_beforehand(beforehand.FLOAT32, labels)
    assert right.shape == (len(beforehand.SEEDS), beforehand.TESTED)
    assert right.mean() >= 0.88


def test_a_run_that_is_there_is_not_made_again(monkeypatch, tmp_path):
    made = []

    def judged(start, labels, seed):
        made.append((start, labels, seed))
        return np.arange(4) % 2 == seed % 2

    monkeypatch.setattr(beforehand, "RESULTS", tmp_path / "labels.json")
    monkeypatch.setattr(beforehand, "judged", judged)
    for seeds in (["1"], ["0", "1"]):
        monkeypatch.setattr("sys.argv", ["", "--starts", "random start", "--labels", "50", "--seeds", *seeds])
        assert beforehand.main() == 0
    assert made == [("random start", 50, 1), ("random start", 50, 0)]
    assert beforehand.right_beforehand("random start", 50).tolist() == [[True, False] * 2, [False, True] * 2]


@pytest.mark.parametrize("start", ["fine-tuning", "random start", "small encoder", beforehand.FLOAT32])
def test_runs_beforehand_learn_as_the_script_does(monkeypatch, start):
    """The same arguments as in the script: rate, batch, dropout, side; on a tiny sample."""
    monkeypatch.setattr(beforehand, "TESTED", 4)
    monkeypatch.setattr(beforehand, "LENGTH", 8)
    monkeypatch.setattr(beforehand, "STEPS", 2)
    seen = {}

    def train(trainer, *_, **__):
        seen.update(trainer.args.to_dict(), dropout=trainer.model.config.attention_probs_dropout_prob)

    monkeypatch.setattr("transformers.Trainer.train", train)
    right = beforehand.judged(start, 16, seed=0)
    assert right.shape == (4,)
    assert seen["per_device_train_batch_size"] == (profiles.BY_RATE[60][3] if start == beforehand.FLOAT32 else 8)
    assert seen["num_train_epochs"] == 1
    assert seen["learning_rate"] == (1e-4 if start == "small encoder" else 5e-5)
    assert seen["dropout"] == 0


def test_the_baselines_beforehand_are_those_of_the_lesson(from_lesson):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    (shown,) = from_lesson("02", "searched", GridSearchCV=GridSearchCV, LogisticRegression=LogisticRegression)
    assert repr(shown()) == repr(beforehand.searched())


def hits(right, of=1000):
    return np.arange(of) < right


def runs(*rights):
    """Which of 1,000 reviews some runs judged rightly, each the other way round: the seeds share no luck."""
    return np.array([np.roll(hits(10 * right), 300 * seed) for seed, right in enumerate(rights)])


def draws(*means):
    return {"np": np, "size": 1500, "gains": [np.array([mean - 1, mean, mean + 1]) for mean in means]}


CASES = [
    ("02.1", draws(3, 3.5, 2.9, 4.5), HOLDS),
    ("02.1", draws(3, -3, 2, -1), OPEN),
    ("02.1", draws(-3, -3.5, -2.9, -4.5), FAILS),
    ("02.2", {"fine-tuning": (92, 91, 92), "counting words": (81, 79, 81)}, HOLDS),
    ("02.2", {"fine-tuning": (92, 70, 85), "counting words": (81, 79, 81)}, OPEN),
    ("02.2", {"fine-tuning": (79, 78, 79), "counting words": (91, 90, 91)}, FAILS),
    ("02.3", {"random start": (50, 49, 50), "fine-tuning": (92, 91, 92)}, HOLDS),
    ("02.3", {"random start": (80, 81, 80), "fine-tuning": (92, 91, 92)}, FAILS),
    ("02.3", {"random start": (50, 50, 62), "fine-tuning": (92, 91, 92)}, FAILS),
    ("02.3", {"random start": (50, 51, 54), "fine-tuning": (92, 91, 92)}, OPEN),
]


PROFILE = SimpleNamespace(name="test", encoder="encoder")
CARDS = {
    "02.2": lambda: cards.beats_counting_words(PROFILE, Number(13, 6, 20, " points"), 500),
    "02.3": lambda: cards.teaches_next_to_nothing(PROFILE),
}


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(monkeypatch, tmp_path, verdict_of, id, numbers, verdict):
    if id not in CARDS:  # of the deeper notebook's own cell
        assert verdict_of(id, {"Number": Number} | numbers) == verdict
        return
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
    monkeypatch.setattr(cards, "right_beforehand", lambda start, labels: runs(*numbers.get(start, (80, 80, 80))))
    CARDS[id]()
    (claim,) = claims.ledger("test")
    assert (claim.id, claim.verdict) == (id, verdict)


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert cards_are_turned("02", CASES) == {"02.1", "02.2", "02.3"}


def test_the_head_starts_near_guessing(tokenizer):
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(0)
    fresh = AutoModelForSequenceClassification.from_pretrained(assets.encoder(), num_labels=2)
    batch = tokenizer(["A masterpiece.", "No."], padding=True, return_tensors="pt")
    with torch.inference_mode():
        loss = fresh(**batch, labels=torch.tensor([1, 0])).loss.item()
    assert loss == pytest.approx(np.log(2), abs=0.02)
