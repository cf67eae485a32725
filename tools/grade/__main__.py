"""Command line: grade a folder of submitted exercise notebooks."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
from pathlib import Path

from tqdm import tqdm

from tools.grade.report import table, write_csv, write_page
from tools.grade.submission import Limits, grade
from tools.notebooks.files import ROOT
from utils import assets
from utils.checks import exercises
from utils.console import run_program


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.grade", description=__doc__ + _WARNING)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the submissions, also in folders inside it")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "grades", help="of the report (%(default)s)")
    parser.add_argument("--cell-seconds", type=float, default=Limits.cell_seconds, help="for a cell (%(default)s)")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="for a submission (%(default)s)")
    parser.add_argument("--mib", type=float, default=Limits.mib, help="of memory for a submission (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the data on which answers are tried; drawn anew by default")
    options = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print("Grading needs Linux, whose limits hold a submission: run it in a container.", file=sys.stderr)
        return 2
    if not options.folder.is_dir():
        print(f"Expected a folder of submissions, got {options.folder}.", file=sys.stderr)
        return 2
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    limits = Limits(options.cell_seconds, options.seconds, options.mib)
    exercises()  # the checks are in memory before any submission runs
    assets.encoder(), assets.gpt2_tokenizer()
    before, grades = course_files(), []
    for path in tqdm(submissions(options.folder), desc="submissions", unit="file"):
        grades.append(grade(path, path.relative_to(options.folder).as_posix(), limits, seed))
        if course_files() != before:
            print(f"{path} changed files of the course. Take a fresh copy of it; grades end here.", file=sys.stderr)
            return 1
    write_csv(options.out / "grades.csv", grades)
    write_page(options.out / "grades.html", grades, seed)
    print(table(grades))
    print(f"\nData seed {seed}. Report: {options.out}")
    return 0


_WARNING = " It executes students' code: run it in a container without network and without anything to lose."


def submissions(folder: Path) -> list[Path]:
    """The submitted files, in order; no hidden ones, no links."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def course_files() -> str:
    """A fingerprint of what decides grades."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "utils").rglob("*.py")) + sorted((ROOT / "tools").rglob("*.py")):
        digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    run_program(main)
