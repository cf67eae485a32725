"""Grading: twelve submissions, honest and not, and the protocol with a process that misbehaves."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.grade import submission
from tools.grade.__main__ import course_files, main, submissions
from tools.grade.submission import Limits, asked, grade, lesson_of, read
from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import exercises
from utils.checks import Verdict

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="grading needs Linux's limits")

NAME = "01_bert_gpt_t5"
LIMITS = Limits()
ALL = [f"01.{number}" for number in range(1, 6)]


def notebook(folder="exercises", name=NAME):
    return nbformat.read(NOTEBOOKS / folder / f"{name}.ipynb", as_version=4)


def solved(only=tuple(ALL), extra=(), behind=()):
    """The blank with the solutions of some exercises; extra cells before the exercises or behind them."""
    blank, full = notebook(), notebook("solutions")
    for cell, other in zip(blank.cells, full.cells, strict=True):
        defined = re.search(r"def (\w+)|^(\w+) = ", other.source)
        name = defined and (defined[1] or defined[2])
        if cell.cell_type == "code" and any(asked(NAME)[id] == name for id in only):
            cell.source = other.source
    blank.cells[2:2] = [new_code_cell(source) for source in extra]
    blank.cells += [new_code_cell(source) for source in behind]
    return blank


def stray():
    """Right answers in a notebook that was edited freely."""
    found = solved()
    found.cells = [cell for cell in found.cells if not cell.source.startswith("check(")]
    for number, cell in enumerate(found.cells):
        cell.id, cell.metadata = f"mine-{number}", {}
    found.metadata = {}
    found.cells[0].source = "My homework"
    found.cells.insert(1, new_code_cell("%matplotlib inline\n1 / 0"))
    found.cells += [new_markdown_cell("# The end"), new_code_cell('# check("01.1", noticing)\nthis is no Python')]
    return found


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
noticing = Equal()
keep_top_p = mask_tokens = lambda *_: Equal()
"""
FORGE = """
import json, os
line = json.dumps({"answers": {"noticing": {"right": True}}, "right": True}) + "\\n"
for number in range(3, 20):
    try:
        os.write(number, line.encode())
    except OSError:
        pass
"""
SUBMISSIONS = {
    "perfect": (solved(), 5),
    "empty": (notebook(), 0),
    "half": (solved(ALL[:2]), 2),
    "endless_loop": (solved(ALL[:3], extra=["while True:\n    pass"]), 3),
    "memory_bomb": (solved(ALL[:4], extra=["hoard = []\nwhile True:\n    hoard.append(bytearray(10**8))"]), 4),
    "ends_itself": (solved(behind=["import os\nos._exit(0)"]), 0),
    "redefines_check": (solved(ALL[:1], extra=[REDEFINE]), 1),
    "prints_right": (solved(ALL[:1], behind=[f"print('{id} ✓ Right.')" for id in ALL]), 1),
    "edits_the_checks": (solved(ALL[:1], extra=[EDIT]), 1),
    "patches_and_forges": (solved(ALL[:1], behind=[PATCH.replace("noticing = Equal()", ""), FORGE]), None),
    "stray_edits": (stray(), 5),
}


def read_csv(out):
    return list(csv.DictReader((out / "grades.csv").read_text(encoding="utf-8-sig").splitlines()))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder, out = tmp_path_factory.mktemp("submissions"), tmp_path_factory.mktemp("report")
    for name, (submitted, _) in SUBMISSIONS.items():
        (folder / name).mkdir()
        nbformat.write(submitted, folder / name / "homework.ipynb")
    (folder / "wrong_file").mkdir()
    (folder / "wrong_file" / "=homework.ipynb").write_text("Dear teacher, <b>the dog</b> ate it.")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "homework.ipynb").write_text("{}")
    before = course_files()
    limits = ["--cell-seconds", "10", "--seconds", "60", "--mib", "1500", "--seed", "7"]
    assert main([str(folder), "--out", str(out), *limits]) == 0
    assert course_files() == before
    rows = read_csv(out)
    return {row["file"].lstrip("'").split("/")[0]: row for row in rows}, (out / "grades.html").read_text("utf-8")


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_submission_gets_its_score(graded, name):
    row, expected = graded[0][name], SUBMISSIONS[name][1]
    assert row["lesson"] == "01"
    assert row["exercises"] == "5"
    if expected is None:  # a forged line makes the process unbelievable: nothing counts, or what is really solved
        assert int(row["solved"]) <= 1
    else:
        assert int(row["solved"]) == expected, row


def test_each_score_says_why(graded):
    rows, page = graded
    assert "TimeUp: took more than 10 s" in rows["endless_loop"]["remarks"]
    assert rows["memory_bomb"]["remarks"].strip() == "cell 2: MemoryError:"  # and none of the cells behind it
    assert rows["ends_itself"]["remarks"] == "its process ended"
    assert rows["half"]["not tried"] == "01.3 01.4 01.5"
    assert "ZeroDivisionError" in rows["stray_edits"]["remarks"]
    assert rows["wrong_file"]["remarks"].startswith("not a notebook that can be read")
    assert rows["wrong_file"]["solved"] == rows["wrong_file"]["exercises"] == "0"
    assert len(rows) == 12  # hidden files are left out
    assert "<b>the dog" not in page
    for name in rows:
        assert f"<td>{name}/" in page


def graded_alone(tmp_path, *cells, **limits):
    path = tmp_path / "homework.ipynb"
    nbformat.write(solved(["01.1"], behind=cells), path)
    return grade(path, "homework.ipynb", Limits(**{"cell_seconds": 10, "seconds": 60, "mib": 1500, **limits}), seed=1)


def test_a_loop_that_swallows_its_interrupt_is_killed(tmp_path):
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    found = graded_alone(tmp_path, stubborn, seconds=15)
    assert found.remarks == ["stopped after 15 s"]
    assert found.score == 0


def test_functions_that_stop_loop_or_exit_are_wrong_and_no_more(tmp_path):
    found = graded_alone(tmp_path, (
        "def next_token_loss(logits, ids):\n    while True:\n        pass\n"
        "def mask_tokens(*_):\n    raise SystemExit\n"
        "def keep_top_p(p, q):\n    return bytearray(10**11)\n"
        "def corrupt(*_):\n    return corrupt"
    ))  # fmt: skip
    assert found.verdicts == {"01.1": True, "01.2": False, "01.3": False, "01.4": False, "01.5": False}
    assert "took more than 10 s" in found.hints["01.2"]
    assert "SystemExit" in found.hints["01.3"]
    assert "MemoryError" in found.hints["01.4"]


def test_a_function_that_ends_the_process_loses_what_comes_after(tmp_path):
    found = graded_alone(tmp_path, "import os\ndef next_token_loss(*_):\n    os._exit(1)")
    assert found.verdicts["01.1"] is True
    assert found.remarks == ["its process ended"]


def test_secrets_of_the_instructor_stay_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    found = graded_alone(tmp_path, "import os\nassert 'SECRET_TOKEN' not in os.environ, 'seen'")
    assert found.remarks == []


def test_a_submission_cannot_take_its_answers_from_the_checks(tmp_path):
    found = graded_alone(tmp_path, "from utils.checks.lesson_01 import moved")
    assert any("ModuleNotFoundError" in remark for remark in found.remarks)


def test_a_flood_of_lines_ends_with_its_process(tmp_path):
    flood = (
        "import os\nfor number in range(3, 20):\n    try:\n        while True:\n            os.write(number, LINE)\n"
    )
    flood = "LINE = b'x' * 10**6 + b'\\n'\n" + flood + "    except OSError:\n        pass"
    found = graded_alone(tmp_path, flood, seconds=12)
    assert found.score == 0
    assert found.remarks == ["its process does not answer as agreed"]


@pytest.mark.parametrize("name", exercises())
def test_the_solutions_of_each_lesson_get_all_points(name):
    found = grade(NOTEBOOKS / "solutions" / f"{name}.ipynb", name, Limits(), seed=11)
    assert set(found.verdicts.values()) == {True}, (found.hints, found.remarks)
    assert found.remarks == []


def test_a_lesson_is_told_by_metadata_checks_or_name():
    blank = notebook()
    assert lesson_of(blank, "x.ipynb") == NAME
    blank.metadata = {}
    assert lesson_of(blank, "x.ipynb") == NAME
    blank.cells = []
    assert lesson_of(blank, "class/01_homework.ipynb") == NAME
    for file in ("x.ipynb", "99_x.ipynb"):
        with pytest.raises(ValueError, match="not an exercise notebook"):
            lesson_of(blank, file)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [("a.pdf", b"%PDF", "can be read"), ("a.ipynb", b"\xff\xfe", "can be read"), ("a.ipynb", b"[]", "read"),
     ("a.ipynb", b"", "can be read"), ("a.zip", b"PK\3\4...", "unpack it first"), ("a.ipynb", b"[" * 10**5, "read"),
     ("a.ipynb", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "read"),
     ("a.ipynb", json.dumps(new_notebook(cells=[new_code_cell("#" * (20 * 2**20 + 1))])).encode(), "MiB without"),
     ("a.ipynb", b"0" * (300 * 2**20 + 1), "too large: 300 MiB")],
)  # fmt: skip
def test_other_files_are_a_line_in_the_report(tmp_path, file, content, words):
    (tmp_path / file).write_bytes(content)
    found = grade(tmp_path / file, file, LIMITS, 0)
    assert found.score == 0
    assert words in found.remarks[0]


def test_no_folder_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("Expected a folder of submissions")


def test_links_hidden_files_and_the_report_are_no_submissions(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    (tmp_path / "b.ipynb").symlink_to(ROOT / "README.md")
    (tmp_path / ".c.ipynb").write_text("{}")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "grades.csv").write_text("")
    assert [path.name for path in submissions(tmp_path, tmp_path / "report")] == ["a.ipynb"]


# --- What editors, browsers and students make of a notebook ------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_a_notebook_is_read_in_every_encoding_of_an_editor(tmp_path, encoding):
    written = notebook()
    written.cells.append(new_code_cell("name = 'Müller – Zürich'"))
    (tmp_path / "homework.ipynb").write_bytes(json.dumps(written, ensure_ascii=False).encode(encoding))
    found = read(tmp_path / "homework.ipynb")
    assert [cell.source for cell in found.cells] == [cell.source for cell in written.cells]


@pytest.mark.parametrize("name", ["homework.ipynb.json", "homework.ipynb.txt", "homework (1).ipynb", "homework"])
def test_a_notebook_is_read_whatever_a_browser_calls_it(tmp_path, name):
    nbformat.write(notebook(), tmp_path / "homework.ipynb")
    (tmp_path / "homework.ipynb").rename(tmp_path / name)
    assert len(read(tmp_path / name).cells) == len(notebook().cells)


def test_printed_outputs_may_be_large(tmp_path):
    written = notebook()
    flood = nbformat.v4.new_output("stream", text="loss 0.69\n" * 3_000_000)
    written.cells.append(new_code_cell("train()", outputs=[flood]))
    nbformat.write(written, tmp_path / "homework.ipynb")
    assert (tmp_path / "homework.ipynb").stat().st_size > 30 * 2**20
    assert read(tmp_path / "homework.ipynb").cells[-1].outputs == []


def test_a_notebook_of_version_3_is_read(tmp_path):
    old = nbformat.v3.nbbase
    sheet = old.new_worksheet(cells=[old.new_code_cell("x = 1", outputs=[old.new_output("pyout", "1")])])
    (tmp_path / "old.ipynb").write_text(json.dumps(old.new_notebook(worksheets=[sheet])))
    assert read(tmp_path / "old.ipynb").cells[0].source == "x = 1"


def test_a_changed_first_cell_and_another_name_count_as_in_the_students_own_notebook(tmp_path):
    homework = solved(["01.1", "01.2"])
    first, *rest = [cell for cell in homework.cells if cell.cell_type == "code"]
    first.source = f"# Homework of M. Müller\n%matplotlib inline\nimport math\n{first.source}\nprint(profile.name)"
    for cell in rest:
        cell.source = cell.source.replace("next_token_loss", "my_loss")
    homework.cells.append(new_code_cell("from utils.checks import check\nassert math.pi > 3"))
    homework.cells.append(new_code_cell('check("01.2", my_loss)\nnext_token_loss = None'))
    nbformat.write(homework, tmp_path / "homework.ipynb")
    found = grade(tmp_path / "homework.ipynb", "homework.ipynb", Limits(), seed=3)
    assert found.remarks == []
    assert found.score == 2


def test_either_of_two_answers_counts():
    class Given:
        ended = ""

    values = {"right": {"value": 3}, "wrong": {"value": 4}, "blank": {"blank": True}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submission, "judge", lambda id, given, seed: Verdict(None if given is None else given == 3, ""))
        for given, right in [("right wrong", True), ("wrong right", True), ("wrong wrong", False),
                             ("blank right", True), ("blank wrong", False), ("blank", None)]:  # fmt: skip
            assert submission._best(Given(), "01.1", [values[one] for one in given.split()], 0).right is right


# --- No grade is lost --------------------------------------------------------------------------------------------

FAKE = """
import sys, time
from pathlib import Path
from tools.grade import __main__ as command
from tools.grade.submission import Grade

def grade(path, file, limits, seed):
    with open(sys.argv[1] + ".graded", "a") as log:
        log.write(file + "\\n")
    time.sleep(0.02)
    if "breaks" in file:
        raise RuntimeError("of grading")
    return Grade(file, "01", {"01.1": True, "01.2": None}, {}, ["x" * 200], 0.02)

command.grade = grade
command.assets.encoder = command.assets.gpt2_tokenizer = lambda: None
command.course_files = lambda: "same"
if len(sys.argv) > 3:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
command.run_program(lambda: command.main([sys.argv[1], "--out", sys.argv[2]]))
"""


@pytest.fixture
def thirty(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    for number in range(28):
        (folder / f"{number:02}.ipynb").write_text(str(number))
    for name in (b"M\xfcller.ipynb", "=1+1 Zürich.ipynb".encode()):
        (folder / os.fsdecode(name)).write_text("")
    return folder


def start(folder, out, *more):
    given = [sys.executable, "-c", FAKE, str(folder), str(out), *map(str, more)]
    return subprocess.Popen(given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def in_the_journal(out):
    lines = (out / "grades.jsonl").read_bytes().splitlines()[1:] if (out / "grades.jsonl").exists() else []
    return [json.loads(line)["grade"]["file"] for line in lines]


def times_graded(folder):
    lines = folder.with_name("submissions.graded").read_text().splitlines()
    return {file: lines.count(file) for file in lines}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_was_graded_before_an_end_is_there_and_the_next_run_grades_the_rest(thirty, tmp_path, end):
    out, moments = tmp_path / "out", random.Random(int(end))
    for _ in range(2):
        process = start(thirty, out)
        begun = len(in_the_journal(out))
        until = time.monotonic() + 60
        while len(in_the_journal(out)) <= begun and time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(end)
        _, said = process.communicate(timeout=60)
        done = in_the_journal(out)
        assert len(done) > begun
        if end != signal.SIGKILL:
            assert process.returncode == 130
            assert f"Interrupted; {len(done)} of 30 are graded, in {out}. The same command grades the others." in said
            assert len(read_csv(out)) == len(done)
    said, _ = start(thirty, out).communicate(timeout=60)
    assert f"{len(done)} of 30 were graded before" in said
    assert len(read_csv(out)) == len(set(in_the_journal(out))) == 30
    again = [file for file, times in times_graded(thirty).items() if times > 1]
    assert len(again) <= 2  # those that were on their way when the run ended


def test_a_full_disk_keeps_what_was_graded(thirty, tmp_path):
    out, full = tmp_path / "out", start(thirty, tmp_path / "out", 6000)
    _, said = full.communicate(timeout=60)
    assert full.returncode == 2
    assert f"Cannot write to {out}: File too large. What is graded is kept: make room there, then" in said
    done = in_the_journal(out)
    assert 5 < len(done) < 30
    start(thirty, out).communicate(timeout=60)
    assert len(read_csv(out)) == 30
    assert max(times_graded(thirty)[file] for file in done) == 1


def test_names_that_are_no_utf_8_are_graded_and_can_be_read(thirty, tmp_path):
    said, _ = start(thirty, tmp_path / "out").communicate(timeout=60)
    files = {row["file"] for row in read_csv(tmp_path / "out")}
    assert {r"M\xfcller.ipynb", "'=1+1 Zürich.ipynb"} <= files
    assert r"M\xfcller.ipynb" in said
    assert (tmp_path / "out" / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_one_submission_that_cannot_be_graded_costs_only_itself(thirty, tmp_path):
    (thirty / "07 breaks.ipynb").write_text("")
    for _ in range(2):
        process = start(thirty, tmp_path / "out")
        process.communicate(timeout=60)
        assert process.returncode == 1
    rows = {row["file"]: row for row in read_csv(tmp_path / "out")}
    assert len(rows) == 31
    assert rows["07 breaks.ipynb"]["remarks"] == "could not be graded: RuntimeError: of grading"
    assert times_graded(thirty)["07 breaks.ipynb"] == 2
    assert times_graded(thirty)["08.ipynb"] == 1


def test_a_table_that_was_edited_is_kept(thirty, tmp_path):
    out = tmp_path / "out"
    start(thirty, out).communicate(timeout=60)
    (out / "grades.csv").write_text("my comments")
    (thirty / "03.ipynb").write_text("handed in again")
    said, _ = start(thirty, out).communicate(timeout=60)
    assert "that one is now grades.kept-1.csv" in said
    assert (out / "grades.kept-1.csv").read_text() == "my comments"
    assert times_graded(thirty)["03.ipynb"] == 2
    assert sum(times_graded(thirty).values()) == 31


def test_grades_of_another_folder_are_kept(thirty, tmp_path):
    out = tmp_path / "out"
    start(thirty, out).communicate(timeout=60)
    other = tmp_path / "next week"
    thirty.rename(other)
    said, _ = start(other, out).communicate(timeout=60)
    assert "it is now grades.kept-1.jsonl" in said
    assert "it is now grades.kept-1.csv" in said
    assert len((out / "grades.kept-1.jsonl").read_bytes().splitlines()) == 31


@pytest.mark.parametrize(
    "option",
    ["--seed=-1", "--seconds=-5", "--seconds=nan", "--seconds=inf", "--cell-seconds=0", "--mib=-1", "--mib=inf"],
)
def test_options_that_make_no_sense_grade_nothing(thirty, tmp_path, option, capsys):
    with pytest.raises(SystemExit):
        main([str(thirty), "--out", str(tmp_path / "out"), option])
    assert "expected" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_changes_no_report(thirty, tmp_path, capsys):
    out = tmp_path / "out"
    start(thirty, out).communicate(timeout=60)
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), "--out", str(out)]) == 2
    assert "There are no submissions in" in capsys.readouterr().err
    assert len(read_csv(out)) == 30


@pytest.mark.parametrize("place", ["a file", "others' files"])
def test_a_report_that_cannot_be_written_is_said_before_anything_is_graded(thirty, tmp_path, place, capsys):
    out = tmp_path / "out"
    if place == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "grades.csv").write_text("mine")
    assert main([str(thirty), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.endswith("Give --out another folder.\n")
    assert len(said.splitlines()) == 1
    assert "mine" in (out if place == "a file" else out / "grades.csv").read_text()
