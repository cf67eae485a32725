"""The benchmarks' own arithmetic, and one small run of each in earnest."""

import dataclasses
import json

import pytest

from benchmarks import finetune
from benchmarks.rates import flops


def run(recipe, seed, seconds, right):
    return {
        "recipe": recipe, "seed": seed, "reviews": 100, "seconds": seconds, "tokens": 9000, "computed_tokens": 12000,
        "precision": "float32", "peak_mib": 100 * seed, "matrix_rate": {"float32": 1e9}, "needed_flops": 5e8 * seconds,
        "right": right,
    }  # fmt: skip


def test_the_summary_compares_the_same_reviews_and_the_same_seeds():
    runs = [run("a", 0, 20.0, "1000"), run("a", 1, 60.0, "1111"), run("c", 0, 2.0, "1100"),
            run("c", 1, 3.0, "1110")]  # fmt: skip
    summary = finetune.summary(runs)
    a = summary["a"]
    assert a["times_each"] == [10, 20]
    assert a["accuracy"][0] == 62.5
    value, low, high = a["c_minus_this"]
    assert value == 0
    assert low < 0 < high
    assert a["padding"] == 0.25
    assert a["peak_mib"] == 100
    assert a["share_of_matrix_rate"] == pytest.approx(0.5)
    assert "10.0, 20.0 times the seconds of c; c is right more often by 0 points (" in finetune.as_text(
        {"recipes": summary}
    )


def test_one_seed_has_no_interval():
    summary = finetune.summary([run("a", 0, 20.0, "1000"), run("c", 0, 2.0, "1100")])
    assert summary["a"]["accuracy"] == [25, None, None]
    assert "c is right more often by 25.0 points" in finetune.as_text({"recipes": summary})


def test_runs_that_ended_are_kept_unless_reviews_or_machine_differ(tmp_path, monkeypatch, capsys):
    done = []

    def instead(recipe, reviews, seed, test_reviews):
        done.append(seed)
        if len(done) == 2:
            raise KeyboardInterrupt
        return {name: value for name, value in run("", seed, 1.0, "10").items() if name != "recipe"}

    monkeypatch.setattr(finetune, "in_a_process", instead)

    def bench(*more):
        monkeypatch.setattr("sys.argv", ["bench", "--recipes", "c", "--out", str(tmp_path / "out.json"), *more])
        return finetune.main()

    with pytest.raises(KeyboardInterrupt):
        bench()
    assert bench() == 0
    assert done == [0, 1, 1, 2]  # the first is not run again
    assert len(json.loads((tmp_path / "out.json").read_text())["runs"]) == 3
    assert bench("--reviews", "320") == 0
    assert done[4:] == [0, 1, 2]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_operations_are_counted(attention):
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 3}
    model = BertForSequenceClassification(BertConfig(**shape, vocab_size=10, attn_implementation=attention))
    pooler_and_head = 2 * (8 * 8 + 8 * 2)
    projection, feed_forward = 2 * 8 * 8, 2 * 2 * 8 * 16  # of one token; query, key, value and output have one each
    mixing = 2 * 2 * 5 * 8  # one query against the 5 keys, and their values' mean
    layer = 5 * (4 * projection + feed_forward + mixing)
    assert flops(model, [5, 5]) == 2 * 3 * (3 * layer + pooler_and_head)  # backward takes twice as many as forward
    for part in (model.bert.embeddings, model.bert.encoder.layer[0]):
        part.requires_grad_(False)
    inputs = 5 * 3 * projection  # the second layer's query, key and value: nothing below asks for their gradient
    assert flops(model, [5]) == 3 * (2 * layer + pooler_and_head) - inputs + layer


@pytest.mark.parametrize("name", ["a", "c"])
def test_a_small_run_in_earnest(name):
    recipe = dataclasses.replace(finetune.RECIPES[name], max_length=24)
    found = finetune.in_a_process(recipe, reviews=16, seed=0, test_reviews=4)
    assert found["seconds"] > 0
    assert found["computed_tokens"] >= found["tokens"] > 16 * 8
    assert (found["computed_tokens"] == 16 * 24) or name == "c"
    assert len(found["right"]) == 4
    assert set(found["right"]) <= {"0", "1"}
    assert found["needed_flops"] > 1e9


def test_the_recipe_of_the_lesson_is_that_of_its_profile(monkeypatch):
    from utils import machine, profiles

    monkeypatch.setattr(machine, "instructions", lambda: "AMX")
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(profiles, "_has_cuda", lambda: False)
    profile, ours = profiles.detect("embedded", ["encoder"]), finetune.OURS
    assert (ours.max_length, finetune.RATE) == (profile.max_length, profile.learning_rate)
    assert ours.batch == profile.batch_size


def test_a_run_that_fails_is_named():
    with pytest.raises(RuntimeError, match=r"'lesson 02' with .*'reviews': -1.* failed"):
        finetune.in_a_process(finetune.OURS, reviews=-1, speed=0)
