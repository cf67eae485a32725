"""One submission: read, run in a process of its own (`worker.py`), judged in this one.

That process only sees data to compute with. What is right is decided here, by the checks as they were when grading
began, so nothing that a submission defines, prints or writes can make it pass.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import rooms
from utils.checks import Verdict, judge
from utils.checks.answers import Function, Hint, decoded, encoded
from utils.files import cache_folder
from utils.notebooks import of_course

LARGEST_FILE, LONGEST_LINE = 300 * 2**20, 16 * 2**20  # bytes
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")  # no tokens, no secrets
CHECK = re.compile(r"""check\(\s*["']((\d\d)\.\d)["'],\s*(\w+)""")  # exercise, lesson, name


class Ended(BaseException):
    """The submission's process is gone, or out of time; no check takes this for an odd answer."""


def grade(path: Path, file: str, limits: dict, seed: int) -> dict:
    """Grade one file, which the report calls `file`, on data drawn with `seed`; whatever the file does, this returns.

    `limits` are "cell_seconds" of a cell or a call, "seconds" of all, "mib" of memory beside the course's own. For the
    result see `ungraded`; a verdict is None where nothing was tried.
    """
    began = time.monotonic()
    try:
        cells, lessons = read(path)
    except ValueError as error:
        return ungraded(file, str(error))
    names = {exercise: name for lesson in lessons for exercise, name in course()[lesson][1].items()}
    result = ungraded(file) | {"lesson": " ".join(lessons), "verdicts": dict.fromkeys(names)}
    remarks = result["remarks"]
    with started(limits["seconds"]) as ask:
        try:
            message = ask(limits | {"first": course()[lessons[0]][0], "cells": cells, "names": names})
            while "end" not in message:
                if "remark" in message:
                    remarks[:] = [*remarks, printable(message["remark"])][:10]
                elif (exercise := message["exercise"]) in names:
                    last = verdict(ask, message, seed)
                    result["verdicts"][exercise] = last.right
                    result["hints"][exercise] = printable(last.message) if last.right is False else ""
                message = ask(None)
        except Ended as end:
            remarks.append(str(end))
        except Exception:  # at a message that `worker.py` does not send
            remarks.append("its process does not answer as agreed")
    return result | {"seconds": time.monotonic() - began}


def ungraded(file: str, *remarks: str) -> dict:
    """The grade of a file of which nothing is known yet; verdicts and hints are by exercise, seconds are wall time."""
    return {"file": file, "lesson": "", "verdicts": {}, "hints": {}, "remarks": list(remarks), "seconds": 0.0}


def verdict(ask: Callable[[object], dict], answer: dict, seed: int) -> Verdict:
    """What the course's check says of an answer."""

    def call(*arguments):
        result = ask(encoded(list(arguments)))
        if "value" not in result:
            raise Hint(result["hint"])
        return decoded(result["value"])

    if "hint" in answer:
        return Verdict(False, answer["hint"])
    value = Function(call, seconds=None) if "function" in answer else decoded(answer.get("value"))
    return judge(answer["exercise"], value, seed)


def printable(text: str) -> str:
    """The beginning of a text, without the signs that move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:300])


def read(path: Path) -> tuple[list[str], list[str]]:
    """The code cells of a submission and its lessons ("01"), whatever editor saved it and whatever it is called.

    Raises:
        ValueError: it is no exercise notebook, or too large.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"too large: {path.stat().st_size / 2**20:.0f} MiB; expected {LARGEST_FILE // 2**20} at most")
    content = path.read_bytes()
    if content.startswith(b"PK\3\4"):
        raise ValueError("an archive: unpack it first")
    try:
        try:
            notebook = json.loads(content)
        except UnicodeDecodeError:  # what older editors on Windows write
            notebook = json.loads(content.decode("cp1252", "replace"))
        cells = code_of(notebook)
        told = str(notebook.get("metadata", {}).get("course", {}).get("exercises"))[:2]
    except Exception as error:
        raise ValueError(f"not a notebook that can be read ({type(error).__name__})") from None
    checked = {lesson for _, lesson, _ in CHECK.findall("\n".join(cells))}
    for lessons in (checked, {told}, {path.name[:2]}):
        if known := sorted(lessons & course().keys()):
            return cells, known
    raise ValueError("not an exercise notebook of this course: no check of an exercise in it")


def code_of(notebook: dict) -> list[str]:
    """The code cells, whose source is a text or a list of lines."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@functools.cache
def course() -> dict[str, tuple[str, dict[str, str]]]:
    """Lesson -> the first cell of its exercises, and exercise -> the name that its check asks for."""
    lessons = {}
    for path, notebook in of_course(NOTEBOOKS / "exercises").items():
        cells = code_of(notebook)
        names = {exercise: name for exercise, _, name in CHECK.findall("\n".join(cells))}
        lessons[path.name[:2]] = cells[0], names
    return lessons


@contextlib.contextmanager
def started(seconds: float) -> Iterator[Callable[[object], dict]]:
    """A process for one submission, in a copy of the course without its checks that is thrown away afterwards.

    Gives a function that sends a message and returns the next one of the process.
    """
    with tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True) as home:
        copy, deadline = Path(home, "course"), time.monotonic() + seconds
        working = copy / "notebooks" / "exercises"
        working.mkdir(parents=True)
        shutil.copytree(ROOT / "utils", copy / "utils")
        for room in rooms().values():  # what the first cell imports, without the lesson's checks
            checks = copy / room.relative_to(ROOT) / "checks.py"
            checks.parent.mkdir(parents=True)
            checks.write_text("from utils.checks import check\n", encoding="utf-8")
        for file in ("requirements.txt", "tools/grade/worker.py"):
            shutil.copy(ROOT / file, copy)
        (copy / "models").symlink_to(ROOT / "models")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
            "HOME": home, "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1", "COURSE_PROFILE": "embedded",
            "COURSE_CACHE": str(cache_folder()), "COURSE_PROGRESS": f"{home}/progress.json",
            "OMP_NUM_THREADS": "1",  # or the libraries reserve memory by the number of cores
        }  # fmt: skip
        channel, other_end = socket.socketpair()
        command = [sys.executable, copy / "worker.py", str(other_end.fileno())]
        process = subprocess.Popen(
            command, cwd=working, env=environment, pass_fds=[other_end.fileno()], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        other_end.close()
        lines = channel.makefile("rb")
        clock = threading.Timer(seconds, channel.shutdown, [socket.SHUT_RDWR])  # whoever else holds the other end
        clock.start()

        def ask(message) -> dict:
            line = b""
            with contextlib.suppress(OSError):  # there is nobody to read it
                channel.sendall(json.dumps(message).encode() + b"\n")
                line = lines.readline(LONGEST_LINE)
            if not line:
                raise Ended("its process ended" if time.monotonic() < deadline else f"stopped after {seconds:g} s")
            return json.loads(line)

        try:
            yield ask
        finally:
            clock.cancel()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            lines.close()
            channel.close()
