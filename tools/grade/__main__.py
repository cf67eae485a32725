"""Command line: grade a folder of submitted exercise notebooks."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from pathlib import Path

from tqdm import tqdm

from tools.grade.journal import NAME, Journal, key_of
from tools.grade.report import as_csv, as_page, table
from tools.grade.submission import Grade, Limits, grade
from tools.notebooks.files import ROOT
from utils import assets
from utils.checks import exercises
from utils.console import positive, run_program, seed, shown, stop_when_told
from utils.environment import QUIET
from utils.errors import CourseError
from utils.files import claim, library_folders, own_output, user_path, write_ours

ELSEWHERE = "Give --out another folder."
MAKE_ROOM = "What is graded is kept: make room there, then give the same command again."


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.grade", description=__doc__ + _WARNING)
    parser.add_argument("folder", type=user_path, metavar="FOLDER", help="the submissions, also in folders inside it")
    parser.add_argument(
        "--out", type=user_path, default=own_output("grades", ROOT), help="a folder for the report (%(default)s)"
    )
    above_0 = positive(float)
    parser.add_argument("--again", action="store_true", help="grade also what was graded before and has not changed")
    parser.add_argument("--cell-seconds", type=above_0, default=Limits.cell_seconds, help="for a cell (%(default)s)")
    parser.add_argument("--seconds", type=above_0, default=Limits.seconds, help="for a submission (%(default)s)")
    parser.add_argument("--mib", type=above_0, default=Limits.mib, help="of memory for a submission (%(default)s)")
    parser.add_argument("--seed", type=seed, help="of the data on which answers are tried; drawn anew by default")
    options = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print("Grading needs Linux, whose limits hold a submission: run it in a container.", file=sys.stderr)
        return 2
    if not options.folder.is_dir():
        print(f"Expected a folder of submissions, got {options.folder}.", file=sys.stderr)
        return 2
    try:
        return grade_all(options)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2


_WARNING = " It executes students' code: run it in a container without network and without anything to lose."


def grade_all(options: argparse.Namespace) -> int:
    """Grade what was not graded before, writing each grade as it comes; returns the exit status.

    Raises:
        CourseError: the report cannot be written.
    """
    found, out = submissions(options.folder, options.out), options.out
    if not found:
        raise CourseError(f"There are no submissions in {options.folder}; nothing was graded, and no report changed.")
    claim(out, ELSEWHERE)
    os.environ.update(QUIET | library_folders() | os.environ)
    exercises()  # the checks are in memory before any submission runs
    assets.encoder(), assets.gpt2_tokenizer()
    limits, before = Limits(options.cell_seconds, options.seconds, options.mib), course_files()
    new_seed = secrets.randbelow(2**31)
    journal = Journal(out / NAME, options.folder, limits, before, options.seed, new_seed, MAKE_ROOM)
    keys = {path: key_of(path, str(path.relative_to(options.folder))) for path in found}
    left = [path for path in found if options.again or keys[path] not in journal.grades]
    if len(left) < len(found):
        print(f"{len(found) - len(left)} of {len(found)} were graded before and have not changed; --again grades all.")
    status = 0
    stop_when_told()
    try:
        for path in tqdm(left, desc="submissions", unit="file", disable=not left):
            file = shown(str(path.relative_to(options.folder)))
            try:
                graded = grade(path, file, limits, journal.seed)
            except Exception as error:  # one submission must not cost the others their grades
                graded, status = Grade(file, remarks=[f"could not be graded: {_in_short(error)}"], failed=True), 1
            if course_files() != before:
                print(f"The course changed while {file} was graded: by it, by git or by an editor. What was "
                      "graded before is kept; take a fresh copy of the course.", file=sys.stderr)  # fmt: skip
                return 1
            journal.add(keys[path], graded)
            report(out, found, keys, journal)
    except KeyboardInterrupt:
        journal.read()
        report(out, found, keys, journal)
        graded = sum(key in journal.grades for key in keys.values())
        print(f"Interrupted; {graded} of {len(found)} are graded, in {out}. The same command grades the others.",
              file=sys.stderr)  # fmt: skip
        return 130
    grades = report(out, found, keys, journal)
    print(table(grades))
    print(f"\nData seed {journal.seed}. Report: {out}")
    return status


def report(out: Path, found: list[Path], keys: dict[Path, str], journal: Journal) -> list[Grade]:
    """Write the table and the page of what is graded so far; gives the grades, in order of their files."""
    grades = [journal.grades[keys[path]] for path in found if keys[path] in journal.grades]
    write_ours(out, "grades.csv", as_csv(grades), MAKE_ROOM)
    write_ours(out, "grades.html", as_page(grades, journal.seed), MAKE_ROOM)
    return grades


def submissions(folder: Path, out: Path) -> list[Path]:
    """The submitted files, in order; no hidden ones, no links, and not the report if it lies among them."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    found = (path for path in found if not path.resolve().is_relative_to(out.resolve()))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def course_files() -> str:
    """A fingerprint of what decides grades."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "utils").rglob("*.py")) + sorted((ROOT / "tools").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"


if __name__ == "__main__":
    run_program(main)
