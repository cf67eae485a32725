"""Lesson 05 beforehand: which learning rate suits each recipe, and the runs that would take longer than a lesson.

Rates that are in the file already are not run again.
Run: python -m notebooks.source.lesson_05.beforehand rates      (accuracies of several rates; about 5 minutes)
     python -m notebooks.source.lesson_05.beforehand runs       (the runs that come with the course; about 5 minutes)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from utils.beforehand import compare, measure, planned
from utils.console import run_program
from utils.files import ROOT

HERE = Path(__file__).parent
RATES = {
    "plain": (1e-4, 2e-4, 4e-4, 8e-4), "discriminative": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3),
    "slanted triangular": (1e-4, 2e-4, 4e-4, 8e-4), "gradual unfreezing": (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    "all three": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3),
}  # fmt: skip
SEARCH_SEEDS = (10, 11)  # not the lesson's


def main() -> int:
    """Run one part; write its JSON into `results`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rates", "runs"))
    part = parser.parse_args().part
    lesson = plan()
    if part == "runs":
        measure(lesson, from_beforehand(lesson), HERE / "results" / "runs.json")
        return 0
    grid = [
        {"recipe": recipe, "rate": rate, "seed": seed, "judged": "validation"}
        for recipe, rates in RATES.items() for rate in rates for seed in SEARCH_SEEDS
    ]  # fmt: skip
    compare(lesson, lesson["run"], grid, ("recipe", "rate"), lambda result: float(np.mean(result["right"])),
            HERE / "results" / "rates.json")  # fmt: skip
    return 0


def plan() -> dict:
    """What the lesson has defined when its runs are planned and none has been made."""
    return planned(HERE / "lesson.py", ROOT)


def from_beforehand(lesson: dict) -> dict:
    """Function -> the configurations whose results come with the course."""
    return {lesson["run"]: lesson["beforehand_recipes"]}


if __name__ == "__main__":
    run_program(main)
