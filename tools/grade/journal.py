"""What was graded, line by line: an interrupted grading goes on, and a submission that has not changed keeps its grade.

The first line says by which rules: the folder of submissions, the limits, the seed, the course's own code. Each further
line is one grade under the hash of its file; it is written and flushed before the next submission begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from tools.grade.submission import Grade, Limits
from utils.files import one_line, set_aside

NAME, REPORTS = "grades.jsonl", ("grades.csv", "grades.html")


class Journal:
    """Grades of one folder under one set of rules.

    Args:
        path: the file; one of other rules is set aside, and a line says so.
        folder: of the submissions.
        limits: of a submission.
        course: fingerprint of what decides grades.
        seed: of the data; None takes the journal's own, so that a grading goes on with the data that it began with.
        new_seed: for a journal that begins.
        instead: what to do where it cannot be written.
    """

    def __init__(
        self, path: Path, folder: Path, limits: Limits, course: str, seed: int | None, new_seed: int, instead: str
    ) -> None:
        self.path, self.instead = path, instead
        rules = {"folder": os.fsencode(folder.resolve()).hex(), "limits": asdict(limits), "course": course}
        self.grades: dict[str, Grade] = {}
        first = (self._lines() or [{}])[0]
        known = first.get("seed")
        if all(first.get(name) == value for name, value in rules.items()) and seed in (None, known):
            self.seed = known
            self.read()
        else:
            for old in (path, *(path.with_name(name) for name in REPORTS)):
                if old.exists():
                    print(f"{old} is of another folder, seed, limits or course; it is now {set_aside(old).name}.")
            self.seed = new_seed if seed is None else seed
            self._append(rules | {"seed": self.seed})

    def read(self) -> None:
        """Take the grades from the disk, also after an interrupt, which may have come between disk and memory."""
        self.grades = {}
        for line in self._lines()[1:]:
            with contextlib.suppress(KeyError, TypeError):
                self.grades[line["key"]] = Grade(**line["grade"])

    def add(self, key: str, grade: Grade) -> None:
        """Keep a grade, on the disk before this returns.

        Raises:
            CourseError: it cannot be written.
        """
        if not grade.failed:
            self._append({"key": key, "grade": asdict(grade)})
        self.grades[key] = grade

    def _append(self, line: dict) -> None:
        text = json.dumps(line).encode() + b"\n"
        with one_line(self.path.parent, self.instead), open(self.path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                while text:
                    text = text[file.write(text) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)  # half a line, where the disk is full
                raise

    def _lines(self) -> list[dict]:
        """The lines that were written to their end; what a kill left of the last one is cut off."""
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self.path, len(whole))
        found = []
        for line in whole.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return [line for line in found if isinstance(line, dict)]


def key_of(path: Path, file: str) -> str:
    """A submission's key: a hash of its name and of what is in it, if that can be read."""
    try:
        with open(path, "rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        content = "cannot be read"
    return hashlib.sha256(os.fsencode(file) + content.encode()).hexdigest()
