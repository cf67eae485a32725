"""Lesson 05 beforehand: which learning rate suits each recipe, and the runs that would take longer than a lesson.

Rates that are in the file already are not run again.
Run: python -m notebooks.source.lesson_05.beforehand rates      (accuracies of several rates; about 5 minutes)
     python -m notebooks.source.lesson_05.beforehand runs       (the runs that come with the course; about 5 minutes)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from utils.beforehand import compare, run_part
from utils.console import run_program

HERE = Path(__file__).parent
RATES = {
    "plain": (1e-4, 2e-4, 4e-4, 8e-4), "discriminative": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3),
    "slanted triangular": (1e-4, 2e-4, 4e-4, 8e-4), "gradual unfreezing": (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    "all three": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3),
}  # fmt: skip
SEARCH_SEEDS = (10, 11)  # not the lesson's


def main() -> int:
    """Run one part; write its JSON into `results`."""
    return run_part(__doc__, HERE, from_beforehand, compare_rates)


def compare_rates(lesson: dict) -> None:
    """Try learning rates on validation sentences."""
    grid = [
        {"recipe": recipe, "rate": rate, "seed": seed, "judged": "validation"}
        for recipe, rates in RATES.items() for rate in rates for seed in SEARCH_SEEDS
    ]  # fmt: skip
    compare(lesson, lesson["run"], grid, ("recipe", "rate"), lambda result: float(np.mean(result["right"])),
            HERE / "results" / "rates.json")  # fmt: skip


def from_beforehand(lesson: dict) -> dict:
    """Function -> the configurations whose results come with the course."""
    return {lesson["run"]: lesson["beforehand_recipes"]}


if __name__ == "__main__":
    run_program(main)
