"""The sentences that lesson 05 puts to the test: what is asked of the numbers, and the card that shows the verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from notebooks.source.lesson_05.runs import EPOCHS, LABELS, chosen_rates
from utils import claims
from utils.intervals import Number, mean, over_seeds, smallest

SAME = 1e-4  # a loss that differs by less is the same but for rounding
TASK = f"Rotten Tomatoes, {LABELS} sentences, {EPOCHS} epochs, one layer on the mean vector as head"
RULE = (
    "yes: the whole interval above 0; no: below (a rule set after the results; before, it asked for 2 points); "
    "given these rates"
)
CHOSEN = {
    True: ", which validation chose on ten other seeds, often nearly a tie",
    False: ", not searched",
}  # under `embedded`?
STUCK = 55  # %; a run below it has hardly learned
PLAIN, TRIANGLE, TOGETHER = "plain", "slanted triangle", "all three recipes"
UNFREEZING = "unfreezing with triangles"
ARMS = {way: way for way in (PLAIN, "discriminative rates", TRIANGLE, UNFREEZING, TOGETHER)} | {
    UNFREEZING: "gradual, a triangle per stage"
}  # way of the lesson -> its name in `runs`


def ways_of_training(task) -> tuple[dict, dict[str, float]]:
    """The results and the rates of the arms that the lesson compares, by the lesson's names; what is missing is run."""
    results, rates = task.results(), chosen_rates(task.profile)
    return {way: results[arm] for way, arm in ARMS.items()}, {way: rates[arm] for way, arm in ARMS.items()}


def ways_by_rate(task) -> dict[str, dict[float, dict]]:
    """Way -> rate, the lowest first -> outcomes, of the ways that the lesson compares, at each rate tried for them."""
    found = task.at_each_rate(tuple(ARMS.values()))
    return {way: found[arm] for way, arm in ARMS.items()}


def losses_of_steps(losses: list[float], trainer) -> tuple[list[float], list[float]]:
    """The loss of each step: the loop's, whose two halves are added up, and what the Trainer logged; three are printed.

    Args:
        losses: of the loop's batches, two for each step, each divided by 2.
        trainer: a `transformers.Trainer` that logged each step.
    """
    ours = [first + second for first, second in zip(losses[::2], losses[1::2], strict=True)]
    theirs = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    for step in (0, len(ours) // 2 - 1, len(ours) - 1):
        print(f"step {step + 1:>2}: the loop {ours[step]:.7f}, the Trainer {theirs[step]:.7f}")
    return ours, theirs


def is_this_loop(profile, model, losses: list[float], logged: list[float]) -> None:
    """05.1. The loss of each step, by the loop and by the Trainer."""
    largest = max(abs(ours - theirs) for ours, theirs in zip(losses, logged, strict=True))
    claims.record(
        "05.1",
        "Hugging Face's Trainer and lesson 05's hand-written loop have the same losses.",
        tests={f"no loss differs by more than {SAME}": largest <= SAME},
        number={"largest difference of a loss": largest},
        context={"steps": len(losses)},
        model=claims.with_size(profile.small_encoder, model),
        origin=claims.MEASURED_HERE,
        source="float32, one process; the rest of the Trainer saves, resumes, logs and spreads over machines",
        profile=profile.name,
    )


def each_helps(task, results: dict, counted: np.ndarray) -> None:
    """05.2. Are more test sentences right with a recipe than by plain training? `counted`: by counting words."""
    ways = [way for way in results if way not in (PLAIN, TOGETHER)]
    gains = {way: over_seeds(_points(results, way), " points") for way in ways}
    weakest = smallest(gains)
    claims.record(
        "05.2",
        f"Each of ULMFiT's recipes (a rate for each layer, a slanted triangle, {UNFREEZING}) gets more sentences right "
        "than plain training.",
        tests={way: gain.above(0) for way, gain in gains.items()},
        on="the recipe",
        number={f"right, {_minus(weakest, gains)}, the lowest of {len(gains)} intervals": weakest},
        context={f"right, {way} minus {PLAIN}": gain for way, gain in gains.items()}
        | {f"right, {way}": over_seeds(100.0 * found["right"], "%") for way, found in results.items()}
        | {f"right, {way} minus {TRIANGLE}": over_seeds(_points(results, way, TRIANGLE), " points")
           for way in ways if way != TRIANGLE and TRIANGLE in results}
        | {f"right, {PLAIN} minus counting words":
           over_seeds(100.0 * results[PLAIN]["right"] - 100.0 * counted, " points")},
        model=Path(task.profile.small_encoder).name,
        origin=_origin(task, PLAIN, *ways),
        source=f"{TASK}; Howard and Ruder 2018, section 3; {RULE}{CHOSEN[task.profile.name != 'full']}",
        profile=task.profile.name,
    )  # fmt: skip


def together_help(task, results: dict, rates: dict[str, float]) -> None:
    """05.3. Are more test sentences right by all recipes together than by plain training? `rates`: of the ways."""
    gain, seeds = over_seeds(_points(results, TOGETHER), " points"), len(results[TOGETHER]["right"])

    def stuck(name: str) -> int:
        return int((100 * results[name]["right"].mean(axis=1) < STUCK).sum())

    claims.record(
        "05.3",
        "ULMFiT's three recipes together get more sentences right than plain training.",
        tests={"above plain": gain.above(0)},
        number={f"right, {TOGETHER} minus {PLAIN}": gain},
        context={f"right, {name} at {rates[name]:g}, {stuck(name)} of {seeds} seeds below {STUCK}%":
                 over_seeds(100.0 * results[name]["right"], "%") for name in (TOGETHER, PLAIN)}
        | {f"right, {TOGETHER} minus {other}": over_seeds(_points(results, TOGETHER, other), " points")
           for other in (TRIANGLE, UNFREEZING) if other in results},
        model=Path(task.profile.small_encoder).name,
        origin=_origin(task, TOGETHER, PLAIN),
        source=f"{TASK}; Howard and Ruder 2018, whose table 7 has 1.9 points on IMDb, gradual unfreezing alone 0.5; "
        f"{RULE}{CHOSEN[task.profile.name != 'full']}",
        profile=task.profile.name,
    )  # fmt: skip


def forgets_less(task, results: dict, rates: dict, plain: dict[float, np.ndarray]) -> None:
    """05.4. Are more topics found with a recipe than by plain training?

    `rates`: of the ways; `plain`: `runs.searched` of plain training.
    """
    ways = [way for way in results if way != PLAIN]
    kept = {way: over_seeds(_points(results, way, what="topics"), " points") for way in ways}
    weakest = smallest(kept)
    claims.record(
        "05.4",
        "ULMFiT's recipes forget less than plain training, at the rates chosen here.",
        tests={way: number.above(0) for way, number in kept.items()},
        on="the recipe",
        number={f"topics kept, {_minus(weakest, kept, rates)}, the weakest of {len(kept)}": weakest},
        context={f"topics found, {way} minus {PLAIN}": number for way, number in kept.items()}
        | {f"right on validation, plain at {rate:g}": mean(right, "%") for rate, right in sorted(plain.items())},
        model=Path(task.profile.small_encoder).name,
        origin=_origin(task, PLAIN, *ways),
        source=f"{TASK}; topics of {len(task.topics)} BBC headlines by the nearest mean vector; given these rates"
        f"{CHOSEN[task.profile.name != 'full']}",
        profile=task.profile.name,
    )  # fmt: skip


def same_losses(profile, one: list[float], two: list[float]) -> None:
    """05.5. The loss of each step by one process and by two."""
    largest = max(abs(alone - shared) for alone, shared in zip(one, two, strict=True))
    claims.record(
        "05.5",
        "Two processes do not change the losses, if they split each batch and there is no dropout.",
        tests={f"no loss differs by more than {SAME}": largest <= SAME},
        number={"largest difference of a loss": largest},
        context={"steps": len(one)},
        model=Path(profile.bert).name,
        origin=claims.MEASURED_HERE,
        source="split_batches=True, no dropout; the differences are rounding. By default each process takes a batch",
        profile=profile.name,
    )


def _minus(difference: Number, differences: dict, rates: dict | None = None) -> str:
    """Whose difference it is: all three recipes minus plain; with `rates`, each with its own."""
    way = next(way for way, found in differences.items() if found is difference)
    return " minus ".join(f"{name} at {rates[name]:g}" if rates else name for name in (way, PLAIN))


def _origin(task, *ways: str) -> claims.Origin:
    return task.origin(*(ARMS[way] for way in ways))


def _points(results: dict, way: str, control: str = PLAIN, what: str = "right") -> np.ndarray:
    return 100.0 * results[way][what] - 100.0 * results[control][what]
