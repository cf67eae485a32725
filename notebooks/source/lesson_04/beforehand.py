"""Lesson 04 beforehand: the trainings that would take longer than a lesson.

Run: python -m notebooks.source.lesson_04.beforehand rates      (only those that choose the learning rates)
     python -m notebooks.source.lesson_04.beforehand runs       (all; about 40 minutes on one core)
"""

from __future__ import annotations

from pathlib import Path

from notebooks.source.lesson_04.runs import ARMS
from utils.beforehand import run_part
from utils.console import run_program

HERE = Path(__file__).parent


def main() -> int:
    """Run one part; the second writes its JSON into `results`."""
    return run_part(__doc__, HERE, from_beforehand, compare_rates)


def from_beforehand(lesson: dict) -> dict:
    """Function -> the configurations whose results come with the course."""
    lesson["experiments"] = lesson["runs"].experiments
    return lesson["runs"].beforehand()


def compare_rates(lesson: dict) -> None:
    """Try each method's learning rates on validation sentences, and print what they give."""
    for arm in ARMS:
        for rate, right in lesson["runs"].searched(arm).items():
            print(f"{arm:<14} {rate:<8.0e} {right:.1f}% of the validation sentences")


if __name__ == "__main__":
    run_program(main)
