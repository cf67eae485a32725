"""Lesson 05 beforehand: a learning rate for each arm, and the runs that come with the course.

The same rule for all arms: of the rates of a grid, the one with most validation sentences right over ten seeds; the
grid goes on until the best rate has a neighbour on either side. What is in a file already is not run again.
Run: python -m notebooks.source.lesson_05.beforehand rates      (about 50 minutes on one core)
     python -m notebooks.source.lesson_05.beforehand runs 20    (so many seeds; 2 to 6 minutes for each)
"""

from __future__ import annotations

import argparse
import json
import os

import numpy as np

from notebooks.source.lesson_05.cards import ARMS
from notebooks.source.lesson_05.runs import RECIPES, RESULTS, SEEDS_OF_RATES, Runs, by_rate, configurations
from utils.beforehand import compare, measure
from utils.console import run_program
from utils.environment import begin
from utils.errors import CourseError
from utils.files import ROOT

GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FIRST = {"discriminative rates": 1e-3, "all three recipes": 3e-3}  # the middle of the first three rates; else 3e-4
SEARCH_SEEDS = tuple(range(100, 110))  # not the lesson's
RATES = RESULTS / "rates.json"


def main() -> int:
    """Run one part; write its JSON into `results`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rates", "runs"))
    parser.add_argument("seeds", type=int, nargs="?", default=20)
    options = parser.parse_args()
    os.chdir(ROOT)
    profile = begin("embedded")
    if profile.quick:
        raise CourseError("COURSE_SIZES is quick; results are measured in their whole size. Unset it.")
    lesson = Runs(profile)
    names = {"profile": profile, "experiments": lesson.experiments}
    if options.part == "rates":
        for arm in RECIPES:
            search(lesson, names, arm)
        return 0
    # By seed, so that what is there after an interrupt is whole seeds.
    for seed in range(options.seeds):
        measure(names, {lesson.run: stored_runs(profile, range(seed + 1))}, RESULTS / "runs.json")
    return 0


def stored_runs(profile, seeds) -> list[dict]:
    """What comes with the course: the arms at their rates and, for some of the seeds, at each rate tried for them."""
    yours = configurations(profile, seeds, yours=True)
    runs = configurations(profile, seeds, yours=False)
    more = by_rate(profile, ARMS.values(), [seed for seed in seeds if seed in SEEDS_OF_RATES])
    return runs + [run for run in more if run not in runs + yours]


def search(lesson: Runs, names: dict, arm: str) -> None:
    """Try rates for an arm until the best has neighbours."""
    middle = GRID.index(FIRST.get(arm, 3e-4))
    low, high = middle - 1, middle + 1
    while True:
        grid = [
            {"arm": arm, "rate": rate, "seed": seed, "judged": "validation"}
            for rate in GRID[low : high + 1] for seed in SEARCH_SEEDS
        ]  # fmt: skip
        compare(names, lesson.run, grid, ("arm", "rate"), lambda result: float(np.mean(result["right"])), RATES)
        found = {row["rate"]: np.mean(row["validation"]) for row in read_rates() if row["arm"] == arm}
        best = GRID.index(max(found, key=found.get))
        if low < best < high:
            return
        low, high = min(low, best - 1), max(high, best + 1)


def read_rates() -> list[dict]:
    """The rows of the file of rates."""
    return json.loads(RATES.read_text(encoding="utf-8"))["runs"]


if __name__ == "__main__":
    run_program(main)
