"""Lesson 03 beforehand: its four starts with four learning rates each, and the runs that would take too long there.

Run: python -m notebooks.source.lesson_03.beforehand rates      (accuracies on validation sentences; about 15 minutes)
     python -m notebooks.source.lesson_03.beforehand runs       (the runs that come with the course; about 3 minutes)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from utils.beforehand import compare, run_part
from utils.console import run_program

HERE = Path(__file__).parent
RATES = (1e-4, 3e-4, 5e-4, 1e-3)
LABELS = 500


def main() -> int:
    """Run one part; write its JSON into `results`."""
    return run_part(__doc__, HERE, from_beforehand, compare_rates)


def compare_rates(lesson: dict) -> None:
    """Try learning rates on validation sentences."""
    judge_on_validation(lesson)
    grid = [
        {"ids": ids, "pretrained": pretrained, "labels": LABELS, "seed": seed, "rate": rate}
        for ids, pretrained in lesson["STARTS"] for rate in RATES for seed in lesson["SEEDS"]
    ]  # fmt: skip
    for ids in ("right", "wrong"):
        own = [run for run in grid if run["ids"] == ids]
        path = HERE / "results" / "rates.json"
        compare(lesson, lesson["learn_from"], own, ("ids", "pretrained", "rate"),
                lambda result, ids=ids: float(np.mean(result[ids])), path)  # fmt: skip


def from_beforehand(lesson: dict) -> dict:
    """Function -> the configurations whose results come with the course."""
    return {lesson["learn_from"]: lesson["beforehand_runs"]}


def judge_on_validation(lesson: dict) -> None:
    """Let the lesson's runs be judged on the validation sentences, and keep them apart from its own."""
    sentences = lesson["tomatoes"]["validation"]
    lesson["truth"] = np.array(sentences["label"])
    lesson["test_rows"] = {ids: lesson["rows_of"][ids](sentences["text"]) for ids in lesson["test_rows"]}
    experiments = lesson["experiments"]
    experiments.data = [*experiments.data, "validation"]


if __name__ == "__main__":
    run_program(main)
