"""The code that students read in lesson 02, taken out of the committed notebook."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

from tests.conftest import cells_of
from utils import assets
from utils.claims import FAILS, HOLDS, IN_PART, OPEN
from utils.intervals import Number


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(assets.encoder())


@pytest.fixture
def head_and_tail(from_lesson, tokenizer):
    profile = type("Profile", (), {"max_length": 16})
    return from_lesson("02", "head_and_tail", tokenizer=tokenizer, profile=profile)[0]


@pytest.mark.parametrize("length", [0, 1, 5, 13, 14, 15, 16, 40, 700])
def test_head_and_tail_keeps_both_ends_and_no_more(head_and_tail, tokenizer, length):
    words = ["good", "bad", "film", "plot", "star"]
    text = " ".join(words[number % 5] for number in range(length))
    result = head_and_tail({"text": [text]})
    (ids,) = result["input_ids"]
    assert result["length"] == [len(ids)] == [min(length, 14) + 2]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    every = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    if length <= 14:
        assert ids[1:-1] == every
    else:
        assert ids[1:4] == every[:3]
        assert ids[4:-1] == every[-11:]


def test_the_edit_of_exercise_1_keeps_the_beginning_only(from_lesson, tokenizer):
    scope = {"tokenizer": tokenizer, "profile": type("Profile", (), {"max_length": 16})}
    (head_and_tail,) = from_lesson("02", "head_and_tail", edit=("room // 4", "room"), **scope)
    text = " ".join(["plot", "and", "star"] * 50)
    every = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    assert head_and_tail({"text": [text]})["input_ids"][0][1:-1] == every[:14]


def test_the_paired_difference_is_that_of_the_textbook(from_lesson):
    (paired_difference,) = from_lesson("02", "paired_difference", np=np)
    first, second = np.array([True] * 60 + [False] * 40), np.array([True] * 50 + [False] * 30 + [True] * 20)
    gap, half = paired_difference(first, second)
    only_first, only_second, n = 10, 20, 100
    variance = (only_first + only_second - (only_first - only_second) ** 2 / n) / n**2
    assert gap == pytest.approx(100 * (only_first - only_second) / n)
    assert half == pytest.approx(196 * variance**0.5)


def test_short_texts_get_the_ids_of_the_tokenizer_itself(head_and_tail, tokenizer):
    texts = ["An unwatchable mess.", "", "Très bien !", "good <br />bad"]
    assert head_and_tail({"text": texts})["input_ids"] == tokenizer(texts)["input_ids"]


def test_the_script_cuts_reviews_as_the_lesson_does(head_and_tail, tokenizer):
    from scripts import day4_ex

    texts = [" ".join(["plot", "and", "star"] * count) for count in (0, 1, 4, 5, 9, 200)]
    assert day4_ex.head_and_tail({"text": texts}, tokenizer, 16) == head_and_tail({"text": texts})


def test_the_committed_predictions_are_laid_beside_the_right_texts(tiny_model, tmp_path, tokenizer):
    """The trap that section 8 warns of: grouping changes the order in which answers come back."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, 50, size).tolist() for size in rng.integers(2, 30, 40)]
    rows = Dataset.from_dict({"input_ids": ids, "labels": [0, 1] * 20, "length": [len(row) for row in ids]})
    answers = {}
    for strategy in ("group_by_length", "sequential"):
        args = TrainingArguments(
            tmp_path, train_sampling_strategy="group_by_length", per_device_eval_batch_size=4, use_cpu=True,
            report_to="none", disable_tqdm=True,
        )  # fmt: skip
        trainer = Trainer(tiny_model, args, data_collator=DataCollatorWithPadding(tokenizer))
        trainer.args.train_sampling_strategy = strategy
        answers[strategy] = trainer.predict(rows).predictions[:, 0]
    with torch.inference_mode():
        one_by_one = [tiny_model(torch.tensor([row])).logits[0, 0].item() for row in ids]
    assert answers["sequential"] == pytest.approx(one_by_one, abs=1e-5)
    assert np.sort(answers["group_by_length"]) == pytest.approx(np.sort(one_by_one), abs=1e-5)
    assert answers["group_by_length"] != pytest.approx(one_by_one, abs=1e-5)


def test_the_committed_lesson_reloads_its_model_bit_for_bit():
    """In 16-bit arithmetic too: the Trainer's wrapping of the forward pass must be off before logits are compared."""
    printed = [output.get("text") for cell in cells_of("02") for output in cell.outputs]
    assert "identical weights: True\nidentical logits: True\nsame ids: True\n" in printed


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_unwrapping_takes_16_bit_arithmetic_off(tiny_model, tmp_path, precision):
    args = TrainingArguments(output_dir=tmp_path, use_cpu=True, bf16=precision == "bfloat16", max_steps=1)
    rows = [{"input_ids": [1, 2, 3], "labels": 1}] * 8
    trainer = Trainer(model=tiny_model, args=args, train_dataset=rows)
    trainer.train()
    batch = {"input_ids": torch.tensor([[1, 2, 3]])}
    in_memory = trainer.accelerator.unwrap_model(tiny_model, keep_fp32_wrapper=False).eval()
    trainer.save_model(tmp_path / "saved")
    reloaded = type(tiny_model).from_pretrained(tmp_path / "saved", dtype=torch.float32).eval()
    with torch.inference_mode():
        assert torch.equal(in_memory(**batch).logits, reloaded(**batch).logits)


def measured(p_value=0.01, difference=2.0):
    return {
        "train": range(4000), "p_value": p_value, "difference": difference, "half": 1.0,
        "intervals": {"encoder": (0.9, 0.88, 0.92), "counting": (0.88, 0.86, 0.9)},
    }  # fmt: skip


CASES = [
    ("02.1", {"gaps": [(3.0, 1.0), (2.0, 1.0)]}, HOLDS),
    ("02.1", {"gaps": [(3.0, 1.0), (0.5, 1.0)]}, IN_PART),
    ("02.1", {"gaps": [(-3.0, 1.0), (-2.0, 1.0)]}, FAILS),
    ("02.1", {"gaps": [(0.5, 1.0)]}, OPEN),
    ("02.2", measured(), HOLDS),
    ("02.2", measured(difference=-2.0), FAILS),
    ("02.2", measured(p_value=0.2), OPEN),
]


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(verdict_of, id, numbers, verdict):
    assert verdict_of(id, {"Number": Number} | numbers) == verdict


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert cards_are_turned("02", CASES) == {"02.1", "02.2"}
