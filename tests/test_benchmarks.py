"""The benchmarks' own arithmetic, and one small run of each in earnest."""

import json
import math

import pytest

from benchmarks import finetune, scaling
from benchmarks.rates import flops
from utils.lean import make_lean


def run(recipe, seed, seconds, right):
    return {
        "recipe": recipe, "seed": seed, "reviews": 100, "seconds": seconds, "tokens": 9000, "computed_tokens": 12000,
        "precision": "float32", "peak_mib": 100 * seed, "matrix_rate": {"float32": 1e9}, "needed_flops": 5e8 * seconds,
        "right": right,
    }  # fmt: skip


def test_the_summary_compares_the_same_reviews_and_the_same_seeds():
    runs = [run("a", 0, 20.0, "1000"), run("a", 1, 60.0, "1111"), run("c", 0, 2.0, "1100"),
            run("c", 1, 3.0, "1110")]  # fmt: skip
    a = finetune.summary(runs)["a"]
    assert a["times_the_seconds_of_c"] == 15  # the mean of 10 and 20
    assert a["accuracy"] == 5 / 8
    assert a["c_minus_this_points"] == 0
    assert a["half_width_points"] == pytest.approx(196 * math.sqrt(2 / 8 / 8))  # one review gained, one lost, of eight
    assert a["padding"] == 0.25
    assert a["peak_mib"] == 100
    assert a["share_of_matrix_rate"] == pytest.approx(0.5)
    assert "c is right +0.0" in finetune.as_text({"recipes": {"a": a}})


def test_runs_that_ended_are_kept_unless_reviews_or_machine_differ(tmp_path, monkeypatch, capsys):
    done = []

    def instead(recipe, reviews, seed, test_reviews, judge):
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


def test_exponents():
    assert scaling.slope([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    points = [{"part": "reviews", "x": x, "runs": [
        {"seconds": x * factor, "tokens": 10 * x, "peak_mib": 100 + x} for factor in (1, 1, 50)  # one is disturbed
    ]} for x in (1, 2, 4)]  # fmt: skip
    row = scaling.by_part(points)["reviews"]
    assert row["exponent"] == pytest.approx(1)
    assert row["exponent_of_tokens"] == pytest.approx(1)
    assert row["memory_growth"] == pytest.approx(104 / 101 - 1)


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
    make_lean(model)
    last = 5 * 2 * projection + (2 * projection + feed_forward + mixing)
    assert flops(model, [5]) == 3 * (2 * layer + last + pooler_and_head)
    for part in (model.bert.embeddings, model.bert.encoder.layer[0]):
        part.requires_grad_(False)
    inputs = 5 * 3 * projection  # the second layer's query, key and value: nothing below asks for their gradient
    assert flops(model, [5]) == 3 * (layer + last + pooler_and_head) - inputs + layer


@pytest.mark.parametrize("name", ["a", "c"])
def test_a_small_run_in_earnest(name, tmp_path):
    import dataclasses

    recipe = dataclasses.replace(finetune.RECIPES[name], max_length=32)
    if name == "a":
        finetune.measure(recipe, reviews=16, seed=0, test_reviews=4, out=str(tmp_path / "run.json"))
        found = json.loads((tmp_path / "run.json").read_text())
    else:
        found = finetune.in_a_process(recipe, reviews=16, seed=0, test_reviews=4)
    assert found["seconds"] > 0
    assert found["computed_tokens"] >= found["tokens"] > 16 * 8
    assert (found["computed_tokens"] == 16 * 32) or name == "c"
    assert len(found["right"]) == 4
    assert set(found["right"]) <= {"0", "1"}
    assert found["needed_flops"] > 1e9


def test_the_recipe_of_the_lesson_is_that_of_its_profile(monkeypatch):
    from utils import machine, profiles

    monkeypatch.setattr(machine, "fast_precision", lambda device: ("bfloat16", "the test says so"))
    monkeypatch.setattr(profiles, "_has_cuda", lambda: False)
    profile, ours = profiles.detect("embedded"), finetune.OURS
    assert (ours.frozen, ours.max_length, ours.rate) == (
        profile.frozen_parts,
        profile.max_length,
        profile.learning_rate,
    )
    assert (ours.attention, finetune.BATCH) == (profile.attention, profile.batch_size)


def test_a_run_that_fails_is_named():
    with pytest.raises(RuntimeError, match=r"'lesson 02' with .*'reviews': -1.* failed"):
        finetune.in_a_process(finetune.OURS, reviews=-1, speed=0)
