"""Grade submitted exercise notebooks."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path

from tqdm import tqdm

from tools.grade.report import as_csv, as_page, as_text
from tools.grade.submission import grade, ungraded
from tools.notebooks.files import ROOT
from tools.notebooks.source import load_checks
from utils import assets, files
from utils.console import positive, run_program, seed, shown, stop_when_told
from utils.environment import QUIET
from utils.errors import CourseError

WARNING = "It executes students' code: run it in a container without network and without anything to lose."
MAKE_ROOM = "What is graded is kept: make room there, then give the same command again."


def main(arguments: list[str] | None = None) -> int:
    """Grade what was not graded before, keeping each grade as it comes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.grade", description=f"{__doc__} {WARNING}")
    add, above_0, path = parser.add_argument, positive(float), files.user_path
    add("folder", type=path, metavar="FOLDER", help="the submissions, also in folders inside it; or one file")
    add("--out", type=path, default=files.own_output("grades", ROOT), help="a folder for the report (%(default)s)")
    add("--again", action="store_true", help="set an earlier report aside and grade all")
    add("--cell-seconds", type=above_0, default=30, help="for a cell (%(default)s)")
    add("--seconds", type=above_0, default=300, help="for a submission (%(default)s)")
    add("--mib", type=above_0, default=4096, help="of memory for a submission (%(default)s)")
    add("--seed", type=seed, help="of the data on which answers are tried; drawn anew by default")
    options = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        raise CourseError("Grading needs Linux, whose limits hold a submission: run it in a container.")
    found = submissions(options.folder, options.out)
    files.claim(options.out, "Give --out another folder.")
    os.environ.update(QUIET | files.library_folders() | os.environ)
    load_checks()  # they are in memory before any submission runs
    assets.small_encoder(), assets.gpt2_tokenizer()
    limits = {name: getattr(options, name) for name in ("cell_seconds", "seconds", "mib")}
    rules = limits | {"folder": str(options.folder.resolve()), "course": course_files()}
    stop_when_told()
    return grade_all(found, begun(options, rules))


def submissions(folder: Path, out: Path) -> dict[str, Path]:
    """Name inside the folder -> the file, in order; no hidden ones, no links, and not the report if it lies there.

    Raises:
        CourseError: there are none.
    """
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        name = path.relative_to(folder.parent if folder.is_file() else folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not path.is_symlink() and not hidden and out.resolve() not in path.resolve().parents:
            found[str(name)] = path
    if not found:
        raise CourseError(f"Expected a folder of submissions, got {folder}; nothing was graded, and no report changed.")
    return found


def begun(options: argparse.Namespace, rules: dict) -> Path:
    """The journal: a line with the rules and the seed of the data, then a line for each grade.

    One of other rules is set aside, and the report with it.
    """
    journal = options.out / "grades.jsonl"
    first, _ = read(journal)
    drawn = first.get("seed") if options.seed is None else options.seed
    if options.again or first != rules | {"seed": drawn}:
        for path in (journal, options.out / "grades.csv", options.out / "grades.html"):
            if path.exists():
                kept = files.set_aside(path).name
                print(f"{path} is of another folder, seed, limits or course, or of before --again; it is now {kept}.")
        drawn = secrets.randbelow(2**31) if options.seed is None else options.seed
        files.write_atomically(journal, json.dumps(rules | {"seed": drawn}), MAKE_ROOM)
    return journal


def read(journal: Path) -> tuple[dict, dict[str, dict]]:
    """The rules, and the grades by the keys of their files; a kill or a full disk may have left a part of a line."""
    rules, grades = {}, {}
    for line in journal.read_bytes().splitlines() if journal.exists() else []:
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if "key" in record:
                grades[record["key"]] = record["grade"]
            else:
                rules = record
    return rules, grades


def append(journal: Path, line: dict) -> None:
    """Add a line; it is on the disk before this returns."""
    with files.one_line(journal.parent, MAKE_ROOM), open(journal, "ab") as file:
        file.write(b"\n" + json.dumps(line).encode())  # in this order: what is left of a broken line stays one
        file.flush()
        os.fsync(file.fileno())


def grade_all(found: dict[str, Path], journal: Path) -> int:
    """Grade what the journal lacks, then write the report, also after an interrupt; returns the exit status."""
    (rules, before), failed, interrupted, out = read(journal), {}, False, journal.parent
    keys = {name: f"{path.stat().st_size} {path.stat().st_mtime_ns} {name}" for name, path in found.items()}
    left = [name for name in found if keys[name] not in before]
    if len(left) < len(found):
        print(f"{len(found) - len(left)} of {len(found)} were graded before and have not changed; --again grades all.")
    try:
        for name in tqdm(left, desc="submissions", unit="file", disable=not left):
            try:
                result = grade(found[name], shown(name), rules, rules["seed"])
            except Exception as error:  # one submission must not cost the others their grades
                words = " ".join(str(error).split())[:150]
                failed[keys[name]] = ungraded(shown(name), f"could not be graded: {type(error).__name__}: {words}")
            if course_files() != rules["course"]:
                raise CourseError(
                    f"The course changed while {shown(name)} was graded: by it, by git or by an editor. What was "
                    "graded before is kept; take a fresh copy of the course."
                )
            if keys[name] not in failed:
                append(journal, {"key": keys[name], "grade": result})
    except KeyboardInterrupt:
        interrupted = True
    results = read(journal)[1] | failed
    grades = [results[key] for key in keys.values() if key in results]
    files.write_ours(out, "grades.csv", as_csv(grades), MAKE_ROOM)
    files.write_ours(out, "grades.html", as_page(grades, rules["seed"]), MAKE_ROOM)
    if interrupted:
        rest = "The same command grades the others; leave --again out, which would begin anew."
        print(f"Interrupted; {len(grades)} of {len(found)} are graded, in {out}. {rest}", file=sys.stderr)
        return 130
    print(f"{as_text(grades)}\n\nData seed {rules['seed']}. Report: {out}")
    return 1 if failed else 0


def course_files() -> str:
    """A fingerprint of what decides grades."""
    paths = [path for folder in ("utils", "tools", "notebooks/source") for path in (ROOT / folder).rglob("*.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()


if __name__ == "__main__":
    run_program(main)
