"""The check command catches each fault that it names: a sound notebook, one fault put in at a time."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

import tools.notebooks.build as build_module
from tools.notebooks.check import (
    BLANK_CHECKS,
    BUDGETS,
    CHECKS,
    DEEPER_CHECKS,
    MARKER,
    SOLUTION_CHECKS,
    check,
    check_all,
)
from tools.notebooks.files import NOTEBOOKS
from tools.notebooks.source import FIELDS, load_checks, read_exercises, read_source

SCRIPT = """\
# ---
# jupyter:
#   course:
#     name: 07_lesson
#     title: A lesson
#     goals: [read it]
#     minutes_cpu: 1
#     minutes_gpu: 1
#     needs: nothing
# ---

# %%
# NBVAL_CHECK_OUTPUT
1 + 1

# %%
# NBVAL_CHECK_OUTPUT
2 + 2

# %%
# NBVAL_CHECK_OUTPUT
3 + 3

# %% [markdown]
# ## To remember
#
# - one
# - two
# - three
"""
ALT = "A line that rises from 1 on the left to 2 on the right."


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source" / "lesson_07" / "lesson.py"
    path.parent.mkdir(parents=True)
    path.write_text(SCRIPT)
    return read_source(path)


@pytest.fixture
def sound(source):
    notebook = copy.deepcopy(source)
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = number
        cell.outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=number)]
    return notebook


def last_code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"][-1]


def test_a_sound_notebook_has_no_fault(sound, source):
    assert check(sound, source) == []


def edit(notebook):
    last_code(notebook).source += " + 1"


def rename(notebook):
    notebook.cells[2].id = "mine"


def not_run(notebook):
    last_code(notebook).execution_count = None


def out_of_order(notebook):
    last_code(notebook).execution_count = 9


def output(kind, *arguments, **values):
    def put(notebook):
        last_code(notebook).outputs.append(new_output(kind, *arguments, **values))

    return put


def picture(**metadata):
    return output("display_data", {"image/png": "iVBORw0KGgo="}, metadata=metadata)


def widget_without_state(notebook):
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}


def long_cell(notebook):
    last_code(notebook).source = "\n".join(f"x{number} = {number}" for number in range(21))


def markdown_picture(notebook):
    notebook.cells.append(new_markdown_cell("![](picture.png)"))


def html_picture(notebook):
    notebook.cells.append(new_markdown_cell('<img src="picture.png">'))


def no_header(notebook):
    notebook.cells[0].source = "# A lesson"


def no_closing(notebook):
    notebook.cells[-1].source = "The end."


def short_closing(notebook):
    notebook.cells[-1].source = "## To remember\n\n- one"


def unmarked(notebook):
    last_code(notebook).metadata.pop("tags")


def trailing_comment(notebook):
    last_code(notebook).source = f"{MARKER} because\n3 + 3"


def nothing_to_compare(notebook):
    last_code(notebook).outputs = []


WIDGET_VIEW = {"application/vnd.jupyter.widget-view+json": {"model_id": "lost"}}


@pytest.mark.parametrize(
    ("put_in", "said"),
    [
        (edit, "differs from its source"),
        (rename, "cell ids are not the generated ones"),
        (not_run, "not run"),
        (out_of_order, "out of order"),
        (output("error", ename="ValueError", evalue="x", traceback=[]), "an error in its output: ValueError"),
        (output("stream", name="stderr", text="FutureWarning: gone soon"), "a warning or log line"),
        (output("stream", text="a\rb"), "remains of a progress bar"),
        (output("stream", text="Map:  42%|████▏     | 21/50"), "remains of a progress bar"),
        (output("stream", text="12/50 [00:03, 3.9it/s]"), "remains of a progress bar"),
        (output("stream", text="saved to /home/ada/course"), "a path of one machine"),
        (output("stream", text="File C:\\Users\\ada"), "a path of one machine"),
        (output("display_data", WIDGET_VIEW), "a widget whose state is not stored"),
        (widget_without_state, "widget metadata without `state`"),
        (long_cell, "21 lines; at most 20"),
        (picture(), "a figure without alt text"),
        (picture(**{"image/png": {"alt": "a plot"}}), "a figure without alt text"),
        (markdown_picture, "a picture without alt text"),
        (html_picture, "a picture without alt text"),
        (no_header, "the header lacks"),
        (no_closing, "three to five points, found 0"),
        (short_closing, "three to five points, found 1"),
        (unmarked, "2 cells with"),
        (trailing_comment, "must be the first line of its cell"),
        (nothing_to_compare, "is to be compared, but it has none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_is_caught(sound, source, put_in, said):
    put_in(sound)
    assert any(said in fault for _, fault in check(sound, source)), check(sound, source)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ((5, 9, 9), "words of text; its budget has 5"), ((99, 2, 9), "3 code cells; its budget has 2"),
        ((99, 9, 2), "3 lines of code; its budget has 2"),
    ],
)  # fmt: skip
def test_a_lesson_beyond_its_budget_is_a_fault(monkeypatch, sound, source, budget, said):
    monkeypatch.setitem(BUDGETS, "07", budget)
    (fault,) = check(sound, source)
    assert said in fault[1]
    monkeypatch.setitem(BUDGETS, "07", (99, 9, 9))
    assert check(sound, source) == []


def test_a_deeper_notebook_compares_a_cell_and_keeps_the_other_rules(sound, source, monkeypatch):
    monkeypatch.setitem(BUDGETS, "07", (1, 1, 1))
    unmarked(sound)
    source.cells[-2].metadata.pop("tags")
    assert [fault for _, fault in check(sound, source, DEEPER_CHECKS) if "cells with" in fault] == []
    assert not any("budget" in fault for _, fault in check(sound, source, DEEPER_CHECKS))
    for cell in sound.cells:
        cell.metadata.pop("tags", None)
    assert any("0 cells with" in fault for _, fault in check(sound, source, DEEPER_CHECKS))
    long_cell(sound)
    assert any("21 lines; at most 20" in fault for _, fault in check(sound, source, DEEPER_CHECKS))


def test_every_check_is_tried_by_some_fault(sound, source, monkeypatch):
    monkeypatch.setitem(BUDGETS, "07", (1, 1, 1))
    faulty = copy.deepcopy(sound)
    for put_in in (edit, rename, not_run, widget_without_state, unmarked, long_cell, no_header, picture()):
        put_in(faulty)
    for kind in ({"name": "stderr", "text": "w"}, {"name": "stdout", "text": "/tmp/x"}):
        output("stream", **kind)(faulty)
    output("error", ename="E", evalue="x", traceback=[])(faulty)
    assert all(list(find(faulty, source)) for find in CHECKS)


def test_a_described_figure_is_no_fault(sound, source):
    picture(**{"image/png": {"alt": ALT}})(sound)
    assert check(sound, source) == []


def test_files_are_checked_against_sources(tmp_path, sound, source):
    folder = tmp_path
    assert check_all(folder) == ["07_lesson.ipynb: not built; run: python -m tools.notebooks build 07_lesson"]
    nbformat.write(sound, folder / "07_lesson.ipynb")
    assert check_all(folder) == []
    (folder / "08_stray.ipynb").write_text("{}")
    (folder / "07_lesson.ipynb").write_text("{")
    faults = check_all(folder)
    assert any("08_stray.ipynb: it has no source" in fault for fault in faults)
    assert any("07_lesson.ipynb: not a valid notebook" in fault for fault in faults)


@pytest.mark.parametrize("field", FIELDS)
def test_a_source_without_a_header_field_is_refused(tmp_path, field):
    path = tmp_path / "lesson.py"
    path.write_text("\n".join(line for line in SCRIPT.splitlines() if f"  {field}:" not in line))
    with pytest.raises(ValueError, match=f"lacks {field}"):
        read_source(path)


def test_ids_change_only_where_the_text_does(tmp_path, source):
    path = tmp_path / "other.py"
    path.write_text(SCRIPT.replace("2 + 2", "2 + 3"))
    before, after = [cell.id for cell in source.cells], [cell.id for cell in read_source(path).cells]
    assert [a == b for a, b in zip(before, after, strict=True)].count(False) == 1
    assert len(set(before)) == len(before)


def test_equal_cells_get_different_ids(tmp_path):
    path = tmp_path / "other.py"
    path.write_text(SCRIPT.replace("2 + 2", "1 + 1"))
    ids = [cell.id for cell in read_source(path).cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(nbformat.v4.new_notebook(cells=[new_code_cell("1", id=ids[-2])]))


EXERCISES = """\
# ---
# jupyter:
#   course:
#     title: Exercises
# ---

# %% [markdown]
# ## 01.1

# %%
answer = None
# Your lines start here.
answer = 1
# Your lines end here.
"""


@pytest.fixture
def exercises(tmp_path):
    """The source's two notebooks, solved and blank, with a check for each exercise of lesson 01."""
    from utils.checks import exercises

    load_checks()
    path = tmp_path / "exercises.py"
    path.with_name("lesson.py").write_text("#     name: 01_lesson\n")
    path.write_text(EXERCISES + "".join(f'\n# %%\ncheck("{one.id}", answer)\n' for one in exercises("01")))
    solved, blank = (read_exercises(path, solved) for solved in (True, False))
    done = copy.deepcopy(solved)
    for number, cell in enumerate((cell for cell in done.cells if cell.cell_type == "code"), 1):
        cell.execution_count = number
        if found := [one for one in exercises("01") if one.id in cell.source]:
            cell.outputs = [new_output("stream", name="stdout", text=f"{found[0].id} ✓ Right. {found[0].why}\n")]
    return solved, blank, done


def test_sound_exercises_have_no_fault(exercises):
    solved, blank, done = exercises
    assert check(done, solved, SOLUTION_CHECKS) == []
    assert check(copy.deepcopy(blank), blank, BLANK_CHECKS) == []


def wrong_answer(notebook):
    last_code(notebook).outputs[0].text = "01.5 ✗ Not yet."


def old_words(notebook):
    last_code(notebook).outputs[0].text = "01.5 ✓ Right. Other words than now."


def no_check(notebook):
    notebook.cells.pop()


def twice(notebook):
    notebook.cells.append(copy.deepcopy(notebook.cells[-1]))


def not_alone(notebook):
    last_code(notebook).source = "x = 1\n" + last_code(notebook).source


@pytest.mark.parametrize(
    ("edit", "words"),
    [(wrong_answer, "its output is not"), (old_words, "its output is not"), (no_check, "expected each exercise once"),
     (twice, "expected each exercise once"), (not_alone, "must stand alone"), (not_run, "not run")],
)  # fmt: skip
def test_each_fault_of_solutions_is_found(exercises, edit, words):
    solved, _, done = exercises
    edit(done)
    assert any(words in fault for _, fault in check(done, solved, SOLUTION_CHECKS))


def test_an_exercise_to_fill_in_comes_without_outputs(exercises):
    _, blank, _ = exercises
    filled = copy.deepcopy(blank)
    last_code(filled).execution_count = 1
    assert any("without outputs" in fault for _, fault in check(filled, blank, BLANK_CHECKS))


def test_where_only_text_changed_the_outputs_are_kept(tmp_path, monkeypatch, sound, source):
    nbformat.write(sound, tmp_path / "07_lesson.ipynb")
    monkeypatch.setattr(build_module, "wanted", lambda name: {tmp_path / f"{name}.ipynb": copy.deepcopy(source)})
    monkeypatch.setattr(build_module, "execute", lambda *_, **__: pytest.fail("executed"))
    source.cells[-1].source += "\n- four"
    assert build_module.build("07_lesson") is None
    built = nbformat.read(tmp_path / "07_lesson.ipynb", as_version=4)
    assert built.cells[-1].source.endswith("- four")
    assert last_code(built).outputs == last_code(sound).outputs
    assert not (tmp_path / "07_lesson.ipynb.unfinished").exists()
    last_code(source).source += " + 1"
    with pytest.raises(pytest.fail.Exception, match="executed"):
        build_module.build("07_lesson")


def test_a_notebook_becomes_a_script_that_is_called_py():
    from nbconvert.exporters import ScriptExporter

    for path in sorted(NOTEBOOKS.rglob("[0-9][0-9]_*.ipynb")):
        _, resources = ScriptExporter().from_filename(str(path))
        assert resources["output_extension"] == ".py", path
