"""The code that students read in lesson 02, taken out of the committed notebook."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

from utils import assets


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
