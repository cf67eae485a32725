"""Lesson 05 as students read it: the loop against the Trainer, groups, schedule, unfreezing, the verdicts."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
    set_seed,
)

from utils import claims
from utils.intervals import over_seeds

CPU = SimpleNamespace(device="cpu", name="test")


def padded(rows):
    from transformers import BatchEncoding

    width = max(len(row["input_ids"]) for row in rows)
    ids = [row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in rows]
    mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows]
    batch = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    return BatchEncoding(batch | {"labels": torch.tensor([row["labels"] for row in rows])})


def tiny(dropout=0.0, layers=2):
    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 32}
    still = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=32, **sizes, **still))


def sentences(size):
    rng = np.random.default_rng(0)
    ids = [[2, *rng.integers(5, 50, rng.integers(1, 12)).tolist(), 3] for _ in range(size)]
    return Dataset.from_dict({"input_ids": ids, "labels": [int(row[1] > 27) for row in ids]})


@pytest.mark.parametrize(
    ("size", "dropout", "rate", "epochs"), [(48, 0.0, 2e-2, 3), (43, 0.1, 2e-2, 3), (16, 0.3, 0.1, 4)]
)
def test_the_loop_reproduces_the_trainer_s_losses_and_weights(take_from_lesson, tmp_path, size, dropout, rate, epochs):
    scope = {"torch": torch, "np": np, "DataLoader": DataLoader, "BATCH": 16, "DECAY": 0.01, "collator": padded,
             "profile": CPU}  # fmt: skip
    names = ["batches", "is_decayed", "two_groups", "train", "checked", "steps_of"]
    _, _, two_groups, train, checked, steps_of = take_from_lesson("05", *names, **scope)
    rows, seed = sentences(size), 3
    args = TrainingArguments(
        output_dir=tmp_path, learning_rate=rate, weight_decay=0.01, num_train_epochs=epochs, use_cpu=True, seed=seed,
        per_device_train_batch_size=16, warmup_steps=0.1, logging_steps=1, save_strategy="no", report_to="none",
        disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(tiny(dropout), args, padded, rows)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]

    model = tiny(dropout)
    optimizer = torch.optim.AdamW(two_groups(model), lr=checked(rate))
    steps = steps_of(rows, epochs)
    scheduler = get_linear_schedule_with_warmup(optimizer, int(np.ceil(0.1 * steps)), steps)
    set_seed(seed)
    losses = train(model, optimizer, scheduler, rows, epochs, seed)
    assert len(losses) == len(logged) == steps
    assert losses == pytest.approx(logged, abs=1e-4)
    assert max(losses) - min(losses) > 0.01  # something was trained
    theirs = dict(trainer.model.named_parameters())
    for name, ours in model.named_parameters():
        if not name.endswith("key.bias"):  # its gradient is 0 but for rounding, which Adam blows up to whole steps
            assert torch.allclose(ours, theirs[name], atol=1e-3), name


def test_two_groups_and_layer_groups_hold_each_weight_once(take_from_lesson):
    scope = {"DECAY": 0.01, "np": np}
    names = ["is_decayed", "checked", "depth_of", "two_groups", "layer_groups"]
    *_, two_groups, layer_groups = take_from_lesson("05", *names, **scope)
    model = tiny(layers=3)
    for groups in (two_groups(model), layer_groups(model, 1e-3, 2.6)):
        held = [id(values) for group in groups for values in group["params"]]
        assert sorted(held) == sorted(id(values) for values in model.parameters())
    names = {id(values): name for name, values in model.named_parameters()}
    for group in layer_groups(model, 1e-3, 2.6):
        of = {names[id(values)] for values in group["params"]}
        expected = {0: "bert.embeddings.", 4: ("bert.pooler.", "classifier.")}
        assert all(
            name.startswith(expected.get(group["depth"], f"bert.encoder.layer.{group['depth'] - 1}.")) for name in of
        )
        assert group["lr"] == pytest.approx(1e-3 / 2.6 ** (4 - group["depth"]))
        plain = {name.endswith("bias") or "LayerNorm" in name for name in of}
        assert plain == {group["weight_decay"] == 0}


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_one_clear_line(take_from_lesson, rate):
    *_, layer_groups = take_from_lesson("05", "is_decayed", "checked", "depth_of", "layer_groups", DECAY=0.01, np=np)
    with pytest.raises(ValueError, match=r"^Expected a learning rate above 0, got .*\.$"):
        layer_groups(tiny(), rate)


@pytest.mark.parametrize(
    ("texts", "labels", "line"),
    [([], [], "Expected at least one labelled sentence, got none."),
     (["a", "b"], [0, 2], r"Expected the labels 0 and 1, got \[0, 2\]."), (["a"], [-1], r"got \[-1\]")],
)  # fmt: skip
def test_no_sentence_or_another_label_is_one_clear_line(take_from_lesson, texts, labels, line):
    (as_rows,) = take_from_lesson("05", "as_rows")
    with pytest.raises(ValueError, match=line):
        as_rows(texts, labels)


@pytest.mark.parametrize("size", [0, -1, 11])
def test_more_sentences_than_there_are_is_one_clear_line(take_from_lesson, size):
    part = Dataset.from_dict({"text": list("abcdefghij"), "label": [0, 1] * 5})
    (drawn,) = take_from_lesson("05", "drawn", sentences={"train": part})
    assert len(drawn("train", 10, 0)[0]) == 10
    with pytest.raises(ValueError, match=f"Expected between 1 and 10 sentences of train, got {size}."):
        drawn("train", size, 0)


@pytest.fixture
def factor(take_from_lesson):
    (slanted_triangular,) = take_from_lesson("05", "slanted_triangular", math=math)
    return slanted_triangular


@pytest.mark.parametrize("steps", [10, 20, 100, 1000, 1560])
def test_the_schedule_is_the_paper_s_formula_at_every_step(factor, steps):
    cut = steps // 10  # written anew, in the paper's order: Howard and Ruder 2018, equation 3
    for step in range(steps):
        p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / 0.1 - 1))
        assert factor(step, steps) == pytest.approx((1 + p * (32 - 1)) / 32, abs=1e-9)
    assert max(factor(step, steps) for step in range(steps)) == factor(cut, steps) == 1


@pytest.mark.parametrize("steps", [*range(1, 60), 109, 1563])
def test_no_rate_is_ever_below_the_lowest(factor, steps):
    rates = [factor(step, steps) for step in range(steps + 1)]
    assert min(rates) >= 1 / 32 - 1e-12
    assert max(rates) <= 1
    if steps > 1:
        assert max(rates) == 1


def test_the_formula_as_printed_does_go_wrong(take_from_lesson):
    (as_printed,) = take_from_lesson("05", "as_printed", math=math)
    assert as_printed(18, 19) < 0
    with pytest.raises(ZeroDivisionError):
        as_printed(0, 9)


@pytest.mark.parametrize("stop", [1, 7, 50, 99])
def test_an_interrupted_schedule_goes_on(take_from_lesson, stop):
    _, slanted = take_from_lesson("05", "slanted_triangular", "slanted", math=math, LambdaLR=LambdaLR)

    def new():
        optimizer = torch.optim.AdamW(
            [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in (1.0, 0.1)]
        )
        return optimizer, slanted(optimizer, 100)

    def go_on(optimizer, scheduler, steps):
        rates = []
        for _ in range(steps):
            rates.append(scheduler.get_last_lr())
            optimizer.step()
            scheduler.step()
        return rates

    whole = go_on(*new(), 100)
    first, scheduler = new()
    before = go_on(first, scheduler, stop)
    second, other = new()
    second.load_state_dict(first.state_dict())
    other.load_state_dict(scheduler.state_dict())
    assert before + go_on(second, other, 100 - stop) == whole
    assert all(low == pytest.approx(high / 10) for high, low in whole)  # each group keeps its own rate


@pytest.mark.parametrize(("layers", "epochs"), [(4, 4), (12, 4), (3, 5), (2, 2), (3, 1)])
def test_unfreezing_is_a_staircase(take_from_lesson, layers, epochs):
    depth_of, unfreeze = take_from_lesson("05", "depth_of", "unfreeze")
    model, before = tiny(layers=layers), set()
    for epoch in range(epochs):
        unfreeze(model, epoch, epochs)
        named = list(model.named_parameters())
        trained = {depth_of(name, layers) for name, values in named if values.requires_grad}
        still = {depth_of(name, layers) for name, values in named if not values.requires_grad}
        assert layers + 1 in trained
        assert not trained & still
        assert trained == set(range(min(trained), layers + 2))  # no step is left out
        assert trained >= before
        if epoch == 0:
            assert trained == {layers + 1}
        before = trained
    if epochs > 1:
        assert before == set(range(layers + 2))


def test_frozen_layers_stay_and_the_rest_moves(take_from_lesson):
    scope = {
        "torch": torch,
        "DataLoader": DataLoader,
        "BATCH": 16,
        "collator": padded,
        "profile": CPU,
        "DECAY": 0.01,
        "np": np,
    }
    names = ["batches", "train", "is_decayed", "checked", "depth_of", "layer_groups", "unfreeze"]
    _, train, *_, depth_of, layer_groups, unfreeze = take_from_lesson("05", *names, **scope)
    model = tiny()
    before = {name: values.detach().clone() for name, values in model.named_parameters()}
    optimizer = torch.optim.AdamW(layer_groups(model, 1e-3))
    train(model, optimizer, LambdaLR(optimizer, lambda step: 1.0), sentences(32), 1, 0,
          before_epoch=lambda epoch: unfreeze(model, 0, 4))  # fmt: skip
    moved = {depth_of(name, 2) for name, values in model.named_parameters() if not torch.equal(values, before[name])}
    assert moved == {3}


def test_answers_come_in_the_order_of_the_rows(take_from_lesson):
    (told,) = take_from_lesson("05", "told", torch=torch, np=np, collator=padded, profile=CPU)
    model, rows = tiny(dropout=0.5), sentences(130)
    with torch.inference_mode():
        model.classifier.weight.mul_(50)
        logits = torch.cat([model.eval()(**padded([row])).logits for row in rows])
        model.classifier.bias[1] -= (logits[:, 1] - logits[:, 0]).median()  # about half of the rows on either side
        one_by_one = [model.eval()(**padded([row])).logits.argmax().item() for row in rows]
    assert 0 < sum(one_by_one) < 130
    assert told(model.train(), rows).tolist() == one_by_one


def outcomes(gain, spared=0.5, noise=1.0):
    """Right answers and forgotten nats of two recipes: the other gains points and spares nats against plain."""
    rng = np.random.default_rng(0)
    plain = rng.normal(70, 20, (3, 400))
    return {
        "right": {"plain": plain, "one": plain + gain + rng.normal(0, noise, plain.shape)},
        "lost": {"plain": plain / 100, "one": plain / 100 - spared + rng.normal(0, noise / 100, plain.shape)},
    }


GAINS = [(2, "holds"), (-2, "does not hold"), (0, "not settled here")]
CASES = [
    ("05.1", {"largest": 1e-6}, "holds"),
    ("05.1", {"largest": 0.1}, "does not hold"),
    *[(f"05.{number}", outcomes(gain), verdict) for number in (2, 3, 4, 5) for gain, verdict in GAINS],
    ("05.6", {"apart": 1e-7, "one": [1.0], "two": [1.0]}, "holds"),
    ("05.6", {"one": [1.0], "two": [1.1]}, "does not hold"),
]


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(verdict_of, take_from_lesson, id, numbers, verdict):
    scope = {"over_seeds": over_seeds, "losses": [1.0], "claims": claims, "ours": np.ones(9), "theirs": np.ones(9)}
    scope |= {"profile": SimpleNamespace(**vars(CPU) | {"name": "test", "bert": "a/bert"}), "SEEDS": (0, 1, 2)}
    scope |= dict.fromkeys(("model", "original"), torch.nn.Linear(9, 9))
    scope |= {"recipes": [], "experiments": None, "run": None} | numbers
    if "lost" in numbers:
        for kept in (scope["right"], scope["lost"]):
            kept |= dict.fromkeys(
                ("discriminative", "slanted triangular", "gradual unfreezing", "all three"), kept["one"]
            ) | {"smaller rate": kept["plain"]}
        (scope["judge"],) = take_from_lesson("05", "judge", **scope)
    assert verdict_of(id, scope) == verdict


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("05", CASES)) >= 6
