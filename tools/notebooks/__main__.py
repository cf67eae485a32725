"""Command line: build, check, run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import nbformat
from tqdm import tqdm

from tools.notebooks import readme
from tools.notebooks.build import build, is_current, sources
from tools.notebooks.check import check_all
from tools.notebooks.files import NOTEBOOKS, README, ROOT, write_atomically
from utils.errors import CourseError
from utils.profiles import PROFILE_VARIABLE, PROFILES


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    building = commands.add_parser("build", help="generate and execute the notebooks whose source changed")
    building.add_argument(
        "names", nargs="*", metavar="NAME", help="for example 02, exercises or exercises/02; all by default"
    )
    building.add_argument("--force", action="store_true", help="execute also what did not change")

    commands.add_parser("check", help="find faults in the committed notebooks without running them")

    running = commands.add_parser("run", help="execute the notebooks as students get them, and report")
    running.add_argument("names", nargs="*", metavar="NAME", help="lessons, for example 02; all by default")
    running.add_argument("--profile", choices=PROFILES, help="instead of the one that the machine suggests")
    running.add_argument("--out", type=Path, default=ROOT / "build" / "run", help="folder of the report (%(default)s)")
    running.add_argument("--timeout", type=float, default=3600, help="seconds that one cell may take (%(default).0f)")

    options = parser.parse_args(arguments)
    try:
        return {"build": _build, "check": _check, "run": _run}[options.command](options)
    except (CourseError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _build(options) -> int:
    failed = 0
    for name in chosen(options.names, sources()):
        if not options.force and is_current(name):
            print(f"{name}: unchanged")
            continue
        with tqdm(desc=name, unit="cell", bar_format="{desc}: cell {n_fmt}, {elapsed}") as bar:
            result = build(name, options.force, on_cell=lambda number, bar=bar: bar.update())
        if result is None:
            print(f"{name}: only text changed, outputs kept")
        elif result.ok:
            print(f"{name}: built in {result.seconds:.0f} s, peak memory {result.peak_mib:.0f} MiB")
        else:
            failed += 1
            print(f"{name}: cell {result.failed_cell} failed, notebook left as it was\n{result.traceback}")
    if not readme.is_current():
        write_atomically(README, readme.with_blocks(README.read_text(encoding="utf-8")))
    return 1 if failed else 0


def _check(options) -> int:
    faults = check_all()
    if not readme.is_current():
        faults.append("README.md: its tables are not the generated ones; run: make notebooks")
    print("\n".join(faults) or f"{len(sources())} source(s): no fault")
    return 1 if faults else 0


def _run(options) -> int:
    from tools.notebooks.execute import execute
    from tools.notebooks.report import write_report

    if options.profile:
        os.environ[PROFILE_VARIABLE] = options.profile
    names = chosen(options.names, sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
    executed = {}
    with tqdm(total=len(names), desc="notebooks", unit="notebook", position=0) as outer:
        for name in names:
            notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
            total = sum(cell.cell_type == "code" for cell in notebook.cells)
            with tqdm(total=total, desc=name, unit="cell", position=1, leave=False) as inner:
                result = execute(
                    notebook, NOTEBOOKS, on_cell=lambda number, inner=inner: inner.update(), timeout=options.timeout
                )
            executed[name] = (notebook, result)
            outer.update()
    table = write_report(options.out, executed)
    print(table)
    for name, (_, result) in executed.items():
        if not result.ok:
            print(f"\n{name}, code cell {result.failed_cell}:\n{result.source}\n\n{result.error}")
    print(f"\nReport, and a copy of each notebook to read: {options.out}")
    return 0 if all(result.ok for _, result in executed.values()) else 1


def chosen(asked: list[str], present: list[str]) -> list[str]:
    """The lessons whose names begin with what was asked for, in order; all if nothing was.

    Raises:
        ValueError: a name that fits no lesson, or no lesson at all.
    """
    for name in asked or [""]:
        if not any(lesson.startswith(name) for lesson in present):
            raise ValueError(f"No lesson is called {name!r}; there are: {', '.join(present) or 'none yet'}.")
    return [lesson for lesson in present if lesson.startswith(tuple(asked) or "")]


if __name__ == "__main__":
    sys.exit(main())
