"""Grading: submissions, honest and not; files of every kind; and grades that an end of the grading must not cost."""

import csv
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.grade import __main__ as command
from tools.grade import submission
from tools.grade.report import as_page
from tools.grade.submission import course, grade, read, ungraded
from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import exercises, load_checks
from utils import progress
from utils.checks import judge
from utils.errors import CourseError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="grading needs Linux's limits")

NAME = "01_bert_gpt_t5"
ALL = [f"01.{number}" for number in range(1, 6)]
TASKS = {path.name[:2]: len(ids) for path, ids in progress.exercises(NOTEBOOKS / "exercises").items()}
LIMITS = {"cell_seconds": 30, "seconds": 300, "mib": 4096}


def notebook(folder="exercises", name=NAME):
    return nbformat.read(NOTEBOOKS / folder / f"{name}.ipynb", as_version=4)


def solved(only=ALL, extra=(), behind=()):
    """The blank with the solutions of some exercises; extra cells before the exercises or behind them."""
    blank, full = notebook(), notebook("solutions")
    for cell, other in zip(blank.cells, full.cells, strict=True):
        defined = re.search(r"def (\w+)|^(\w+) = ", other.source)
        name = defined and (defined[1] or defined[2])
        if cell.cell_type == "code" and any(course()["01"][1][exercise] == name for exercise in only):
            cell.source = other.source
        if "from_pretrained" in cell.source:  # slow, and no exercise
            cell.source = "import torch"
    blank.cells[2:2] = [new_code_cell(source) for source in extra]
    blank.cells += [new_code_cell(source) for source in behind]
    return blank


def stray():
    """Right answers in a notebook that was edited freely."""
    edited = solved()
    edited.cells = [cell for cell in edited.cells if not cell.source.startswith("check(")]
    edited.metadata = {}
    edited.cells[0].source = "My homework"
    edited.cells.insert(1, new_code_cell("%matplotlib inline\n!exit 1\n1 / 0"))
    edited.cells += [new_markdown_cell("# The end"), new_code_cell('# check("01.1", noticing)\nthis is no Python')]
    return edited


def renamed(behind):
    """A first cell with lines of the student's, an answer under another name, which the check gets, and more cells."""
    edited = solved(["01.1", "01.2"])
    first, *rest = [cell for cell in edited.cells if cell.cell_type == "code"]
    first.source = f"# Homework of M. Müller\n%matplotlib inline\nimport math\n{first.source}\nprint(profile.name)"
    for cell in rest:
        cell.source = cell.source.replace("next_token_loss", "my_loss")
    edited.cells.append(new_code_cell("from utils.checks import check\nassert math.pi > 3"))
    edited.cells.append(new_code_cell('%time check("01.2", my_loss)\nnext_token_loss = None'))
    edited.cells += map(new_code_cell, behind)
    return edited


def all_solutions():
    """The solutions of all lessons in one notebook: one process, and each check must find its own lesson."""
    together, *others = [notebook("solutions", name) for name in exercises()]
    for other in others:
        together.cells += other.cells[2:]  # header and first cell
    return together


LOOP = "while True:\n    pass"
STUBBORN = "import time\nwhile True:\n    try:\n        time.sleep(99)\n    except BaseException:\n        pass"
BOMB = "hoard = []\nwhile True:\n    hoard.append(bytearray(10**8))"
REDEFINE = (
    "def check(*_):\n    print('01.1 ✓ Right.')\nimport utils.checks as checks\nchecks.check = checks.judge = check"
)
EDIT = """
from pathlib import Path
import utils.checks
for path in Path(utils.checks.__file__).parent.glob("*.py"):
    path.write_text("def check(*_): print('Right')\\ndef exercises(*_): return []\\njudge = check")
"""
PATCH = """
import numpy, torch, utils.checks.answers as answers
answers.require = lambda *_: None
numpy.allclose = torch.equal = numpy.array_equal = lambda *_, **__: True
class Equal:
    def __eq__(self, other): return True
    def __hash__(self): return 0
keep_top_p = mask_tokens = lambda *_: Equal()
"""
FORGE = """
import itertools, json, os
places = [list(row) for length in range(7) for row in itertools.combinations(range(6), length)]
for other in places[:20]:
    check("01.1", {"BERT": [0, 1, 2, 3, 4, 5], "GPT": [3, 4, 5], "T5 encoder": [0, 1, 2, 3, 4, 5]})
    check("01.1", {"BERT": other, "GPT": other, "T5 encoder": other})
line = json.dumps({"exercise": "01.2", "verdicts": {"01.2": True}, "right": True}) + "\\n"
for number in range(3, 20):
    try:
        os.write(number, line.encode())
    except OSError:
        pass
"""
FLOOD = """
import os
for number in range(3, 20):
    try:
        while True:
            os.write(number, b'x' * 10**6 + b'\\n')
    except OSError:
        pass
"""
BAD_FUNCTIONS = """
def next_token_loss(logits, ids):
    while True:
        pass
def mask_tokens(*_):
    raise SystemExit
def keep_top_p(p, q):
    return bytearray(10**11)
def corrupt(*_):
    return corrupt
"""
CURIOUS = """
import os, pathlib, subprocess, utils.checks
assert 'SECRET_TOKEN' not in os.environ, 'a secret'
assert not utils.checks.exercises(), 'the checks'
sources = [path.read_text() for path in pathlib.Path('../..').rglob('*.py')]
assert sources and 'positions_that_notice' not in ''.join(sources), 'the text of the checks'
subprocess.Popen(['sleep', '4321'])
"""
FOR_THE_SHELL = "%pip install nothing\n!touch ../../SHELL\nimport os\nassert not os.path.exists('../../SHELL')"
CHECK_ALL = "".join(f'check("{exercise}", {name})\n' for exercise, name in course()["01"][1].items())
PRINTS = [f"print('{exercise} ✓ Right.')" for exercise in ALL]
# Name -> the notebook, its score, its remarks
SUBMISSIONS = {
    "out of time": (solved(ALL[:3], behind=[STUBBORN]), 3, ["stopped after 40 s"]),
    "loop and bomb": (solved(ALL[:4], extra=[LOOP, BOMB]), 4,
                      ["cell 2: TimeUp: took more than 6 s", "cell 3: MemoryError: "]),
    "cheats": (solved(ALL[:1], [EDIT, REDEFINE], [PATCH, *PRINTS]), 1, []),
    "forges": (solved([], behind=[FORGE]), 0, None),
    "floods": (solved(ALL[:1], behind=[FLOOD]), 1, None),
    "stray": (stray(), 5, ["cell 1: ZeroDivisionError: division by zero",
                           "cell 10: SyntaxError: invalid syntax (cell, line 2)"]),
    "renamed": (renamed([CURIOUS, FOR_THE_SHELL]), 2, []),
    "all solutions": (all_solutions(), sum(TASKS.values()), []),
    "bad functions": (solved(ALL[:1], behind=[BAD_FUNCTIONS + CHECK_ALL]), 1, []),
    "ends": (solved(ALL[:3], behind=['import os\ncheck("01.4", lambda *_: os._exit(1))']), 3, ["its process ended"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grades by name. Two submissions run at once, one is judged."""
    load_checks()
    folder, jobs, lock = tmp_path_factory.mktemp("submissions"), {}, threading.Lock()
    for name, (submitted, *_) in SUBMISSIONS.items():
        nbformat.write(submitted, folder / f"{name}.ipynb")
        seconds = 40 if name == "out of time" else 300
        limits = LIMITS if name == "all solutions" else {"cell_seconds": 6, "seconds": seconds, "mib": 1500}
        jobs[name] = folder / f"{name}.ipynb", name, limits, 7

    def judge_alone(*arguments):
        with lock:
            return judge(*arguments)

    before = command.course_files()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(submission, "judge", judge_alone)
        patch.setenv("SECRET_TOKEN", "abc")
        grades = dict(zip(jobs, pool.map(lambda job: grade(*job), jobs.values()), strict=True))
    assert command.course_files() == before
    return grades


def score(grade):
    return list(grade["verdicts"].values()).count(True)


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_submission_gets_its_score_and_a_line_says_why(graded, name):
    _, expected, remarks = SUBMISSIONS[name]
    assert score(graded[name]) == expected, graded[name]
    if remarks is not None:
        assert graded[name]["remarks"] == remarks
    lessons = [lesson[:2] for lesson in exercises()] if name == "all solutions" else ["01"]
    assert graded[name]["lesson"] == " ".join(lessons)
    assert len(graded[name]["verdicts"]) == sum(TASKS[lesson] for lesson in lessons)


def test_functions_that_stop_loop_or_exit_are_wrong_and_say_why(graded):
    hints = graded["bad functions"]["hints"]
    assert graded["bad functions"]["verdicts"] == dict(zip(ALL, [True, False, False, False, False], strict=True))
    for exercise, words in {"01.2": "took more than 6 s", "01.3": "SystemExit", "01.4": "MemoryError"}.items():
        assert words in hints[exercise]


def test_nothing_that_a_submission_started_goes_on(graded):
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "4321"]]


def test_a_lesson_is_told_by_checks_metadata_or_name(tmp_path):
    def lessons(name, **changes):
        path = tmp_path / name
        path.write_text(json.dumps(dict(notebook(), **changes)))
        return read(path)[1]

    assert lessons("x.ipynb", metadata={}) == lessons("x.ipynb", cells=[]) == ["01"]
    assert lessons("01_homework.ipynb", metadata={}, cells=[]) == ["01"]
    for name in ("x.ipynb", "99_x.ipynb"):
        with pytest.raises(ValueError, match="not an exercise notebook"):
            lessons(name, metadata={}, cells=[])


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [("a.pdf", b"%PDF", "can be read"), ("a.ipynb", b"\xff\xfe", "can be read"), ("a.ipynb", b"[]", "can be read"),
     ("a.ipynb", b"", "can be read"), ("a.zip", b"PK\3\4...", "unpack it first"), ("a.ipynb", b"[" * 10**5, "read"),
     ("a.ipynb", b'{"metadata": {}, "cells": [{}]}', "can be read"),
     ("a.ipynb", b"0" * (300 * 2**20 + 1), "too large: 300 MiB")],
)  # fmt: skip
def test_other_files_are_a_line_in_the_report(tmp_path, file, content, words):
    (tmp_path / file).write_bytes(content)
    result = grade(tmp_path / file, file, LIMITS, 0)
    assert score(result) == 0
    assert words in result["remarks"][0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_a_notebook_is_read_in_every_encoding_and_under_every_name(tmp_path, encoding):
    written = notebook()
    written.cells = [new_code_cell("name = 'Müller – Zürich'", outputs=[nbformat.v4.new_output("stream", text="x")])]
    (tmp_path / "homework (1).ipynb.txt").write_bytes(json.dumps(written, ensure_ascii=False).encode(encoding))
    assert read(tmp_path / "homework (1).ipynb.txt")[0] == ["name = 'Müller – Zürich'"]


# --- No grade is lost: the command, with a stand-in for what runs a submission -----------------------------------

FAKE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by all that a shell runs in the background
from tests.test_grade import command, graded_by
command.grade = graded_by(sys.argv[1], stuck_at=None if len(sys.argv) > 3 else 6)
command.load_checks = command.assets.small_encoder = command.assets.gpt2_tokenizer = lambda: None
if len(sys.argv) > 3:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
command.run_program(lambda: command.main([sys.argv[1], "--out", sys.argv[2]]))
"""


def graded_by(folder, stuck_at=None):
    """A stand-in for `grade`; it may be stuck at a submission, so that whoever ends it surely finds it at work."""
    graded = itertools.count(1)

    def stand_in(path, file, limits, seed):
        with open(f"{folder}.graded", "a") as log:
            log.write(file + "\n")
        if next(graded) == stuck_at:
            time.sleep(120)
        if "breaks" in file:
            raise RuntimeError("of grading")
        return ungraded(file, "x" * 200) | {"lesson": "01", "verdicts": {"01.1": True, "01.2": None}}

    return stand_in


@pytest.fixture
def thirty(tmp_path, monkeypatch):
    """A folder of thirty files; `command.main` is as in `FAKE`."""
    folder = tmp_path / "submissions"
    folder.mkdir()
    for number in range(28):
        (folder / f"{number:02}.ipynb").write_text(str(number))
    for name in (b"M\xfcller.ipynb", "=1+1 Zürich.ipynb".encode()):
        (folder / os.fsdecode(name)).write_text("")
    for name in ("load_checks", "stop_when_told"):
        monkeypatch.setattr(command, name, lambda: None)
    monkeypatch.setattr(command, "grade", graded_by(folder))
    return folder


def start(folder, out, *more):
    given = [sys.executable, "-c", FAKE, str(folder), str(out), *map(str, more)]
    return subprocess.Popen(given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder, out, *more):
    return command.main([str(folder), "--out", str(out), *more])


def read_csv(out):
    return list(csv.DictReader((out / "grades.csv").read_text(encoding="utf-8-sig").splitlines()))


def in_the_journal(out):
    return [grade["file"] for grade in command.read(out / "grades.jsonl")[1].values()]


def times_graded(folder):
    lines = folder.with_name("submissions.graded").read_text().splitlines()
    return {file: lines.count(file) for file in lines}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_was_graded_before_an_end_is_there_and_the_next_run_grades_the_rest(thirty, tmp_path, end, capsys):
    out, process = tmp_path / "out", start(thirty, tmp_path / "out")
    while len(in_the_journal(out)) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(end)
    _, said = process.communicate(timeout=60)
    done = in_the_journal(out)
    assert 3 <= len(done) < 30
    if end != signal.SIGKILL:
        assert process.returncode == 130
        assert f"Interrupted; {len(done)} of 30 are graded, in {out}. The same command grades the others" in said
        assert len(read_csv(out)) == len(done)
    assert run(thirty, out) == 0
    assert f"{len(done)} of 30 were graded before" in capsys.readouterr().out
    assert len(read_csv(out)) == len(set(in_the_journal(out))) == 30
    assert sum(times_graded(thirty).values()) <= 31  # the one that was on its way when the run ended


def test_a_full_disk_keeps_what_was_graded(thirty, tmp_path):
    out, full = tmp_path / "out", start(thirty, tmp_path / "out", 5000)
    _, said = full.communicate(timeout=60)
    assert full.returncode == 2
    assert f"Cannot write to {out}: File too large. What is graded is kept: make room there, then" in said
    done = in_the_journal(out)
    assert 5 < len(done) < 30
    assert run(thirty, out) == 0
    assert len(read_csv(out)) == 30
    assert max(times_graded(thirty)[file] for file in done) == 1


def test_names_that_are_no_utf_8_or_a_formula_are_graded_and_can_be_read(thirty, tmp_path, capsys):
    run(thirty, tmp_path / "out")
    files = {row["file"] for row in read_csv(tmp_path / "out")}
    assert {r"M\xfcller.ipynb", "'=1+1 Zürich.ipynb"} <= files
    assert r"M\xfcller.ipynb" in capsys.readouterr().out
    assert (tmp_path / "out" / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_page_shows_what_was_said_and_runs_nothing(graded):
    page = as_page([graded["bad functions"], ungraded("<b>the dog</b>", "ate it")], 7).decode()
    assert "took more than 6 s" in page
    assert "ate it" in page
    assert "<b>the dog" not in page


def test_one_submission_that_cannot_be_graded_costs_only_itself(thirty, tmp_path):
    (thirty / "07 breaks.ipynb").write_text("")
    assert run(thirty, tmp_path / "out") == run(thirty, tmp_path / "out") == 1
    rows = {row["file"]: row for row in read_csv(tmp_path / "out")}
    assert len(rows) == 31
    assert rows["07 breaks.ipynb"]["remarks"] == "could not be graded: RuntimeError: of grading"
    assert times_graded(thirty)["07 breaks.ipynb"] == 2
    assert times_graded(thirty)["08.ipynb"] == 1


def test_a_table_that_was_edited_is_kept(thirty, tmp_path, capsys):
    out = tmp_path / "out"
    run(thirty, out)
    (out / "grades.csv").write_text("my comments")
    (thirty / "03.ipynb").write_text("handed in again")
    run(thirty, out)
    assert "that one is now grades.kept-1.csv" in capsys.readouterr().out
    assert (out / "grades.kept-1.csv").read_text() == "my comments"
    assert times_graded(thirty)["03.ipynb"] == 2
    assert sum(times_graded(thirty).values()) == 31


@pytest.mark.parametrize("why", ["another folder", "--again"])
def test_grades_of_another_folder_and_of_before_are_kept(thirty, tmp_path, why):
    out, folder, more = tmp_path / "out", thirty, ["--again"] if why == "--again" else []
    run(folder, out)
    if why == "another folder":
        folder = thirty.rename(tmp_path / "next week")
    run(folder, out, *more)
    assert set(times_graded(thirty).values()) == {2}
    assert len((out / "grades.kept-1.jsonl").read_bytes().splitlines()) == 31
    assert (out / "grades.kept-1.csv").exists()
    assert len(in_the_journal(out)) == 30


def test_a_change_of_the_course_ends_the_grading(thirty, tmp_path, monkeypatch):
    prints = iter(["before", "before", "after"])
    monkeypatch.setattr(command, "course_files", lambda: next(prints))
    with pytest.raises(CourseError, match=r"The course changed while 01\.ipynb was graded"):
        run(thirty, tmp_path / "out")
    assert in_the_journal(tmp_path / "out") == ["00.ipynb"]


def test_the_command_runs_a_submission(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "stop_when_told", lambda: None)
    (tmp_path / "in").mkdir()
    nbformat.write(solved(ALL[:2]), tmp_path / "in" / "half.ipynb")
    (tmp_path / "in" / "note.txt").write_text("Dear teacher")
    assert run(tmp_path / "in", tmp_path / "out", "--seed=7") == 0
    half, note = read_csv(tmp_path / "out")
    assert (half["right"], half["not tried"], half["remarks"]) == ("01.1 01.2", "01.3 01.4 01.5", "")
    assert (note["solved"], note["remarks"]) == ("0", "not a notebook that can be read (JSONDecodeError)")
    assert "half.ipynb" in capsys.readouterr().out


def test_a_single_file_is_graded_and_links_hidden_files_and_the_report_are_not(thirty, tmp_path):
    assert run(thirty / "03.ipynb", tmp_path / "out") == 0
    assert [row["file"] for row in read_csv(tmp_path / "out")] == ["03.ipynb"]
    (thirty / "b.ipynb").symlink_to(ROOT / "README.md")
    (thirty / ".ipynb_checkpoints").mkdir()
    (thirty / ".ipynb_checkpoints" / "c.ipynb").write_text("{}")
    run(thirty, thirty / "report")
    assert len(command.submissions(thirty, thirty / "report")) == 30


@pytest.mark.parametrize(
    "option",
    ["--seed=-1", "--seconds=-5", "--seconds=nan", "--seconds=inf", "--cell-seconds=0", "--mib=-1", "--mib=inf"],
)
def test_options_that_make_no_sense_grade_nothing(thirty, tmp_path, option, capsys):
    with pytest.raises(SystemExit):
        run(thirty, tmp_path / "out", option)
    assert "expected" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["empty", "nowhere"])
def test_a_folder_without_submissions_changes_no_report(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match=r"Expected a folder of submissions, got .*; nothing was graded"):
        run(tmp_path / folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["a file", "others' files"])
def test_a_report_that_cannot_be_written_is_said_before_anything_is_graded(thirty, tmp_path, place):
    out = tmp_path / "out"
    if place == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "grades.csv").write_text("mine")
    with pytest.raises(CourseError, match="Give --out another folder"):
        run(thirty, out)
    assert "mine" in (out if place == "a file" else out / "grades.csv").read_text()
    assert not thirty.with_name("submissions.graded").exists()
