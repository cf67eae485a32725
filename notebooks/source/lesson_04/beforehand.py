"""Lesson 04 beforehand: which learning rates to take, and the runs that would take longer than a lesson.

Rates that are in the file already are not run again.
Run: python -m notebooks.source.lesson_04.beforehand rates      (accuracies of several rates; about 20 minutes)
     python -m notebooks.source.lesson_04.beforehand runs       (the runs that come with the course; about 20 minutes)
"""

from __future__ import annotations

from pathlib import Path

from utils.beforehand import compare, run_part
from utils.console import run_program

HERE = Path(__file__).parent
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
SEARCH_SEEDS = (10, 11, 12, 13)  # not the lesson's


def main() -> int:
    """Run one part; write its JSON into `results`."""
    return run_part(__doc__, HERE, from_beforehand, compare_rates)


def compare_rates(lesson: dict) -> None:
    """Try learning rates on validation sentences."""
    grid = [
        {"network": "encoder", "method": method, "labels": labels, "seed": seed, "rate": rate,
         "epochs": EPOCHS[labels], "curve": True}
        for labels, methods in GRID.items() for method, rates in methods.items() for rate in rates
        for seed in seeds_of(method, labels)
    ]  # fmt: skip
    compare(lesson, lesson["run"], grid, ("labels", "method", "rate"), lambda result: result["curve"][-1],
            HERE / "results" / "rates.json")  # fmt: skip


def seeds_of(method: str, labels: int) -> tuple[int, ...]:
    """Two seeds; four where some runs get stuck and others do not, as a random start with many labels."""
    return SEARCH_SEEDS if method == "random start" and labels >= 1000 else SEARCH_SEEDS[:2]


def from_beforehand(lesson: dict) -> dict:
    """Function -> the configurations whose results come with the course."""
    return {
        lesson["run"]: lesson["beforehand_runs"] + lesson["beforehand_rates"],
        lesson["read_layers"]: lesson["beforehand_reads"],
    }


if __name__ == "__main__":
    run_program(main)
