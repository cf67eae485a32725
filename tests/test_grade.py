"""Grading: twelve submissions, honest and not, and the protocol with a process that misbehaves."""

import csv
import re
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.grade.__main__ import course_files, main, submissions
from tools.grade.submission import Limits, asked, grade, lesson_of
from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import exercises

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
    rows = list(csv.DictReader((out / "grades.csv").read_text(encoding="utf-8").splitlines()))
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
    assert rows["memory_bomb"]["remarks"].strip() == "cell 1: MemoryError:"  # and none of the cells behind it
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
    [("a.pdf", b"%PDF", "ends in .ipynb"), ("a.ipynb", b"\xff\xfe", "can be read"), ("a.ipynb", b"[]", "read"),
     ("a.ipynb", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "read"),
     ("a.ipynb", b"0" * (20 * 2**20 + 1), "too large")],
)  # fmt: skip
def test_other_files_are_a_line_in_the_report(tmp_path, file, content, words):
    (tmp_path / file).write_bytes(content)
    found = grade(tmp_path / file, file, LIMITS, 0)
    assert found.score == 0
    assert words in found.remarks[0]


def test_no_folder_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("Expected a folder of submissions")


def test_links_and_hidden_files_are_no_submissions(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    (tmp_path / "b.ipynb").symlink_to(ROOT / "README.md")
    (tmp_path / ".c.ipynb").write_text("{}")
    assert [path.name for path in submissions(tmp_path)] == ["a.ipynb"]
