"""Which exercises a student has solved, in one small file of the student's own."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from filelock import FileLock

from utils.assets import cache_folder

EXERCISES = Path(__file__).parent.parent / "notebooks" / "exercises"
PROGRESS_VARIABLE = "COURSE_PROGRESS"


def progress_file() -> Path:
    """progress.json in the course's cache, or the file that COURSE_PROGRESS names."""
    chosen = os.environ.get(PROGRESS_VARIABLE)
    return Path(chosen).expanduser() if chosen else cache_folder() / "progress.json"


def read() -> dict[str, dict]:
    """Id of each exercise that was tried -> {"solved": bool, "wrong": fingerprints of the different wrong answers}."""
    try:
        kept = json.loads(progress_file().read_text(encoding="utf-8"))
        return {id: {"solved": bool(of["solved"]), "wrong": list(of["wrong"])} for id, of in kept.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # nothing tried yet, or not a file of ours


def note(id: str, right: bool, answer) -> int:
    """Note an answer; gives the number of different wrong ones so far. Where nothing can be written, nothing is kept.

    A solved exercise stays solved, whatever is tried afterwards.
    """
    path = progress_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=5):
            kept = read()
            of = kept.setdefault(id, {"solved": False, "wrong": []})
            of["solved"] = of["solved"] or right
            if not right and (mark := _fingerprint(answer)) not in of["wrong"]:
                of["wrong"].append(mark)
            unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
            unfinished.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            unfinished.replace(path)
            return len(of["wrong"])
    except OSError:
        return 0


def table() -> str:
    """A Markdown table for a notebook in `notebooks/`: each lesson's exercises, how many are solved, and which."""
    from utils.checks import LESSONS, exercises

    kept = read()
    lines = ["| exercises | solved | which |", "|---|---|---|"]
    for lesson in LESSONS:
        marks = {one.id: kept.get(one.id, {"solved": False, "wrong": []}) for one in exercises(lesson)}
        solved = sum(of["solved"] for of in marks.values())
        signs = " ".join(f"{id} {'✓' if of['solved'] else '✗' if of['wrong'] else '·'}" for id, of in marks.items())
        (notebook,) = EXERCISES.glob(f"{lesson}_*.ipynb")
        lines.append(f"| [lesson {lesson}](exercises/{notebook.name}) | {solved} of {len(marks)} | {signs} |")
    return "\n".join([*lines, "", "✓ solved, ✗ tried, · not tried yet"])


def _fingerprint(answer) -> str:
    code = getattr(answer, "__code__", None)
    try:
        text = (
            repr((code.co_code, code.co_names, [getattr(one, "co_code", one) for one in code.co_consts]))
            if code
            else repr(answer)
        )
    except Exception:  # a value that cannot even be shown
        text = type(answer).__name__
    return hashlib.sha256(text[:10_000].encode(errors="replace")).hexdigest()[:12]
