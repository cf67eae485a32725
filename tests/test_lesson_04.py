"""Lesson 04 as students read it: its experiments on tiny models, what was measured beforehand, the verdicts."""

import json
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BatchEncoding, BertConfig, BertForMaskedLM, BertForSequenceClassification

from tests.conftest import planned
from tools.notebooks.files import NOTEBOOKS
from utils import claims
from utils.intervals import Number, over_seeds

METHODS = ("fine-tuned", "random start", "half frozen", "head only", "LoRA")


class Letters:
    """A tokenizer that gives each letter an id; enough of one for the lesson's functions."""

    mask_token_id, pad_token_id, padding_side, deprecation_warnings = 4, 0, "right", defaultdict(bool)

    def __call__(self, texts, truncation=True, max_length=64):
        return {"input_ids": [[2, *(5 + ord(letter) % 25 for letter in text[: max_length - 2]), 3] for text in texts]}

    def pad(self, rows, return_tensors="pt", padding=True, max_length=None, pad_to_multiple_of=None):
        if isinstance(rows, list):
            rows = {key: [row[key] for row in rows] for key in rows[0] if key != "length"}
        width = max(map(len, rows["input_ids"]))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows["input_ids"]])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows["input_ids"]])
        more = {"labels": torch.tensor(rows["labels"])} if "labels" in rows else {}
        return BatchEncoding({"input_ids": ids, "attention_mask": mask} | more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with its masked-language head, saved."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForMaskedLM(BertConfig(vocab_size=30, max_position_embeddings=64, **sizes))
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def scope(folder, tmp_path, monkeypatch):
    """The names that the lesson's cells have defined before its functions."""
    import hashlib

    import transformers
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from utils.resume import run_folder

    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)

    def part(size):
        labels = (np.arange(size) % 2).tolist()
        texts = ["".join(rng.choice(list("abcdef" if label else "opqrst"), rng.integers(3, 12))) for label in labels]
        return {"text": texts, "label": labels}

    train, validation, test = part(100), part(20), part(60)
    names = (
        "AutoConfig", "AutoModel", "AutoModelForSequenceClassification", "set_seed", "DataCollatorWithPadding",
        "PrinterCallback", "Trainer", "TrainingArguments",
    )  # fmt: skip
    return {name: getattr(transformers, name) for name in names} | {
        "np": np, "torch": torch, "hashlib": hashlib, "Dataset": Dataset, "LoraConfig": LoraConfig,
        "get_peft_model": get_peft_model, "RidgeClassifierCV": RidgeClassifierCV, "make_pipeline": make_pipeline,
        "StandardScaler": StandardScaler, "run_folder": run_folder, "SEEDS": (0, 1, 2),
        "profile": SimpleNamespace(device="cpu", precision="float32", attention="eager", name="test"),
        "NETWORKS": {"encoder": folder, "BERT": folder},
        "tokenizers": {"encoder": Letters(), "BERT": Letters()},
        "train": Dataset.from_dict(train), "validation": validation, "test": test, "truth": np.array(test["label"]),
    }  # fmt: skip


RUN = ["with_lora", "new_model", "drawn", "as_rows", "accuracy", "new_trainer", "answers", "run"]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_runs_and_trains_what_it_says(take_from_lesson, scope, method):
    *_, run = take_from_lesson("04", *RUN, **scope)
    kept = []

    class Trainer(scope["Trainer"]):
        def __init__(self, model, *arguments, **how):
            kept.append((model, {name: values.detach().clone() for name, values in model.named_parameters()}))
            super().__init__(model, *arguments, **how)

    run.__globals__["Trainer"] = Trainer
    found = run("encoder", method, 64, 0, 1e-2, 3, curve=True)
    assert len(found["right"]) == 60
    assert set(found["right"]) <= {0, 1}
    assert len(found["curve"]) == 3
    assert json.loads(json.dumps(found)) == found
    ((model, before),) = kept
    moved = {name for name, values in model.named_parameters() if not torch.equal(values, before[name])}
    allowed = {
        "fine-tuned": lambda name: True, "random start": lambda name: True,
        "half frozen": lambda name: not any(part in name for part in ("embeddings", "layer.0.", "layer.1.")),
        "head only": lambda name: name.startswith("classifier"),
        "LoRA": lambda name: "lora_" in name or "classifier.modules_to_save" in name,
    }[method]  # fmt: skip
    assert moved == {name for name in before if allowed(name)}


def test_what_is_right_is_in_the_order_of_the_test_sentences(take_from_lesson, scope):
    *_, as_rows, _, _, _, run = take_from_lesson("04", *RUN, **scope)
    models = []
    new_model = run.__globals__["new_model"]
    run.__globals__["new_model"] = lambda *how: models.append(new_model(*how)) or models[-1]
    found = run("encoder", "fine-tuned", 100, 0, 1e-2, 4)
    with torch.inference_mode():
        for row, right in zip(as_rows(scope["test"], "encoder"), found["right"], strict=True):
            logits = models[0].eval()(input_ids=torch.tensor([row["input_ids"]])).logits
            assert int(logits.argmax().item() == row["labels"]) == right
    assert sum(found["right"]) > 50  # the two labels use other letters


def test_the_same_run_gives_the_same_and_another_seed_does_not(take_from_lesson, scope):
    *_, new_trainer, _, run = take_from_lesson("04", *RUN, **scope)
    weights = []
    for seed in (0, 0, 1):
        model = run.__globals__["new_model"]("encoder", "fine-tuned", seed)
        new_trainer(model, "encoder", 32, seed, 1e-3, 1).train()
        weights.append(model.classifier.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_pretrained_and_random_starts_differ_where_they_should(take_from_lesson, scope, folder):
    _, new_model = take_from_lesson("04", "with_lora", "new_model", **scope)
    kept = BertForSequenceClassification.from_pretrained(folder).state_dict()
    name = "bert.encoder.layer.2.output.dense.weight"
    assert torch.equal(new_model("encoder", "fine-tuned", 1).state_dict()[name], kept[name])
    assert not torch.equal(new_model("encoder", "random start", 1).state_dict()[name], kept[name])


@pytest.mark.parametrize(("labels", "seed"), [(5, 0), (50, 3)])
def test_the_same_seed_draws_the_same_sentences_and_more_labels_hold_fewer(take_from_lesson, scope, labels, seed):
    (drawn,) = take_from_lesson("04", "drawn", **scope)
    assert len(drawn(labels, seed)["text"]) == labels
    assert drawn(labels, seed) == drawn(labels, seed)
    assert drawn(2 * labels, seed)["text"][:labels] == drawn(labels, seed)["text"]
    assert drawn(labels, seed + 1) != drawn(labels, seed)


@pytest.mark.parametrize("labels", [0, 1, -3, 101])
def test_a_budget_outside_the_data_is_one_clear_line(take_from_lesson, scope, labels):
    (drawn,) = take_from_lesson("04", "drawn", **scope)
    with pytest.raises(ValueError, match=rf"^Expected between 2 and 100 labels, got {labels}\.$"):
        drawn(labels, 0)


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_one_clear_line(take_from_lesson, scope, rate):
    *_, run = take_from_lesson("04", *RUN, **scope)
    with pytest.raises(ValueError, match=r"^Expected a learning rate above 0, got .*\.$"):
        run("encoder", "fine-tuned", 10, 0, rate, 1)


@pytest.mark.parametrize(("labels", "shown"), [([], r"\[\]"), ([0, 2], r"\[0, 2\]"), ([-1], r"\[-1\]")])
def test_no_sentence_or_another_label_is_one_clear_line(take_from_lesson, scope, labels, shown):
    (as_rows,) = take_from_lesson("04", "as_rows", **scope)
    with pytest.raises(ValueError, match=f"^Expected sentences with the labels 0 and 1, got the labels {shown}"):
        as_rows({"text": ["a"] * len(labels), "label": labels}, "encoder")


def test_layer_vectors_are_means_over_real_tokens(take_from_lesson, scope):
    _, layer_vectors, body_of = take_from_lesson("04", "in_batches", "layer_vectors", "body_of", **scope)
    body, texts = body_of(pretrained=True), ["abcd", "k", "mnopqrst"]
    found = layer_vectors(body, texts)
    assert found.shape == (5, 3, 16)
    for number, text in enumerate(texts):
        with torch.inference_mode():
            layers = body(torch.tensor(Letters()([text])["input_ids"]), output_hidden_states=True).hidden_states
        for layer, wanted in enumerate(layers):
            assert found[layer, number] == pytest.approx(wanted[0].mean(dim=0).numpy(), abs=1e-5)


def test_a_linear_head_reads_each_layer(take_from_lesson, scope):
    names = ["drawn", "in_batches", "layer_vectors", "linear_head", "body_of", "read_layers"]
    *_, layer_vectors, _, body_of, read_layers = take_from_lesson("04", *names, **scope)
    pretrained, untrained = read_layers(60)["right"], read_layers(60, pretrained=False)["right"]
    assert np.shape(pretrained) == np.shape(untrained) == (5, 3, 60)
    assert np.mean(pretrained[0]) > 0.9  # the letters tell the label
    vectors = [layer_vectors(body_of(pretrained=either), ["abc"]) for either in (True, False, False)]
    assert not np.allclose(vectors[0], vectors[1])
    assert np.array_equal(vectors[1], vectors[2])


@pytest.mark.parametrize(("method", "tries"), [("random start", 3), ("fine-tuned", 1)])
def test_a_stuck_random_start_is_started_again_with_other_weights(take_from_lesson, scope, method, tries):
    *_, run = take_from_lesson("04", *RUN, **scope)
    new_model, seeds = run.__globals__["new_model"], []
    run.__globals__["new_model"] = lambda network, method, seed: seeds.append(seed) or new_model(network, method, seed)
    run.__globals__["answers"] = lambda trainer, part, network: np.ones(len(part["label"]), dtype=int)
    assert run("encoder", method, 8, 5, 1e-3, 1)["starts"] == tries
    assert seeds == [5, 105, 205][:tries]
    run.__globals__["answers"] = lambda trainer, part, network: np.arange(len(part["label"])) % 2
    assert run("encoder", method, 8, 5, 1e-3, 1)["starts"] == 1


def test_what_backward_needs_shrinks_with_what_is_frozen(take_from_lesson, scope):
    names = ["with_lora", "new_model", "in_fast_precision", "kept_for_backward"]
    _, new_model, _, kept_for_backward = take_from_lesson("04", *names, **scope)
    ids = torch.full((4, 8), 9)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0] % 2}
    kept = {method: kept_for_backward(new_model("encoder", method, 0).train(), batch) for method in METHODS}
    assert kept["fine-tuned"] == kept["random start"]
    assert kept["head only"] < kept["half frozen"] < kept["fine-tuned"]


@pytest.fixture(scope="module")
def chosen():
    """(method, labels) -> {rate: mean validation accuracy}, as measured beforehand."""
    found = defaultdict(dict)
    for row in json.loads((NOTEBOOKS / "source" / "lesson_04" / "results" / "rates.json").read_text())["runs"]:
        found[row["method"], row["labels"]][row["rate"]] = 100 * np.mean(row["validation"])
    return found


@pytest.fixture(scope="module")
def lesson():
    """The names that the cells of the plan define, under `embedded`."""
    with planned("04") as (_, names):
        yield names


def test_the_learning_rates_are_what_the_rule_gives(lesson, chosen):
    for (method, labels), accuracies in chosen.items():
        near = [rate for rate, accuracy in accuracies.items() if accuracy > max(accuracies.values()) - 1 - 1e-9]
        assert lesson["RATES"][method][lesson["LABELS"].index(labels)] == min(near), (method, labels)
    assert all(rates[0] == rates[1] for rates in lesson["RATES"].values())  # 50 labels take the rates of 200


def test_all_that_comes_with_the_course_is_from_this_code_and_data(lesson, tmp_path):
    from notebooks.source.lesson_04.beforehand import from_beforehand

    experiments = lesson["experiments"]
    wanted = from_beforehand(lesson)
    keys = {experiments._key(function, one) for function, runs in wanted.items() for one in runs}
    assert keys == set(experiments.beforehand)
    live_runs = lesson["live"] + [one for one in lesson["rates"] if one not in lesson["beforehand_rates"]]
    live = {experiments._key(lesson["run"], one) for one in live_runs}
    assert len(live) == len(live_runs)
    assert not live & keys


def budgets(**shares):
    """Outcomes of all methods and budgets: `tuned_live=0.8` is fine-tuned with 200 labels."""
    short = {"tuned": "fine-tuned", "random": "random start", "words": "counting words", "half": "half frozen",
             "lora": "LoRA", "frozen": "frozen + linear"}  # fmt: skip
    sizes = {"few": 50, "live": 200, "more": 1000, "many": 4000}
    draws = np.random.default_rng(0).random((3, 1000))
    right = {(method, labels): 100.0 * (draws < 0.7) for method in short.values() for labels in sizes.values()}
    for name, share in shares.items():
        method, size = name.split("_")
        right[short[method], sizes[size]] = 100.0 * (draws < share)
    return {"right": right}


def leads(live, many):
    """Fine-tuning leads both baselines by so many points with 200 and 4,000 labels."""
    ahead = {"live": live, "many": many}
    shares = {f"tuned_{size}": 0.95 for size in ahead}
    shares |= {f"{name}_{size}": 0.95 - points / 100 for name in ("random", "words") for size, points in ahead.items()}
    return budgets(**shares)


def rates(grammar):
    """A sweep whose three rates lose these points of grammar; the middle one is the best for the task."""
    sweep = [3e-6, 3e-4, 0.3]
    lost = {
        rate: Number(points, points - 1, points + 1, " points") for rate, points in zip(sweep, grammar, strict=True)
    }
    task = dict.fromkeys(sweep, Number(60, 58, 62, "%"))
    return {"SWEEP": sweep, "best": 3e-4, "task": task, "given": lost}


def layers(last, lowest, middle, untrained):
    draws = np.random.default_rng(0).random((3, 1000))
    found = {"pretrained": [lowest, middle, last], "random weights": [untrained] * 3}
    return {"by_layer": {name: np.array([100.0 * (draws < share) for share in of]) for name, of in found.items()}}


def one_epoch(*shares):
    draws = np.random.default_rng(0).random((3, 1000))
    tuned = {("fine-tuned", n): 100.0 * (draws < 0.8) for n in (200, 1000, 4000)}
    short = {("fine-tuned", n): 100.0 * (draws < share) for n, share in zip((200, 1000, 4000), shares, strict=True)}
    return {"right": tuned, "one_epoch": short}


def costs(time, memory, weights=0.01):
    return {"costs": {"fine-tuned": (100, 100, 100.0, 1.0), "half frozen": (50, 100, memory, time),
                      "LoRA": (100 * weights, 100, 60.0, 0.6)}}  # fmt: skip


CASES = [
    ("04.1", budgets(tuned_live=0.8, random_more=0.6), "holds"),
    ("04.1", budgets(tuned_live=0.8, random_more=0.8), "not settled here"),
    ("04.1", budgets(tuned_live=0.6, random_more=0.8), "does not hold"),
    ("04.2", leads(40, 10), "holds"),
    ("04.2", leads(10, 10), "not settled here"),
    ("04.2", leads(5, 10), "does not hold"),
    ("04.3", rates([0, 1, 30]), "holds"),
    ("04.3", rates([0, 8, 30]), "depends"),
    ("04.3", rates([0, 8, 5]), "does not hold"),
    ("04.4", one_epoch(0.79, 0.8, 0.8), "holds"),
    ("04.4", one_epoch(0.6, 0.7, 0.8), "depends"),
    ("04.4", one_epoch(0.6, 0.6, 0.6), "does not hold"),
    ("04.5", layers(0.8, 0.6, 0.7, 0.6), "holds"),
    ("04.5", layers(0.8, 0.6, 0.85, 0.6), "does not hold"),
    ("04.6", budgets() | costs(0.5, 50.0), "holds"),
    ("04.6", budgets(half_live=0.5) | costs(0.5, 50.0), "depends"),
    ("04.6", budgets(half_live=0.5, half_more=0.5) | costs(0.9, 90.0), "does not hold"),
    ("04.7", budgets() | costs(0.5, 50.0), "holds"),
    ("04.7", budgets(lora_few=0.5) | costs(0.5, 50.0), "depends"),
    ("04.7", budgets(lora_few=0.5, lora_live=0.5, lora_more=0.5, lora_many=0.5) | costs(0.5, 50.0), "does not hold"),
]


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(verdict_of, take_from_lesson, id, numbers, verdict):
    scope = {
        "np": np, "over_seeds": over_seeds, "Number": Number, "MARGIN": 3, "LABELS": (50, 200, 1000, 4000), "LIVE": 200,
        "FEWEST": 50, "MORE": 1000, "ENCODER": "encoder", "origin_of": lambda *methods, **how: claims.MEASURED_HERE,
        "own_sweep": 1, "BERT": "bert",
        "rates": range(18), "MANY": 4000, "SEEDS": (0, 1, 2),
        "EPOCHS": {50: 10, 200: 5, 1000: 3, 4000: 2}, "truth": np.zeros(1000),
        "LINES": ["fine-tuned", "LoRA", "frozen + linear", "counting words", "random start"], "claims": claims,
    } | numbers  # fmt: skip
    if "given" in scope:
        nats = Number(0.2, 0.1, 0.3)
        scope["lost"] = lambda rate, key, *how: scope["given"][rate] if key == "grammar" else nats
    if "right" in scope:
        scope["accuracies"] = {key: over_seeds(of, "%") for key, of in scope["right"].items()}
        scope["right"] = {key: of for key, of in scope["right"].items() if id != "04.6" or key[1] in (200, 1000)}
        (scope["gap"],) = take_from_lesson("04", "gap", **scope)
    assert verdict_of(id, scope) == verdict


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("04", CASES)) >= 7
