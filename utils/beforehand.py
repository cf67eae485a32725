"""What was measured before anybody opens a lesson: by the lesson's own cells, so that nobody else's code can drift.

The cells that define a lesson's runs, and make none, carry the tag `plan` in its source.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from utils.environment import begin
from utils.errors import CourseError
from utils.files import ROOT, write_atomically
from utils.profiles import SIZES_VARIABLE, banner

TAG = "plan"


def run_part(description: str, room: Path, runs: Callable[[dict], dict], compare_rates: Callable[[dict], None]) -> int:
    """The command line of a lesson's `beforehand.py`: makes one part, "rates" or "runs"; returns the exit status.

    Args:
        description: of the program.
        room: the lesson's folder.
        runs: takes what `planned` gives; function -> the configurations whose results come with the course.
        compare_rates: takes the same; calls `compare`.

    Raises:
        CourseError: the sizes are those of COURSE_SIZES=quick.
    """
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=formatter)
    parser.add_argument("part", choices=("rates", "runs"))
    part = parser.parse_args().part
    lesson = planned(room)
    if lesson["profile"].quick:  # nothing is learned then
        raise CourseError(f"{SIZES_VARIABLE} is quick; results are measured in their whole size. Unset it.")
    if part == "runs":
        measure(lesson, runs(lesson), room / "results" / "runs.json")
    else:
        compare_rates(lesson)
    return 0


def planned(room: Path) -> dict:
    """Run the cells of a lesson that carry the tag, after what its first cell defines; none of them makes a run.

    The course's folder becomes the working folder.

    Args:
        room: the lesson's folder; the cells stand in its lesson or in one of its deeper notebooks.

    Returns:
        What the cells defined.

    Raises:
        ValueError: no cell has the tag.
    """
    import jupytext
    from IPython.core.interactiveshell import InteractiveShell

    cells = []
    for source in (room / "lesson.py", *sorted(room.glob("deeper_*.py"))):
        cells += jupytext.read(source, fmt="py:percent").cells
    plan = [cell.source for cell in cells if TAG in cell.metadata.get("tags", [])]
    if not plan:
        raise ValueError(f"{room}: expected cells with the tag {TAG!r}, found none.")
    os.chdir(ROOT)
    InteractiveShell.clear_instance()  # names of another lesson would be overwritten
    shell = InteractiveShell.instance()
    shell.user_ns |= {"course": ROOT, "profile": begin("embedded"), "Path": Path}
    for cell in plan:
        shell.run_cell(cell).raise_error()
    return shell.user_ns


def measure(lesson: dict, runs: dict[Callable[..., dict], list[dict]], path: Path) -> None:
    """Make the runs of a lesson that are not in its file yet, and write the file anew.

    Args:
        lesson: what `planned` gave.
        runs: function -> configurations.
        path: the file that the lesson reads.
    """
    for function, configurations in runs.items():
        lesson["experiments"].run(function, configurations, function.__name__)
    lesson["experiments"].write_beforehand(runs, path, banner(lesson["profile"]).splitlines())


def compare(
    lesson: dict, function: Callable[..., dict], grid: list[dict], keys: tuple[str, ...],
    accuracy: Callable[[dict], float], path: Path,
) -> None:  # fmt: skip
    """Run a grid of learning rates; print and write the accuracies. What the file has already is not run again.

    Args:
        lesson: what `planned` gave.
        function: makes one run.
        grid: configurations, each with a "seed".
        keys: names in a configuration by which seeds are grouped.
        accuracy: of a result, on validation data.
        path: the file.
    """
    lesson["experiments"].beforehand = {}
    accuracies: dict[tuple, dict[int, float]] = {}
    if path.exists():
        for row in json.loads(path.read_text(encoding="utf-8"))["runs"]:
            group = tuple(row[key] for key in keys)
            accuracies[group] = dict(zip(row["seeds"], row["validation"], strict=True))
    missing = [run for run in grid if run["seed"] not in accuracies.get(tuple(run[key] for key in keys), {})]
    results = lesson["experiments"].run(function, missing, "rates")
    for run, result in zip(missing, results, strict=True):
        accuracies.setdefault(tuple(run[key] for key in keys), {})[run["seed"]] = accuracy(result)
    rows = []
    for group in sorted(accuracies):
        by_seed = dict(sorted(accuracies[group].items()))
        rows.append(dict(zip(keys, group, strict=True), seeds=list(by_seed), validation=list(by_seed.values())))
        print(*group, f"mean {np.mean(rows[-1]['validation']):.3f}")
    content = {"machine": banner(lesson["profile"]).splitlines(), "runs": rows}
    write_atomically(path, json.dumps(content, indent=1) + "\n")
