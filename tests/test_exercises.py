"""Each check, tried with the solution, with typical wrong answers, and with nonsense; and the exercise notebooks."""

import contextlib
import importlib
import io
import json
import shutil

import nbformat
import pytest
import torch

from tests.wrong_answers import lesson_05
from tools.notebooks.files import NOTEBOOKS
from tools.notebooks.source import CHECK, END, START, exercises, load_checks, read_exercises, without_solution
from utils import progress
from utils.checks import check, judge
from utils.checks import exercises as registered
from utils.checks.answers import Function
from utils.errors import CourseError

load_checks()
LESSONS = [name[:2] for name in exercises()]
WRONG = [one for lesson in LESSONS for one in importlib.import_module(f"tests.wrong_answers.lesson_{lesson}").WRONG]
EXERCISES = NOTEBOOKS / "exercises"
IDS = [one.id for one in registered()]


@pytest.fixture(autouse=True)
def own_progress(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.json"))


def executed(folder: str, name: str) -> tuple[dict, list]:
    """Run the cells of a committed notebook in this process; what they define, and (cell, what it printed) in order."""
    notebook = nbformat.read(NOTEBOOKS / folder / f"{name}.ipynb", as_version=4)
    scope, printed = {"__name__": "__main__"}, []
    with contextlib.chdir(NOTEBOOKS / folder):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    exec(cell.source, scope)
                printed.append((cell, output.getvalue()))
    return scope, printed


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Each committed solution notebook, run once: name -> what `executed` gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROGRESS", str(tmp_path_factory.mktemp("progress") / "progress.json"))
        return {name: executed("solutions", name) for name in exercises()}


@pytest.fixture(scope="module")
def solutions(solved):
    """Exercise id -> what the committed solution notebook hands in."""
    answers = {}
    for scope, printed in solved.values():
        for cell, _ in printed:
            if match := CHECK.match(cell.source):
                answers[match[1]] = scope[match[2]]
    return answers


@pytest.mark.parametrize("name", exercises())
def test_a_solution_is_found_right_as_the_committed_notebook_shows(solved, name):
    compared = 0
    for cell, printed in solved[name][1]:
        if CHECK.match(cell.source):
            (output,) = cell.outputs
            assert printed == output.text
            assert "✓ Right." in printed
            compared += 1
    assert compared == len(registered(name[:2]))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_on_any_data(solutions, id, seed):
    verdict = judge(id, solutions[id], seed)
    assert verdict.right, verdict.message


@pytest.mark.parametrize(("id", "answer", "words"), WRONG, ids=[f"{id}-{words}" for id, _, words in WRONG])
def test_a_typical_wrong_answer_gets_its_hint(id, answer, words):
    for seed in (0, 1):
        torch.manual_seed(seed)
        verdict = judge(id, answer, seed)
        assert verdict.right is False
        assert words in verdict.message
        assert len(verdict.message) < 300


@pytest.mark.parametrize("layers", [3, 6, 12])
def test_groups_are_judged_for_a_model_of_any_depth(layers):
    """Under `full` the model of 05.6 is another than here."""
    assert judge("05.6", lesson_05.options(layers=layers)).right
    missed = judge("05.6", lesson_05.options(layers=layers, drop=f".layer.{layers - 1}."))
    assert missed.message.startswith("16 tensors are in no group")


def test_each_exercise_has_at_least_three_typical_wrong_answers():
    for id in IDS:
        assert len({words for other, _, words in WRONG if other == id}) >= 3, id
    assert len(WRONG) >= 66
    assert len(IDS) >= 22


def stops(*arguments):
    raise RuntimeError("a page\nof text")


NONSENSE = [
    True, -1, 10**400, 0.5, float("nan"), float("inf"), 1j, "", "text", b"bytes", [], [None], [[1, 2], [3]], (), {},
    {1: 2}, {"a": object()}, set(), object(), object, int, max, len, iter([]), torch.zeros(0),
    torch.full((2, 2), float("nan")), torch.zeros(3, 3, dtype=torch.complex64), stops, lambda: 0, lambda *_: None,
    lambda *_: 0, lambda *_: -1.5, lambda *_: "text", lambda *_: [], lambda *_: ([], []), lambda *_: [[]],
    lambda *_: {}, lambda *_: torch.zeros(0), lambda *_: torch.full((3,), float("nan")), lambda *_: object(),
    lambda *_: (torch.zeros(1), torch.zeros(1)), lambda *_: True, lambda *given: given, lambda *given: given[0],
    lambda *_: exit(), lambda *_: [[[[[[[[[[[[1]]]]]]]]]]]],
]  # fmt: skip


@pytest.mark.parametrize("id", IDS)
def test_nonsense_gets_a_hint_and_no_traceback(id, capsys):
    for answer in NONSENSE:
        verdict = judge(id, answer)
        assert verdict.right in (False, None), answer
        assert verdict.message
        assert "\n" not in verdict.message
        check(id, answer)
        assert capsys.readouterr().out.startswith(id)


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("answer", [None, ..., lambda *_: None])
def test_a_blank_says_not_tried_yet(id, answer, capsys):
    check(id, answer)
    assert "not tried yet" in capsys.readouterr().out
    assert progress.read() == {}


def test_an_unknown_exercise_is_one_line():
    for id in ("99.1", "1.1", "01.99", "", None, "text"):
        with pytest.raises(CourseError, match="There is no exercise"):
            check(id, 1)


def test_three_different_wrong_tries_unlock_the_stronger_hint(capsys):
    wrong = [answer for id, answer, _ in WRONG if id == "01.1"]
    for answer in (wrong[0], wrong[0], wrong[0], wrong[1]):
        check("01.1", answer)
    assert "stronger" not in capsys.readouterr().out
    check("01.1", wrong[2])
    assert "A stronger hint: " in capsys.readouterr().out
    assert progress.read()["01.1"]["solved"] is False


def test_progress_is_kept_counted_and_never_lost_to_a_later_try(solutions, capsys):
    assert f"| [lesson 01](exercises/01_bert_gpt_t5.ipynb) | 0 of {len(registered('01'))} |" in progress.table(
        EXERCISES
    )
    check("01.1", solutions["01.1"])
    check("01.1", {"BERT": [1]})
    assert f") | 1 of {len(registered('01'))} | 01.1 ✓ 01.2 –" in progress.table(EXERCISES)
    check("01.2", stops)
    assert "01.2 ✗" in progress.table(EXERCISES)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"01.1": 3}', '{"01.1": {"solved": true}}', "null"])
def test_a_damaged_file_of_progress_is_no_error(text, tmp_path, capsys):
    (tmp_path / "progress.json").write_text(text)
    assert progress.read() == {}
    check("01.1", {"BERT": [1]})
    assert list(json.loads((tmp_path / "progress.json").read_text())) == ["01.1"]
    if text:
        assert "it is now progress.kept-1.json" in capsys.readouterr().out
        assert (tmp_path / "progress.kept-1.json").read_text() == text


def test_a_place_that_cannot_be_written_is_no_error(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    for _ in range(2):
        check("01.1", {"BERT": [1]})
    said = capsys.readouterr().out
    assert said.count("Not yet") == 2
    assert said.count("Your progress is not kept. Cannot write to") == 1
    assert "Set COURSE_PROGRESS to a file in a folder that you can write to." in said


def test_a_students_own_notebooks_beside_the_exercises_change_nothing(tmp_path, capsys):
    before = progress.table(EXERCISES)
    shutil.copytree(EXERCISES, tmp_path / "exercises")
    for name, text in (("01_mine.ipynb", "{}"), ("Untitled.ipynb", ""), ("02_conflict.ipynb", "<<<<<<< HEAD\n{}")):
        (tmp_path / "exercises" / name).write_text(text)
    copy = tmp_path / "exercises" / "01_bert_gpt_t5.ipynb"
    shutil.copy(copy, copy.with_name("01_bert_gpt_t5-Copy1.ipynb"))
    assert progress.table(tmp_path / "exercises") == before
    said = capsys.readouterr().out
    for name in ("01_mine.ipynb", "Untitled.ipynb", "02_conflict.ipynb"):
        assert f"{name} is not a notebook that can be read; it is left out." in said
    (tmp_path / "exercises" / "03_the_tokenizer_must_match.ipynb").write_text("")
    assert "03.1" not in progress.table(tmp_path / "exercises")


def test_the_functions_copy_what_they_are_given():
    given = [1, 2, 3]
    Function(lambda one: one.append(4) or one)(given)
    assert given == [1, 2, 3]


@pytest.mark.parametrize("name", exercises())
def test_a_blank_is_its_solution_without_the_marked_lines(name):
    blank, solution = (
        nbformat.read(NOTEBOOKS / folder / f"{name}.ipynb", as_version=4).cells for folder in ("exercises", "solutions")
    )
    assert len(blank) == len(solution)
    marked = 0
    for empty, full in zip(blank[1:], solution[1:], strict=True):  # the headers differ
        lines, inside, kept = full.source.splitlines(), False, []
        for line in lines:
            inside = inside and line.strip() != END
            if not inside:
                kept.append(line)
            marked += inside
            inside = inside or line.strip() == START
        assert empty.source.splitlines() == kept
    assert marked >= len(registered(name[:2]))


@pytest.mark.parametrize("name", exercises())
def test_a_blank_runs_and_says_not_tried_yet(name):
    for cell, printed in executed("exercises", name)[1]:
        if CHECK.match(cell.source):
            assert "not tried yet" in printed or "Not yet" in printed, cell.source


MARKED = f"a = 1\n{START}\nb = 2\n{END}\nc = 3"


def test_marks_must_come_in_pairs():
    assert without_solution(MARKED) == f"a = 1\n{START}\n{END}\nc = 3"
    lines = MARKED.splitlines()
    for faulty in ([*lines[:1], *lines[2:]], lines[:3], [*lines[:2], *lines[3:]], [START, *lines], [*lines, END]):
        with pytest.raises(ValueError, match="start here"):
            without_solution("\n".join(faulty))


def test_what_is_left_must_be_python(tmp_path):
    path = tmp_path / "exercises.py"
    path.with_name("lesson.py").write_text("#     name: 01_x\n")
    path.write_text(
        f"# ---\n# jupyter:\n#   course:\n#     title: x\n# ---\n\n# %%\nif True:\n    {START}\n    1\n    {END}\n"
    )
    for solved in (True, False):
        with pytest.raises(ValueError, match=r"exercises\.py: without the student's lines this is no Python"):
            read_exercises(path, solved)
