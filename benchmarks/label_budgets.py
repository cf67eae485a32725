"""Lessons 04 and 05 beforehand: which learning rates to take, and the runs that would take longer than a lesson.

The code is the lessons' own: their cells are run up to the one that is needed. On two cores the parts take about 20, 25
and 5 minutes, and rates that are in a file already are not run again.
Run: python -m benchmarks.label_budgets rates      (lesson 04: validation accuracies of several rates)
     python -m benchmarks.label_budgets runs       (lessons 04 and 05: the runs that come with the course)
     python -m benchmarks.label_budgets recipes    (lesson 05: validation accuracies of several rates)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from utils.console import run_program
from utils.files import write_atomically
from utils.profiles import banner

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SOURCES = ROOT / "notebooks" / "source"
GRID = {  # labels: rates of each method
    200: {
        "fine-tuned": (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4), "half frozen": (1e-4, 2e-4, 4e-4),
        "LoRA": (5e-4, 1e-3, 2e-3, 4e-3, 8e-3), "head only": (3e-3, 1e-2, 3e-2, 1e-1),
        "random start": (3e-5, 1e-4, 3e-4, 1e-3),
    },
    1000: {
        "fine-tuned": (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4), "half frozen": (1e-4, 2e-4, 4e-4),
        "LoRA": (5e-4, 1e-3, 2e-3, 4e-3), "head only": (3e-3, 1e-2, 3e-2, 1e-1), "random start": (1e-4, 2e-4, 3e-4),
    },
    4000: {"fine-tuned": (5e-5, 1e-4), "random start": (1e-4, 2e-4, 3e-4)},
}  # fmt: skip
EPOCHS = {200: 5, 1000: 3, 4000: 2}
RECIPES = {
    "plain": (1e-4, 2e-4, 4e-4, 8e-4), "discriminative": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3),
    "slanted triangular": (1e-4, 2e-4, 4e-4, 8e-4), "gradual unfreezing": (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    "all three": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3),
}  # fmt: skip
SEEDS = (10, 11, 12, 13)  # not the lessons'


def seeds_of(method: str, labels: int | None = None) -> tuple[int, ...]:
    """Two seeds; four where some runs get stuck and others do not, as a random start with many labels."""
    return SEEDS if method == "random start" and labels in (1000, 4000) else SEEDS[:2]


def main() -> int:
    """Run one part; write its JSON into benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rates", "runs", "recipes"))
    part = parser.parse_args().part
    if part == "runs":
        for lesson, file in ((lesson_04, "label_budgets.json"), (lesson_05, "recipes.json")):
            measure(lesson(), file)
        return 0
    lesson = lesson_05() if part == "recipes" else lesson_04()
    lesson["experiments"].beforehand = {}
    if part == "rates":
        grid = [
            {"network": "encoder", "method": method, "labels": labels, "seed": seed, "rate": rate,
             "epochs": EPOCHS[labels], "curve": True}
            for labels, methods in GRID.items() for method, rates in methods.items() for rate in rates
            for seed in seeds_of(method, labels)
        ]  # fmt: skip
        choose(lesson, grid, ("labels", "method"), lambda result: result["curve"][-1], "learning_rates.json")
    else:
        grid = [
            {"recipe": recipe, "rate": rate, "seed": seed, "judged": "validation"}
            for recipe, rates in RECIPES.items() for rate in rates for seed in seeds_of(recipe)
        ]  # fmt: skip
        choose(lesson, grid, ("recipe",), lambda result: float(np.mean(result["right"])), "learning_rates_05.json")
    return 0


def lesson_04() -> dict:
    """What lesson 04 has defined when its runs are planned and none has been made."""
    return names_of("04_why_transfer_works", "beforehand_reads =", "beforehand_rates =")


def lesson_05() -> dict:
    """The same of lesson 05."""
    return names_of("05_beyond_the_trainer", "experiments = Experiments(", "RECIPES = [", "beforehand_recipes =")


def from_beforehand(lesson: dict) -> dict:
    """Function -> the configurations whose results come with the course."""
    if "beforehand_recipes" in lesson:
        return {lesson["run"]: lesson["beforehand_recipes"]}
    runs = lesson["beforehand_runs"] + lesson["beforehand_rates"]
    return {lesson["run"]: runs, lesson["read_layers"]: lesson["beforehand_reads"]}


def measure(lesson: dict, file: str) -> None:
    """Run what a lesson takes from a file of benchmarks/results and is not in there yet, and write the file anew."""
    experiments, wanted = lesson["experiments"], from_beforehand(lesson)
    for function, configurations in wanted.items():
        experiments.run(function, configurations, function.__name__)
    experiments.write_beforehand(wanted, RESULTS / file, banner(lesson["profile"]).splitlines())


def choose(lesson: dict, grid: list[dict], keys: tuple[str, ...], accuracy, name: str) -> None:
    """Run a grid of rates and seeds; print and write the validation accuracies."""
    path = RESULTS / name
    rows = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    keys = (*keys, "rate")
    found = {tuple(row[key] for key in keys): dict(zip(row["seeds"], row["validation"], strict=True)) for row in rows}
    grid = [one for one in grid if one["seed"] not in found.get(tuple(one[key] for key in keys), {})]
    for one, result in zip(grid, lesson["experiments"].run(lesson["run"], grid, "rates"), strict=True):
        found.setdefault(tuple(one[key] for key in keys), {})[one["seed"]] = accuracy(result)
    rows = [
        dict(zip(keys, key, strict=True), seeds=sorted(of), validation=[of[seed] for seed in sorted(of)])
        for key, of in found.items()
    ]
    rows.sort(key=lambda row: [row[key] for key in keys])
    for row in rows:
        print(json.dumps(row), f"mean {np.mean(row['validation']):.3f}")
    content = {"machine": banner(lesson["profile"]).splitlines(), "runs": rows}
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def names_of(lesson: str, until: str, *also: str) -> dict:
    """Run a lesson's cells up to the one with the text `until` in it, and those below with one of the texts `also`.

    Returns:
        What they defined.

    Raises:
        ValueError: no cell has one of the texts.
    """
    import os

    from IPython.core.interactiveshell import InteractiveShell

    from tools.notebooks.source import read_source

    os.chdir(ROOT / "notebooks")
    InteractiveShell.clear_instance()  # names of another lesson would be overwritten
    shell, wanted = InteractiveShell.instance(), [until, *also]
    for cell in (cell for cell in read_source(SOURCES / f"{lesson}.py").cells if cell.cell_type == "code"):
        found = [text for text in wanted if text in cell.source]
        if until in wanted or found:
            shell.run_cell(cell.source).raise_error()
            wanted = [text for text in wanted if text not in found]
    if wanted:
        raise ValueError(f"Expected cells with {' and '.join(map(repr, wanted))} in {lesson}.")
    return shell.user_ns


if __name__ == "__main__":
    run_program(main)
