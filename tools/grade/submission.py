"""One submission: read it, run it in a process of its own, judge what comes back in this one.

The submission's process only ever sees data to compute with. Whether the results are right is decided here, by the
checks as they were when grading began, so nothing that a submission defines, prints or writes can make it pass.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from IPython.core.inputtransformer2 import TransformerManager

from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import CHECK, exercises, read_exercises
from utils.checks import Verdict, judge
from utils.checks.answers import Function, Hint, decoded, encoded
from utils.files import CACHE_VARIABLE, cache_folder
from utils.profiles import PROFILE_VARIABLE
from utils.progress import PROGRESS_VARIABLE

LEFT_OUT = shutil.ignore_patterns("__pycache__", "lesson_*.py")  # a submission gets no checks to copy from
LARGEST_FILE, LARGEST_CODE = 300 * 2**20, 20 * 2**20  # bytes; characters, once outputs are left out
LONGEST_LINE, MOST_LINES = 16 * 2**20, 4  # of what its process says and nobody has read yet
NOT_AS_AGREED = "its process does not answer as agreed"
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")  # no tokens, no secrets


@dataclass(frozen=True)
class Limits:
    """What a submission may take.

    Attributes:
        cell_seconds: one cell, and one call of a function.
        seconds: the whole submission; then it is killed.
        mib: memory beyond what the course's own libraries take.
    """

    cell_seconds: float = 30
    seconds: float = 300
    mib: float = 4096


@dataclass
class Grade:
    """What came of one file.

    Attributes:
        file: its path inside the folder, as text that can be printed.
        lesson: "01" and so on; "" where it is no exercise notebook.
        verdicts: exercise id -> True, False, or None where nothing was tried.
        hints: exercise id -> what the check said of a wrong answer.
        remarks: errors of cells, and what ended the submission.
        seconds: wall-clock time.
        failed: did grading itself fail? Then the next run tries this file again.
    """

    file: str
    lesson: str = ""
    verdicts: dict[str, bool | None] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failed: bool = False

    @property
    def score(self) -> int:
        """Exercises solved."""
        return sum(verdict is True for verdict in self.verdicts.values())


class Ended(Exception):
    """The submission's process is gone, or does not answer as agreed."""


def grade(path: Path, file: str, limits: Limits, seed: int) -> Grade:
    """Grade one file; whatever it does, this returns.

    Args:
        path: the submitted file.
        file: how the report calls it.
        limits: time and memory.
        seed: draws the data on which the functions are tried.
    """
    result, began = Grade(file), time.monotonic()
    try:
        notebook = read(path)
        name = lesson_of(notebook, file)
    except ValueError as error:
        result.remarks.append(str(error))
        return result
    result.lesson = name[:2]
    names = asked(name)
    result.verdicts = dict.fromkeys(names)
    try:
        with Worker(limits) as worker:
            answers = worker.run([cell.source for cell in notebook.cells if cell.cell_type == "code"], name, names)
            result.remarks += worker.remarks
            for id, given in answers.items():
                verdict = _best(worker, id, given, seed)
                result.verdicts[id] = verdict.right
                if verdict.right is False:
                    result.hints[id] = verdict.message
    except Ended as end:
        result.remarks.append(str(end))
    result.seconds = time.monotonic() - began
    return result


def read(path: Path) -> nbformat.NotebookNode:
    """The submitted notebook, without its outputs, whatever editor saved it and whatever a browser called it.

    Raises:
        ValueError: the file is none, or too large.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"too large: {size / 2**20:.0f} MiB; expected at most {LARGEST_FILE // 2**20}")
    content = path.read_bytes()
    if content.startswith(b"PK\3\4"):
        raise ValueError("an archive: unpack it first")
    try:
        notebook = nbformat.reads(json.dumps(_without_outputs(json.loads(_text(content)))), as_version=4)
        assert all(isinstance(cell.source, str) for cell in notebook.cells)
    except Exception as error:
        raise ValueError(f"not a notebook that can be read ({type(error).__name__})") from None
    characters = sum(len(cell.source) for cell in notebook.cells)
    if characters > LARGEST_CODE:
        raise ValueError(f"too large: {characters / 2**20:.0f} MiB without outputs; expected {LARGEST_CODE // 2**20}")
    return notebook


def _text(content: bytes) -> str:
    """UTF-8, 16 or 32, with or without a byte-order mark; else the encoding that older editors on Windows use."""
    try:
        return content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _without_outputs(notebook: dict) -> dict:
    """Outputs and attachments may be large, and grading reads none; notebooks of version 3 keep cells in worksheets."""
    for sheet in [notebook, *notebook.get("worksheets", [])]:
        sheet.setdefault("metadata", {})  # scripts that write notebooks leave it out
        for cell in sheet.get("cells", []):
            cell.setdefault("metadata", {})
            if "outputs" in cell:
                cell["outputs"] = []
            cell.pop("attachments", None)
    return notebook


def lesson_of(notebook: nbformat.NotebookNode, file: str) -> str:
    """The lesson whose exercises a notebook holds: by its metadata, else by its checks, else by the file's name.

    Raises:
        ValueError: none of them tells.
    """
    about = notebook.metadata.get("course")
    told = about.get("exercises") if isinstance(about, dict) else None
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    numbers = re.findall(r"check\(\s*[\"'](\d\d)\.\d[\"']", code) + re.findall(r"^(?:.*/)?(\d\d)_", file)
    for name in exercises():
        if name == told or (told not in exercises() and numbers and name.startswith(numbers[0])):
            return name
    raise ValueError("not an exercise notebook of this course: no check of an exercise in it")


def without_lines_of(first: str, cell: str) -> str:
    """The notebook's first cell without the lines that every notebook has, wherever a student has put lines of theirs.

    The grader has run those already, in a course's folder of its own. Any other cell stays as it is.
    """
    given = [line.strip() for line in first.splitlines()]
    lines = cell.splitlines()
    if sum(line.strip() in given for line in lines if line.strip()) < len(given) / 2:
        return cell
    kept = "\n".join(line for line in lines if line.strip() not in given)
    try:
        ast.parse(TransformerManager().transform_cell(kept))
    except SyntaxError:  # what is left of a line that was changed
        return cell  # it finds the grader's course once more
    return kept


def asked(name: str) -> dict[str, str]:
    """Exercise id -> the name that its check asks for, from the course's own notebook."""
    notebook = read_exercises(NOTEBOOKS / "source" / "exercises" / f"{name}.py", solved=False)
    checks = (CHECK.match(cell.source) for cell in notebook.cells if cell.cell_type == "code")
    return {check[1]: check[2] for check in checks if check}


def _best(worker: Worker, id: str, given: list[dict], seed: int) -> Verdict:
    """The verdict on what was handed in for an exercise: by its last check, and under the name that the blank gives.

    Either may be right: in the student's own notebook, each check that said so counted.
    """
    verdicts = []
    for place, answer in enumerate(given):
        verdicts.append(_judged(worker, id, place, answer, seed))
        if verdicts[-1].right:
            break
    return max(verdicts, key=lambda verdict: (verdict.right is True, verdict.right is False))


def _printable(text) -> str:
    """Without the signs that move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))


def _judged(worker: Worker, id: str, place: int, answer: dict, seed: int) -> Verdict:
    if "hint" in answer:
        return Verdict(False, _printable(answer["hint"])[:300])
    try:
        given = decoded(answer["value"]) if "value" in answer else None
    except Exception:
        raise Ended(NOT_AS_AGREED) from None
    if "function" in answer:  # it has limits of its own
        given = Function(lambda *arguments: worker.call(id, place, arguments), seconds=None)
    verdict = judge(id, given, seed)
    if worker.ended:  # the check took the end of the process for an odd answer
        raise Ended(worker.ended)
    return verdict


class Worker:
    """The process of one submission, in a copy of the course's folder that is thrown away afterwards."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.ended, self.remarks = limits, "", []
        self.deadline = time.monotonic() + limits.seconds
        self.lines: queue.Queue[str] = queue.Queue(MOST_LINES)

    def __enter__(self) -> Worker:
        self.folder = Path(tempfile.mkdtemp(prefix="submission-"))
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def _start(self) -> None:
        working = self.folder / "course" / "notebooks" / "exercises"
        working.mkdir(parents=True)
        for part in ("utils", "tools"):
            shutil.copytree(ROOT / part, self.folder / "course" / part, ignore=LEFT_OUT)
        shutil.copy(ROOT / "requirements.txt", self.folder / "course")
        (self.folder / "course" / "models").symlink_to(ROOT / "models")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {
            "HOME": str(self.folder), "PYTHONPATH": str(self.folder / "course"), "MPLBACKEND": "Agg",
            CACHE_VARIABLE: str(cache_folder()), PROGRESS_VARIABLE: str(self.folder / "progress.json"),
            PROFILE_VARIABLE: "embedded", "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",  # or the libraries reserve memory by the number of cores
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.grade.worker"], cwd=working, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, *_) -> None:
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(OSError, AttributeError):  # what lost its parent
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(queue.Empty):  # the listener may wait for room
            while True:
                self.lines.get_nowait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, cells: list[str], name: str, names: dict[str, str]) -> dict[str, list[dict]]:
        """Run the cells; gives for each exercise id what was handed in: to its last check, and under its name."""
        blank = read_exercises(NOTEBOOKS / "source" / "exercises" / f"{name}.py", solved=False)
        first = next(cell.source for cell in blank.cells if cell.cell_type == "code")
        cells = [without_lines_of(first, cell) for cell in cells]
        answer = self._ask({"first": first, "cells": cells, "names": names, "mib": self.limits.mib})
        self.remarks = [_printable(remark)[:200] for remark in answer.get("remarks", [])][:10]
        answers = answer.get("answers")
        if not isinstance(answers, dict) or not all(
            isinstance(given, list) and given and all(isinstance(one, dict) for one in given)
            for given in (answers.get(id) for id in names)
        ):
            raise Ended(NOT_AS_AGREED)
        return {id: answers[id][:2] for id in names}

    def call(self, id: str, place: int, arguments: tuple):
        """The result of a function of the submission, as a plain value.

        Raises:
            Hint: it raised an error or gave nothing.
        """
        if self.ended:
            raise Hint(self.ended)
        try:
            answer = self._ask({"call": [id, place], "arguments": encoded(list(arguments))})
        except Ended as end:
            raise Hint(str(end)) from None
        if "value" not in answer:
            raise Hint(str(answer.get("hint", "Your function gives nothing that can be read."))[:300])
        return decoded(answer["value"])

    def _ask(self, order: dict) -> dict:
        try:
            self.process.stdin.write(json.dumps(order | {"seconds": self.limits.cell_seconds}) + "\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=max(0.1, self.deadline - time.monotonic()))
            answer = json.loads(line) if line else None
        except queue.Empty:
            self.ended = self.ended or f"stopped after {self.limits.seconds:g} s"
        except (OSError, ValueError, RecursionError):
            self.ended = self.ended or NOT_AS_AGREED
        else:
            if isinstance(answer, dict):
                return answer
            self.ended = self.ended or ("its process ended" if not line else NOT_AS_AGREED)
        raise Ended(self.ended)

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := self.process.stdout.readline(LONGEST_LINE):
                self.lines.put(line)
        self.lines.put("")

    def _watch(self) -> None:
        """Kill what takes too much memory or too long, children and all."""
        libraries = 1500 * 2**20
        while self.process.poll() is None:
            used = 0
            for process in self._family():
                with contextlib.suppress(psutil.Error):
                    used += process.memory_info().rss
            late = time.monotonic() > self.deadline
            if late or used > libraries + self.limits.mib * 2**20:
                self.ended = f"stopped after {self.limits.seconds:g} s" if late else "took too much memory"
                for process in self._family():
                    with contextlib.suppress(psutil.Error):
                        process.kill()
            time.sleep(0.1)

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(self.process.pid)
            return [*own.children(recursive=True), own]
        return []
