"""The sentences that lesson 05 puts to the test: what is asked of the numbers, and the card that shows the verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from notebooks.source.lesson_05.runs import EPOCHS, LABELS, LARGER, chosen_rates
from utils import claims
from utils.intervals import Number, mean, over_seeds, smallest

SAME = 1e-4  # a loss that differs by less is the same but for rounding
TASK = f"Rotten Tomatoes, {LABELS} sentences, {EPOCHS} epochs, one layer on the mean vector as head"
LEAST = 2  # points; a smaller gain is none that one would notice
RULE = f"yes: surely {LEAST} points or more; no: surely fewer; given these rates"
CHOSEN = {
    True: ", which validation chose on ten seeds, often nearly a tie",
    False: ", not searched",
}  # under `embedded`?
STUCK = 55  # %; a run below it has hardly learned
IN_RUNS = {"gradual unfreezing": "gradual, a triangle per stage"}  # a name in the lesson -> another one in `runs`
WAYS = ("plain", "discriminative rates", "slanted triangle", "gradual unfreezing", "all three recipes", LARGER)
ARMS = {way: IN_RUNS.get(way, way) for way in WAYS if way != LARGER}  # way of the lesson -> its name in `runs`


def ways_of_training(task) -> tuple[dict, dict[str, float]]:
    """The results and the rates of the arms that the lesson compares, by the lesson's names; what is missing is run."""
    results, rates = task.results(), chosen_rates(task.profile)
    names = {way: IN_RUNS.get(way, way) for way in WAYS}
    return {way: results[arm] for way, arm in names.items()}, {way: rates[arm] for way, arm in names.items()}


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


def each_helps(task, results: dict, counted: np.ndarray, controls: dict[str, str]) -> None:
    """05.2. Arm -> control, which lacks its recipe: are more test sentences right? `counted`: by counting words."""
    gains = {arm: over_seeds(_points(results, arm, control), " points") for arm, control in controls.items()}
    weakest = smallest(gains, LEAST)
    claims.record(
        "05.2",
        "Each of ULMFiT's three recipes (a rate for each layer, a slanted triangle, gradual unfreezing) helps, by "
        f"{LEAST} points or more over training without it.",
        tests={arm: is_gain(gain) for arm, gain in gains.items()},
        on="the recipe",
        number={f"right, {_minus(weakest, gains, controls)}, the lowest of {len(gains)} intervals": weakest},
        context={f"right, {arm} minus {controls[arm]}": gain for arm, gain in gains.items()}
        | {f"right, {arm}": over_seeds(100.0 * found["right"], "%") for arm, found in results.items() if arm != LARGER}
        | {f"right, {arm} minus plain": over_seeds(_points(results, arm, "plain"), " points")
           for arm, control in controls.items() if control != "plain"}
        | {"right, plain minus counting words":
           over_seeds(100.0 * results["plain"]["right"] - 100.0 * counted, " points")},
        model=Path(task.profile.small_encoder).name,
        origin=_origin(task, *controls, *controls.values()),
        source=f"{TASK}; Howard and Ruder 2018, section 3; {RULE}{CHOSEN[task.profile.name != 'full']}",
        profile=task.profile.name,
    )  # fmt: skip


def together_help(task, results: dict, arm: str, rates: dict[str, float]) -> None:
    """05.3. Are more test sentences right by all recipes together than by plain fine-tuning? `rates`: of the arms."""
    gain, seeds = over_seeds(_points(results, arm, "plain"), " points"), len(results[arm]["right"])

    def stuck(name: str) -> int:
        return int((100 * results[name]["right"].mean(axis=1) < STUCK).sum())

    claims.record(
        "05.3",
        f"ULMFiT's three recipes together help, by {LEAST} points or more.",
        tests={f"{LEAST} points or more above plain": is_gain(gain)},
        number={f"right, {arm} minus plain": gain},
        context={f"right, {name} at {rates[name]:g}, {stuck(name)} of {seeds} seeds below {STUCK}%":
                 over_seeds(100.0 * results[name]["right"], "%") for name in (arm, "plain")}
        | {f"right, {arm} minus {other}": over_seeds(_points(results, arm, other), " points")
           for other in ("slanted triangle", "gradual unfreezing") if other in results},
        model=Path(task.profile.small_encoder).name,
        origin=_origin(task, arm, "plain"),
        source=f"{TASK}; Howard and Ruder 2018, whose table 7 has 1.9 points on IMDb, gradual unfreezing alone 0.5; "
        f"{RULE}{CHOSEN[task.profile.name != 'full']}",
        profile=task.profile.name,
    )  # fmt: skip


def is_gain(gain: Number) -> bool | None:
    """Is it one that one would notice? Yes or no if the whole interval lies on one side of 2 points, else None."""
    return gain.above(LEAST)


def forgets_less(task, results: dict, controls: dict[str, str], rates: dict, plain: dict[float, np.ndarray]) -> None:
    """05.4. Arm -> control, which lacks its recipe: are more topics found?

    `rates`: of the arms; `plain`: `runs.searched` of that arm.
    """
    kept = {arm: over_seeds(_points(results, arm, control, "topics"), " points") for arm, control in controls.items()}
    weakest = smallest(kept)
    claims.record(
        "05.4",
        "ULMFiT's recipes forget less than training without them, each at its own rate.",
        tests={arm: number.above(0) for arm, number in kept.items()},
        on="the recipe",
        number={f"topics kept, {_minus(weakest, kept, controls, rates)}, the weakest of {len(kept)}": weakest},
        context={f"topics found, {arm} minus {controls[arm]}": number for arm, number in kept.items()}
        | {f"topics found, {arm} minus {LARGER}":
           over_seeds(_points(results, arm, LARGER, "topics"), " points") for arm in controls}
        | {f"right on the task, {LARGER} minus plain": over_seeds(_points(results, LARGER, "plain"), " points")}
        | {f"right on validation, plain at {rate:g}": mean(right, "%") for rate, right in sorted(plain.items())},
        model=Path(task.profile.small_encoder).name,
        origin=_origin(task, *controls, *controls.values()),
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


def _minus(difference: Number, differences: dict, controls: dict[str, str], rates: dict | None = None) -> str:
    """Whose difference it is: all three recipes minus plain; with `rates`, each with its own."""
    arm = next(arm for arm, found in differences.items() if found is difference)
    at = {name: f" at {rates[name]:g}" if rates else "" for name in (arm, controls[arm])}
    return f"{arm}{at[arm]} minus {controls[arm]}{at[controls[arm]]}"


def _origin(task, *ways: str) -> claims.Origin:
    return task.origin(*(IN_RUNS.get(way, way) for way in ways))


def _points(results: dict, arm: str, control: str, what: str = "right") -> np.ndarray:
    return 100.0 * results[arm][what] - 100.0 * results[control][what]
