"""Which exercises a student has solved, in one small file of the student's own."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from filelock import FileLock

from utils.errors import CourseError
from utils.files import cache_folder, chosen_path, make_folder, one_line, set_aside, write_atomically
from utils.notebooks import of_course

SOLVED, TRIED, UNTRIED = "✓", "✗", "–"
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


def note(exercise_id: str, right: bool, answer) -> int:
    """Note an answer; gives the number of different wrong ones so far. Where nothing can be written, a line says so.

    A solved exercise stays solved, whatever is tried afterwards. A file of another form is set aside, not replaced.
    """
    path = progress_file()
    try:
        make_folder(path.parent, REMEDY)
        with one_line(path.parent, REMEDY), FileLock(path.with_name(f"{path.name}.lock"), timeout=5):
            try:
                text = path.read_text(encoding="utf-8-sig")
                attempts = _parsed(text) if text.strip() else {}
            except FileNotFoundError:
                attempts = {}
            except ValueError:
                attempts = {}
                print(f"{path} is no record of progress; it is now {set_aside(path).name}, and a new one begins.")
            attempt = attempts.setdefault(exercise_id, {"solved": False, "wrong": []})
            attempt["solved"] = attempt["solved"] or right
            fingerprint = _fingerprint(answer)
            if not right and fingerprint not in attempt["wrong"]:
                attempt["wrong"].append(fingerprint)
            write_atomically(path, json.dumps(attempts, indent=1, sort_keys=True) + "\n", REMEDY)
            return len(attempt["wrong"])
    except (CourseError, OSError) as error:  # an OSError: another kernel holds the lock
        if str(error) not in _told:
            _told.add(str(error))
            print(f"Your progress is not kept. {error}")
        return 0


def exercises(folder: Path) -> dict[Path, list[str]]:
    """The exercise notebooks in a folder -> the ids of their exercises, in order."""
    ids = {}
    for path, notebook in of_course(folder).items():
        text = "".join(line for cell in notebook["cells"] if cell["cell_type"] == "code" for line in cell["source"])
        ids[path] = re.findall(r'check\("(\d\d\.\d)"', text)
    return ids


def table(folder: Path) -> str:
    """A Markdown table: of each exercise notebook in `folder`, how many exercises are solved, and which.

    Its links are for a notebook that lies beside the folder.
    """
    attempts = read()
    lines = ["| exercises | solved | which |", "|---|---|---|"]
    for path, ids in exercises(folder).items():
        signs = {exercise_id: _sign(attempts.get(exercise_id)) for exercise_id in ids}
        solved = sum(sign == SOLVED for sign in signs.values())
        which = " ".join(f"{exercise_id} {sign}" for exercise_id, sign in signs.items())
        lines.append(f"| [lesson {path.name[:2]}]({folder.name}/{path.name}) | {solved} of {len(ids)} | {which} |")
    return "\n".join([*lines, "", f"{SOLVED} solved, {TRIED} tried, {UNTRIED} not tried yet"])


def _sign(attempt: dict | None) -> str:
    if attempt is None:
        return UNTRIED
    if attempt["solved"]:
        return SOLVED
    return TRIED if attempt["wrong"] else UNTRIED


_told: set[str] = set()


def _parsed(text: str) -> dict[str, dict]:
    """What `read` gives; a ValueError where the text is no record of progress."""
    try:
        return {
            exercise_id: {"solved": bool(attempt["solved"]), "wrong": list(attempt["wrong"])}
            for exercise_id, attempt in json.loads(text).items()
        }
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
