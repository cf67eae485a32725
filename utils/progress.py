"""Which exercises a student has solved, in one small file of the student's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from filelock import FileLock

from utils.errors import CourseError
from utils.files import cache_folder, chosen_path, make_folder, one_line, set_aside, write_atomically
from utils.notebooks import of_course

EXERCISES = Path(__file__).parent.parent / "notebooks" / "exercises"
PROGRESS_VARIABLE = "COURSE_PROGRESS"
REMEDY = f"Set {PROGRESS_VARIABLE} to a file in a folder that you can write to."


def progress_file() -> Path:
    """progress.json in the course's cache, or the file that COURSE_PROGRESS names."""
    return (chosen_path(PROGRESS_VARIABLE) or cache_folder() / "progress.json").resolve()


def read() -> dict[str, dict]:
    """Id of each exercise that was tried -> {"solved": bool, "wrong": fingerprints of the different wrong answers}."""
    try:
        return _parsed(progress_file().read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}  # nothing tried yet, or not a file of ours


def note(id: str, right: bool, answer) -> int:
    """Note an answer; gives the number of different wrong ones so far. Where nothing can be written, a line says so.

    A solved exercise stays solved, whatever is tried afterwards. A file of another form is set aside, not replaced.
    """
    path = progress_file()
    try:
        make_folder(path.parent, REMEDY)
        with one_line(path.parent, REMEDY), FileLock(path.with_name(f"{path.name}.lock"), timeout=5):
            try:
                text = path.read_text(encoding="utf-8-sig")
                kept = _parsed(text) if text.strip() else {}
            except FileNotFoundError:
                kept = {}
            except ValueError:
                kept = {}
                print(f"{path} is no record of progress; it is now {set_aside(path).name}, and a new one begins.")
            of = kept.setdefault(id, {"solved": False, "wrong": []})
            of["solved"] = of["solved"] or right
            if not right and (mark := _fingerprint(answer)) not in of["wrong"]:
                of["wrong"].append(mark)
            write_atomically(path, json.dumps(kept, indent=1, sort_keys=True) + "\n", REMEDY)
            return len(of["wrong"])
    except (CourseError, OSError) as error:  # an OSError: another kernel holds the lock
        if str(error) not in _told:
            _told.add(str(error))
            print(f"Your progress is not kept. {error}")
        return 0


def table() -> str:
    """A Markdown table for a notebook in `notebooks/`: each lesson's exercises, how many are solved, and which."""
    from utils.checks import LESSONS, exercises

    kept, notebooks = read(), of_course(EXERCISES)
    lines = ["| exercises | solved | which |", "|---|---|---|"]
    for lesson in LESSONS:
        marks = {one.id: kept.get(one.id, {"solved": False, "wrong": []}) for one in exercises(lesson)}
        solved = sum(of["solved"] for of in marks.values())
        signs = " ".join(f"{id} {'✓' if of['solved'] else '✗' if of['wrong'] else '·'}" for id, of in marks.items())
        name = next((f"[lesson {lesson}](exercises/{one.name})" for one in notebooks if one.name[:2] == lesson), lesson)
        lines.append(f"| {name} | {solved} of {len(marks)} | {signs} |")
    return "\n".join([*lines, "", "✓ solved, ✗ tried, · not tried yet"])


_told: set[str] = set()


def _parsed(text: str) -> dict[str, dict]:
    """What `read` gives; a ValueError where the text is no record of progress."""
    try:
        return {id: {"solved": bool(of["solved"]), "wrong": list(of["wrong"])} for id, of in json.loads(text).items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("no record of progress") from error


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
