"""Leaving out work must change nothing else: logits, gradients, what is saved."""

import copy

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from utils.lean import ATTENTION, make_lean

SHAPE = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "vocab_size": 50}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
KEPT = {"sdpa": "sdpa"}  # attention that is one operation stays


def models(attention, **dropout):
    torch.manual_seed(0)
    whole = BertForSequenceClassification(BertConfig(**SHAPE, attn_implementation=attention, **dropout))
    changed = copy.deepcopy(whole)
    make_lean(changed)
    assert [one.config._attn_implementation for one in (whole, changed)] == [attention, KEPT.get(attention, ATTENTION)]
    return whole, changed


def batch():
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[1, 4:] = 0
    return {
        "input_ids": torch.randint(50, (3, 7), generator=generator),
        "attention_mask": mask,
        "labels": torch.tensor([0, 1, 1]),
    }


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padded", [True, False])
def test_loss_logits_and_gradients_stay(attention, padded):
    given = batch()
    if not padded:
        del given["attention_mask"]
    results = []
    for model in models(attention, **NO_DROPOUT):
        outputs = model.train()(**given)
        outputs.loss.backward()
        results.append((outputs, {name: weight.grad for name, weight in model.named_parameters()}))
    (first, own), (second, others) = results
    torch.testing.assert_close(first.logits, second.logits)
    torch.testing.assert_close(first.loss, second.loss)
    assert own.keys() == others.keys()
    for name, gradient in own.items():
        torch.testing.assert_close(gradient, others[name], msg=name)


def test_in_16_bits_gradients_are_as_near_to_those_in_32_bits_as_before():
    given = batch()
    gradients = {}
    for name, model in zip(("eager", "lean"), models("eager", **NO_DROPOUT), strict=True):
        for fast in (False, True):
            model.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                loss = model.train()(**given).loss
            loss.backward()
            gradients[name, fast] = torch.cat([weight.grad.flatten() for weight in model.parameters()])
    errors = {name: (gradients[name, True] - gradients["eager", False]).norm() for name in ("eager", "lean")}
    assert 0 < errors["lean"] < 1.3 * errors["eager"]
    assert errors["eager"] < 0.1 * gradients["eager", False].norm()


def test_dropout_inside_attention_is_kept():
    _, changed = models("eager", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    given = batch()
    changed.train()
    assert not torch.equal(changed(**given).logits, changed(**given).logits)
    changed.eval()
    assert torch.equal(changed(**given).logits, changed(**given).logits)


def test_it_works_with_dropout_and_on_a_copy():
    _, changed = models("eager")
    twin = copy.deepcopy(changed)
    with torch.no_grad():
        twin.bert.encoder.layer[-1].output.dense.bias += 100  # a copy computes with its own weights
    given = batch()
    changed.train()(**given).loss.backward()
    assert changed.bert.encoder.layer[-1].attention.self.query.weight.grad.abs().sum() > 0
    assert not torch.allclose(changed.eval()(**given).logits, twin.eval()(**given).logits)


def test_saved_and_read_again_it_is_an_ordinary_model(tmp_path):
    _, changed = models("eager")
    changed.save_pretrained(tmp_path)
    reloaded = BertForSequenceClassification.from_pretrained(tmp_path, attn_implementation="eager")
    given = batch()
    hidden = reloaded.bert(given["input_ids"], given["attention_mask"]).last_hidden_state
    assert hidden.shape == (3, 7, 16)
    torch.testing.assert_close(reloaded(**given).logits, changed.eval()(**given).logits)
