"""The two measures of forgetting against the library's own loss, on a tiny model."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from utils import forgetting as module
from utils.forgetting import Forgetting


@pytest.fixture
def tiny():
    """A BERT of two layers that guesses among 30 tokens."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return BertForMaskedLM(BertConfig(vocab_size=30, max_position_embeddings=64, **sizes)).eval()


class Letters:
    """A tokenizer that gives each letter an id."""

    mask_token_id = 4

    def __call__(self, texts, truncation=False, max_length=None):
        one, room = isinstance(texts, str), (max_length or 60) - 2
        rows = [[2, *(5 + ord(letter) % 25 for letter in text[:room]), 3] for text in ([texts] if one else texts)]
        return {"input_ids": rows[0] if one else rows}

    def pad(self, rows, return_tensors):
        width = max(map(len, rows["input_ids"]))
        return {
            "input_ids": torch.tensor([row + [0] * (width - len(row)) for row in rows["input_ids"]]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows["input_ids"]]),
        }


@pytest.fixture
def measured(tiny, monkeypatch):
    monkeypatch.setattr(module, "pairs", lambda: {"kind": [("abcd", "abxd"), ("kl", "lk")], "other": [("mno", "mn")]})
    return Forgetting(
        tiny, Letters(), ["a longer text", "b", "another text that is much longer than sixty-four signs " * 2]
    )


@torch.inference_mode()
def loss_of(model, ids, places):
    seen, labels = torch.tensor([ids]), torch.full((1, len(ids)), -100)
    labels[0, places] = seen[0, places]
    seen[0, places] = 4
    return model(input_ids=seen, labels=labels).loss.item()


def test_the_loss_at_hidden_tokens_is_the_model_s(measured, tiny):
    found = measured.measure(tiny.base_model)["hidden"]
    assert len(found) == 2  # in "b" is nothing to hide
    for (ids, places), loss in zip(measured.hidden, found, strict=True):
        assert len(ids) <= 64
        assert loss == pytest.approx(loss_of(tiny, ids, list(places)), abs=1e-5)


def test_grammar_takes_the_sentence_with_the_smaller_sum_of_losses(measured, tiny):
    found = measured.measure(tiny.base_model)["grammar"]
    sums = [sum(loss_of(tiny, ids, [place]) for place in range(1, len(ids) - 1)) for ids in measured.pairs]
    assert found == [int(right < wrong) for right, wrong in zip(sums[::2], sums[1::2], strict=True)]


def test_other_weights_change_the_measures_and_leave_no_trace(measured, tiny):
    first = measured.measure(tiny.base_model)
    with torch.no_grad():
        tiny.base_model.embeddings.word_embeddings.weight.add_(torch.randn(30, 16))
    second = measured.measure(tiny.base_model)
    assert np.abs(np.subtract(first["hidden"], second["hidden"])).max() > 1e-3
    assert measured.measure(tiny.base_model) == second
    assert all(values.grad is None for values in tiny.parameters())
