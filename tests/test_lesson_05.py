"""Lesson 05 as students read it: the loop against the Trainer, groups, schedule, unfreezing; its runs; the verdicts."""

import ast
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, RandomSampler
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
    set_seed,
)

from notebooks.source.lesson_05 import beforehand, cards, figures, runs
from tests.conftest import ROOT, cells_of, parsed
from utils import claims

CPU = SimpleNamespace(device="cpu", name="test", small_encoder="an/encoder", bert="a/bert")


def padded(rows):
    from transformers import BatchEncoding

    width = max(len(row["input_ids"]) for row in rows)
    ids = [row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in rows]
    mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows]
    batch = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    return BatchEncoding(batch | {"labels": torch.tensor([row["labels"] for row in rows])})


def tiny(layers=2):
    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 32}
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=32, **sizes, **none))


def sentences(size):
    rng = np.random.default_rng(0)
    ids = [[2, *rng.integers(5, 50, rng.integers(1, 12)).tolist(), 3] for _ in range(size)]
    return Dataset.from_dict({"input_ids": ids, "labels": [int(row[1] > 27) for row in ids]})


def looped(validated=(0.5, 0.6, 0.7, 0.8)):
    """Run the lesson's own loop on a tiny model; what it defined, and the weights after each epoch."""
    (cell,) = (cell.source for cell in cells_of("05") if "best_weights = right" in cell.source)
    rows, generator, after, answers = sentences(128), torch.Generator(), [], iter(validated)
    sampler = RandomSampler(rows, generator=generator)

    def evaluate(model, rows):
        after.append({name: values.clone() for name, values in model.state_dict().items()})
        return next(answers)

    scope = {"new_model": tiny, "torch": torch, "generator": generator, "evaluate": evaluate, "profile": CPU}
    scope |= {"get_linear_schedule_with_warmup": get_linear_schedule_with_warmup, "validation_rows": rows, "copy": None}
    scope["train_loader"] = DataLoader(rows, batch_size=8, sampler=sampler, collate_fn=padded)
    import copy

    exec(cell, scope | {"copy": copy}, kept := {})
    return kept, after, rows


def test_the_loop_reproduces_the_trainer_s_losses_and_weights(tmp_path):
    kept, after, rows = looped()
    args = TrainingArguments(
        output_dir=tmp_path, learning_rate=2e-4, num_train_epochs=4, per_device_train_batch_size=16, warmup_steps=4,
        seed=0, logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = Trainer(model=tiny(), args=args, train_dataset=rows, data_collator=padded)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    losses = kept["losses"]
    ours = [first + second for first, second in zip(losses[::2], losses[1::2], strict=True)]
    assert len(ours) == len(logged) == 32
    assert ours == pytest.approx(logged, abs=1e-5)
    moved = [(after[-1][name] - values).abs().max() for name, values in tiny().named_parameters()]
    assert max(moved) > 1e-3  # something was trained
    for name, theirs in trainer.model.named_parameters():
        if not name.endswith("key.bias"):  # its gradient is 0 but for rounding, which Adam blows up to whole steps
            assert torch.allclose(after[-1][name], theirs, atol=1e-4), name


@pytest.mark.parametrize(("validated", "best"), [((0.5, 0.9, 0.7, 0.6), 1), ((0.9, 0.6, 0.9, 0.2), 0)])
def test_the_best_weights_are_kept_and_loaded(validated, best):
    kept, after, _ = looped(validated)
    assert kept["best"] == validated[best]
    assert all(torch.equal(values, after[best][name]) for name, values in kept["model"].state_dict().items())
    assert not all(torch.equal(values, after[3][name]) for name, values in kept["model"].state_dict().items())


def test_evaluation_counts_right_answers_without_dropout(take_from_lesson):
    scope = {"torch": torch, "DataLoader": DataLoader, "collator": padded, "profile": CPU}
    (evaluate,) = take_from_lesson("05", "evaluate", **scope)
    model, rows = tiny(), sentences(130)
    with torch.inference_mode():
        answers = [model.eval()(**padded([row])).logits.argmax().item() for row in rows]
    assert evaluate(model.train(), rows) == pytest.approx(np.mean(np.array(answers) == np.array(rows["labels"])))


def test_the_runs_use_the_functions_that_the_lesson_shows():
    shown = {
        node.name: node for cell in cells_of("05") for node in parsed(cell.source).body
        if isinstance(node, ast.FunctionDef)
    }  # fmt: skip
    used = ast.parse((ROOT / "notebooks/source/lesson_05/runs.py").read_text()).body
    used = {node.name: node for node in used if isinstance(node, ast.FunctionDef)}
    for name in ("depth_of", "groups_by_depth", "slanted_triangular", "unfreeze"):
        texts = []
        for node in (shown[name], used[name]):
            body = [part for part in node.body if not isinstance(part, ast.Expr)]  # without docstrings
            texts.append([ast.dump(node.args), *map(ast.dump, body)])
        assert texts[0] == texts[1], name


@pytest.mark.parametrize("layers", [2, 3])
def test_groups_hold_each_weight_once_with_its_rate_and_decay(layers):
    model = tiny(layers)
    groups = runs.groups_by_depth(model, 1e-3, 2.6, 0.01)
    held = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(held) == sorted(id(weight) for weight in model.parameters())
    names = {id(weight): name for name, weight in model.named_parameters()}
    for group in groups:
        own = {names[id(weight)] for weight in group["params"]}
        (depth,) = {runs.depth_of(name, layers) for name in own}
        expected = {0: "bert.embeddings.", layers + 1: ("bert.pooler.", "classifier.")}
        assert all(name.startswith(expected.get(depth, f"bert.encoder.layer.{depth - 1}.")) for name in own)
        assert group["lr"] == pytest.approx(1e-3 / 2.6 ** (layers + 1 - depth))
        plain = {name.endswith("bias") or "LayerNorm" in name for name in own}
        assert plain == {group["weight_decay"] == 0}


@pytest.mark.parametrize("steps", [10, 20, 100, 1000, 1560])
def test_the_schedule_is_the_printed_formula_where_the_cut_is_whole(take_from_lesson, steps):
    (as_printed,) = take_from_lesson("05", "as_printed", math=math)
    for step in range(steps):
        assert runs.slanted_triangular(step, steps) == pytest.approx(as_printed(step, steps), abs=1e-9)
    assert runs.slanted_triangular(steps // 10, steps) == 1


@pytest.mark.parametrize("steps", [19, 103, 109, 1563])
def test_elsewhere_it_is_not(take_from_lesson, steps):
    (as_printed,) = take_from_lesson("05", "as_printed", math=math)
    assert max(abs(runs.slanted_triangular(step, steps) - as_printed(step, steps)) for step in range(steps)) > 1e-3


@pytest.mark.parametrize("steps", [*range(1, 60), 109, 1563])
def test_no_rate_is_ever_below_the_lowest(steps):
    rates = [runs.slanted_triangular(step, steps) for step in range(steps + 1)]
    assert min(rates) >= 1 / 32 - 1e-12
    assert max(rates) <= 1
    if steps > 1:
        assert max(rates) == 1


def test_the_formula_as_printed_does_go_wrong(take_from_lesson):
    (as_printed,) = take_from_lesson("05", "as_printed", math=math)
    assert as_printed(18, 19) < 0
    with pytest.raises(ZeroDivisionError):
        as_printed(0, 9)


@pytest.mark.parametrize("schedule", ["constant", "linear", "slanted", "stages"])
def test_each_schedule_keeps_the_groups_apart(schedule):
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in (1.0, 0.1)]
    optimizer = torch.optim.AdamW(groups)
    scheduler, seen = runs.scheduler_of(schedule, optimizer, 40, 10), []
    for _ in range(40):
        seen.append(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    rates = np.array(seen)
    assert rates[:, 1] == pytest.approx(rates[:, 0] / 10)
    assert rates[:, 0].max() == 1
    if schedule == "stages":
        assert (rates[:10] == rates[30:]).all()
    if schedule == "constant":
        assert (rates[:, 0] == 1).all()


@pytest.mark.parametrize(("layers", "epochs"), [(4, 4), (12, 4), (3, 5), (2, 2)])
def test_unfreezing_is_a_staircase(layers, epochs):
    model, before = tiny(layers=layers), set()
    for epoch in range(epochs):
        runs.unfreeze(model, epoch, epochs)
        named = list(model.named_parameters())
        trained = {runs.depth_of(name, layers) for name, weight in named if weight.requires_grad}
        frozen = {runs.depth_of(name, layers) for name, weight in named if not weight.requires_grad}
        assert not trained & frozen
        assert trained == set(range(min(trained), layers + 2))  # no step is left out
        assert trained >= before
        assert epoch > 0 or trained == {layers + 1}
        before = trained
    assert before == set(range(layers + 2))


def test_frozen_layers_stay_and_the_rest_moves():
    model = tiny()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    runs.unfreeze(model, 0, 4)
    optimizer = torch.optim.AdamW(runs.groups_by_depth(model, 1e-3, 2.6))
    scheduler = LambdaLR(optimizer, lambda step: 1.0)
    for start in (0, 8):
        model(**padded([sentences(16)[row] for row in range(start, start + 8)])).loss.backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    moved = {
        runs.depth_of(name, 2) for name, weight in model.named_parameters() if not torch.equal(weight, before[name])
    }
    assert moved == {3}


class Answers(torch.nn.Module):
    """Gives each text the vector of its first token, and itself as scores."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def vectors(self, input_ids, attention_mask):
        return self.table[input_ids[:, 0]]

    def forward(self, input_ids, attention_mask):
        return self.table[input_ids[:, 0]]


def task(**parts):
    made = object.__new__(runs.Runs)
    made.__dict__ |= {"profile": CPU, "collator": lambda rows: padded([row | {"labels": 0} for row in rows])} | parts
    return made


def test_scores_come_in_the_order_of_the_rows():
    made = task()
    made.collator = lambda rows: _without_labels(padded([row | {"labels": 0} for row in rows]))
    rows = [{"input_ids": [number] * (1 + (7 * number) % 5)} for number in range(120)]
    assert made.scores(Answers(torch.arange(120.0)[:, None]), rows).ravel().tolist() == list(range(120))


def _without_labels(batch):
    batch.pop("labels")
    return batch


@pytest.mark.parametrize(("noise", "least", "most"), [(0.01, 1.0, 1.0), (100.0, 0.0, 0.5)])
def test_a_topic_is_found_where_its_headlines_lie_together(noise, least, most):
    rng = np.random.default_rng(0)
    topics = np.array(["a", "b", "c", "d"] * 25)
    table = np.eye(4)[np.tile(range(4), 25)] + rng.normal(0, noise, (100, 4))
    made = task(topics=topics, headlines=[{"input_ids": [number]} for number in range(100)])
    made.collator = lambda rows: _without_labels(padded([row | {"labels": 0} for row in rows]))
    found = made.topics_found(Answers(torch.tensor(table)))
    assert least <= found.mean() <= most


@pytest.fixture(scope="module")
def real_task():
    from utils.profiles import detect

    return runs.Runs(detect("embedded", uses=["bert"]))


def test_what_comes_with_the_lesson_is_from_its_code_and_data(real_task):
    key = real_task.experiments._key
    comes = {key(real_task.run, run) for run in beforehand.stored_runs(real_task.profile, runs.SEEDS)}
    written = json.loads((runs.RESULTS / "runs.json").read_text())["results"]
    assert comes == set(written)
    yours = runs.configurations(real_task.profile, runs.SEEDS, yours=True)
    assert [run["arm"] for run in yours] == list(runs.YOURS)
    assert {run["seed"] for run in yours} == {runs.SEEDS[0]}
    assert not {key(real_task.run, run) for run in yours} & comes


def test_each_way_of_the_lesson_was_run_at_every_rate_that_its_search_tried(real_task):
    arms = list(cards.ARMS.values())
    asked = runs.by_rate(CPU, arms, [3])
    assert len({tuple(run.values()) for run in asked}) == len(asked)
    for arm in arms:
        assert [run["rate"] for run in asked if run["arm"] == arm] == sorted(runs.searched(CPU, arm))
    found = cards.ways_by_rate(SimpleNamespace(at_each_rate=lambda arms: {arm: arm for arm in arms}))
    assert found == cards.ARMS
    stored = real_task.at_each_rate(["slanted triangle"], seeds=[1, 2])["slanted triangle"]
    assert list(stored) == sorted(runs.searched(CPU, "slanted triangle"))
    assert {found["right"].shape for found in stored.values()} == {(2, 729)}


def test_what_section_6_says_of_the_rates_is_so_in_the_stored_runs(real_task):
    arms = cards.ARMS
    found, chosen = real_task.at_each_rate(list(arms.values()), seeds=range(1, 10)), runs.chosen_rates(CPU)
    lost = {way: {rate: 83.6 - 100 * one["topics"].mean() for rate, one in found[arm].items()}
            for way, arm in arms.items()}  # fmt: skip
    right = {way: {rate: 100 * one["right"].mean() for rate, one in found[arm].items()} for way, arm in arms.items()}
    for way, arm in arms.items():  # a line first climbs, then much is forgotten
        own, lowest = chosen[arm], min(right[way])
        assert lost[way][lowest] < 6
        assert right[way][lowest] < right[way][own] - 3 or way == "all three recipes"
        higher = [rate for rate in right[way] if rate > own]
        assert min(lost[way][rate] for rate in higher) > lost[way][own] + 10
        assert max(right[way][rate] for rate in higher) < right[way][own] + 2
        assert way == "plain" or own > chosen["plain"]
    shared = {way: set(lost[way]) & set(lost["plain"]) for way in arms if way != "plain"}
    assert all(shared.values())
    for way, both in shared.items():
        assert all(lost[way][rate] < lost["plain"][rate] for rate in both)  # at one rate, recipes forget less
    assert lost["plain"][1e-4] > 20  # “over 20 points”
    assert 4 < lost["all three recipes"][1e-3] < 6  # “about 5”
    humps = [way for way, by_rate in right.items() if 0 < int(np.argmax(list(by_rate.values()))) < len(by_rate) - 1]
    assert humps == ["plain", cards.TRIANGLE, cards.UNFREEZING]  # “rise, then fall, for three of the ways”
    plain = sorted((lost["plain"][rate], hits) for rate, hits in right["plain"].items())
    rings = {way: (lost[way][chosen[arm]], right[way][chosen[arm]]) for way, arm in list(arms.items())[1:]}
    above = [way for way, (gone, hits) in rings.items() if hits > np.interp(gone, *zip(*plain, strict=True))]
    assert above == list(rings)[:3]  # “three of the recipes' rings lie above plain's line”
    tried = sorted(((np.mean(found), rate) for rate, found in runs.searched(CPU, "plain").items()), reverse=True)
    (first, own), (second, other) = tried[:2]
    assert (own, other) == (chosen["plain"], 1e-4)
    assert first - second < 1  # “nearly tied plain's two best rates”


def test_what_sections_5_and_6_say_of_the_means_is_so_in_the_stored_runs(real_task):
    chosen = runs.chosen_rates(CPU)

    def right(arm):
        asked = [{"arm": arm, "rate": chosen[arm], "seed": seed} for seed in runs.SEEDS[1:]]
        return 100 * np.mean([real_task.experiments.read(real_task.run, run)["right"] for run in asked])

    gradual = right(cards.ARMS[cards.UNFREEZING])
    assert 3.5 < gradual - right("plain") < 4.2
    assert 2.5 < gradual - right("all three recipes") < 3.7  # “about three points”
    assert gradual > max(right("slanted triangle"), right("discriminative rates"))
    lost = []  # at 0.0003, “under 5 points, plain more than 35”
    for arm in ("discriminative rates", "plain"):
        asked = [{"arm": arm, "rate": 3e-4, "seed": seed} for seed in runs.SEEDS[1:]]
        found = np.mean([real_task.experiments.read(real_task.run, run)["topics"] for run in asked])
        lost.append(83.6 - 100 * found)
    assert lost[0] < 5
    assert lost[1] > 35


def test_under_full_each_way_has_its_own_rate_and_plain_the_larger_one_too():
    asked = runs.by_rate(SimpleNamespace(name="full"), ["plain", "slanted triangle"], [0])
    assert [(run["arm"], run["rate"]) for run in asked] == [
        ("plain", 3e-5), ("plain", 3e-4), ("slanted triangle", 3e-5),
    ]  # fmt: skip


def test_each_rate_is_the_best_of_its_grid_and_no_end_of_it(real_task):
    chosen, rows = runs.chosen_rates(real_task.profile), beforehand.read_rates()
    assert chosen[runs.LARGER] == pytest.approx(10 * chosen["plain"])
    for arm in runs.RECIPES:
        tried = {row["rate"]: np.mean(row["validation"]) for row in rows if row["arm"] == arm}
        assert tried[chosen[arm]] == max(tried.values())
        assert min(tried) < chosen[arm] < max(tried)
        assert all(row["seeds"] == list(beforehand.SEARCH_SEEDS) for row in rows if row["arm"] == arm)


def test_sentences_are_short_and_the_splits_apart(real_task):
    texts = real_task.texts
    assert not set(texts["train"]) & (set(texts["test"]) | set(texts["validation"]))
    assert len(texts["test"]) == 729
    assert max(len(row["input_ids"]) for row in real_task.rows["test"]) == runs.LONGEST
    assert set(np.unique(real_task.topics, return_counts=True)[1]) == {runs.HEADLINES}


def test_the_ways_of_the_lesson_are_arms_of_the_runs():
    results = {arm: {"right": number} for number, arm in enumerate((*runs.RECIPES, runs.LARGER))}
    found, rates = cards.ways_of_training(SimpleNamespace(profile=CPU, results=lambda: results))
    chosen = runs.chosen_rates(CPU)
    assert list(found) == list(rates) == list(cards.ARMS)
    for way, arm in cards.ARMS.items():
        assert (found[way], rates[way]) == (results[arm], chosen[arm])


def test_the_losses_of_steps_are_the_sums_of_two_halves(capsys):
    trainer = SimpleNamespace(state=SimpleNamespace(log_history=[{"loss": 1.0}, {"loss": 0.5}, {"train_loss": 0.7}]))
    assert cards.losses_of_steps([0.25, 0.75, 0.25, 0.25], trainer) == ([1.0, 0.5], [1.0, 0.5])
    assert capsys.readouterr().out.splitlines()[-1] == "step  2: the loop 0.5000000, the Trainer 0.5000000"


def test_the_stairs_show_what_unfreezing_frees(monkeypatch):
    shown = []
    monkeypatch.setattr("utils.plots.show", lambda fig, alt: shown.append((fig, alt)))
    one = [runs.slanted_triangular(step, 40) for step in range(40)]
    four = [runs.slanted_triangular(step % 10, 10) for step in range(40)]
    figures.stairs(tiny(layers=3), runs.unfreeze, {"one": one, "four": four})
    ((fig, alt),) = shown
    grids = [ax.images[0].get_array().filled(0) for ax in fig.axes[:2]]
    assert [int(np.argmax(row > 0)) for row in grids[0]] == [30, 20, 20, 10, 0]  # embeddings, three layers, head
    assert (grids[0][-1] == one).all()
    assert (grids[1][-1] == four).all()
    assert f"up to {max(one[30:]):.0%} of the peak rate on the left, up to 100% on the right" in alt


def test_the_figures_say_their_numbers(monkeypatch, take_from_lesson):
    (as_printed,) = take_from_lesson("05", "as_printed", math=math)
    alts = []
    monkeypatch.setattr("utils.plots.show", lambda fig, alt: alts.append(alt))
    results = outcomes(5, -10)
    figures.gains(results, counted=results["plain"]["right"] & False)
    curves = {"plain": {1e-5: results["plain"], 3e-5: results[ONE]}}
    figures.forgetting(curves, results["plain"]["topics"], {"plain": 3e-5})
    figures.schedules(as_printed, runs.slanted_triangular)
    assert alts[0].startswith("Whole interval above 0: slanted triangle.")
    assert "right, minus plain (points)" in alts[0]
    assert "counting words -" in alts[0]
    assert alts[1].startswith("Higher rates forget more. Ring: the rate that validation chose. ")
    assert "plain at 0.00001 70% and 0, at 0.00003 75% and 11." in alts[1]
    curves = {"plain": {1e-5: results[ONE], 3e-5: results["plain"]}}
    figures.forgetting(curves, results["plain"]["topics"], {"plain": 3e-5})
    assert alts[3].startswith("Higher rates do not always forget more. ")
    assert "16 steps end at -0.51; repaired, 100 are within 0.032 of warm-up and decay" in alts[2]  # 1/32, rounded up


ONE, TWO = cards.TRIANGLE, "discriminative rates"


def outcomes(gain, kept=0.0):
    """Results of a way and of plain training: the first gains points on the task, and keeps points of topics."""
    rng = np.random.default_rng(0)
    plain = rng.random((20, 700)) < 0.7
    flipped = rng.random(plain.shape) < abs(gain) / 100 / (0.3 if gain > 0 else 0.7)
    other = plain | flipped if gain > 0 else plain & ~flipped
    topics = rng.random((20, 250)) < 0.7
    turned = rng.random(topics.shape) < abs(kept) / 100 / (0.3 if kept > 0 else 0.7)
    found = {"right": other, "topics": topics | turned if kept > 0 else topics & ~turned}
    control = {"right": plain, "topics": topics}
    return {"plain": control, ONE: found}


def noisy(results):
    """The same with another draw of the arm's sentences in each of two seeds, so that nothing can be said."""
    return {arm: {what: values[:2, :40] for what, values in found.items()} for arm, found in results.items()}


def helped(results):
    made = SimpleNamespace(profile=CPU, origin=lambda *arms: claims.Origin(1, 9, 5), topics=range(250))
    return made, results


def each_helps(results):
    cards.each_helps(*helped(results), np.zeros_like(results["plain"]["right"]))


def together_help(results):
    named = {"plain": results["plain"], cards.TOGETHER: results[ONE]}
    cards.together_help(*helped(named), {"plain": 1e-4, cards.TOGETHER: 1e-3})


def forgets_less(results):
    cards.forgets_less(*helped(results), dict.fromkeys(results, 3e-5), {3e-5: np.array([68.0, 70.0])})


HOLDS, FAILS, OPEN = claims.HOLDS, claims.FAILS, claims.OPEN
LOSSES = [1.0, 0.5]
GAINS = [(outcomes(3), HOLDS), (outcomes(-3), FAILS), (noisy(outcomes(4)), OPEN)]
CASES = [
    ("05.1", lambda: cards.is_this_loop(CPU, torch.nn.Linear(9, 9), LOSSES, [1.0, 0.5 + 1e-6]), HOLDS),
    ("05.1", lambda: cards.is_this_loop(CPU, torch.nn.Linear(9, 9), LOSSES, [1.0, 0.6]), FAILS),
    *[("05.2", lambda given=given: each_helps(given), verdict) for given, verdict in GAINS],
    ("05.2", lambda: each_helps(outcomes(3) | {TWO: outcomes(-3)[ONE]}), claims.DEPENDS),
    *[("05.3", lambda given=given: together_help(given), verdict) for given, verdict in GAINS],
    ("05.4", lambda: forgets_less(outcomes(0, 3)), HOLDS),
    ("05.4", lambda: forgets_less(outcomes(0, -3)), FAILS),
    ("05.4", lambda: forgets_less(outcomes(3, 0)), OPEN),
    ("05.4", lambda: forgets_less(outcomes(0, 3) | {TWO: outcomes(0, -3)[ONE]}), claims.DEPENDS),
    ("05.5", lambda: cards.same_losses(CPU, LOSSES, [1.0, 0.5 + 1e-7]), HOLDS),
    ("05.5", lambda: cards.same_losses(CPU, LOSSES, [1.1, 0.5]), FAILS),
]  # fmt: skip


@pytest.mark.parametrize(("id", "card", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(monkeypatch, tmp_path, id, card, verdict):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
    card()
    (claim,) = claims.ledger("test")
    assert (claim.id, claim.verdict) == (id, verdict)


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("05", CASES)) >= 5


def test_sections_5_and_6_say_what_the_committed_cards_say():
    cards_of = {card.id: card.number | card.context for card in claims.in_notebooks(ROOT / "notebooks")}
    helps = cards_of["05.2"]
    assert round(helps["right, unfreezing with triangles minus plain"].value, 1) == 3.9
    assert round(helps["right, slanted triangle minus plain"].value, 1) == 2.3
    above = [name for name, found in helps.items() if name.endswith("minus plain") and found.low > 0]
    assert above == ["right, slanted triangle minus plain", "right, unfreezing with triangles minus plain"]
    over_triangle = [found for found in helps.items() if found[0].endswith("minus slanted triangle")]
    over_triangle.append(("all", cards_of["05.3"]["right, all three recipes minus slanted triangle"]))
    assert len(over_triangle) == 3
    assert all(found.low < 0 for _, found in over_triangle)  # hence “stays open”
    more = helps["right, unfreezing with triangles minus slanted triangle"]
    assert [round(x, 1) for x in (more.value, more.low, more.high)] == [1.6, -0.4, 3.7]
    lost = cards_of["05.3"]["right, all three recipes minus unfreezing with triangles"]
    assert lost.high < 0
    assert 2.5 < -lost.value < 3.5  # “about three points below”
    rates = runs.chosen_rates(SimpleNamespace(name="embedded"))
    assert min(cards.ARMS, key=lambda way: rates[cards.ARMS[way]]) == "plain"  # “its peak rate is the lowest”
    assert all(found.value < 0 for name, found in cards_of["05.4"].items() if name.startswith("topics found"))
