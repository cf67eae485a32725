"""Executing notebooks: what an instructor sees when all goes well, and when something fails."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.notebooks import __main__ as command
from tools.notebooks import build
from tools.notebooks.execute import execute
from tools.notebooks.files import NOTEBOOKS, SOURCES, write_atomically
from tools.notebooks.source import lessons, read_source


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A folder of notebooks in place of the course's; call it with name -> cells."""

    def make(**notebooks):
        for name, cells in notebooks.items():
            nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), tmp_path / f"{name}.ipynb")
        monkeypatch.setattr(command, "NOTEBOOKS", tmp_path)
        return tmp_path

    return make


def test_run_goes_on_after_a_failure_and_reports_it(course, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    course(
        a_good=["import os\nprint(os.environ['COURSE_PROFILE'])"],
        b_bad=["x = 1", "raise ValueError('no such thing')", "y = 2"],
        c_good=["1 + 1"],
    )
    out = tmp_path / "out"
    assert command.main(["run", "--out", str(out), "--profile", "embedded"]) == 1
    printed = capsys.readouterr().out
    assert "b_bad, code cell 2" in printed
    assert "ValueError: no such thing" in printed
    report = json.loads((out / "report.json").read_text())
    assert [(row["notebook"], row["status"]) for row in report["notebooks"]] == [
        ("a_good", "passed"), ("b_bad", "failed"), ("c_good", "passed"),
    ]  # fmt: skip
    assert all(row["seconds"] > 0 and row["peak_mib"] > 10 for row in report["notebooks"])
    assert "embedded" in (out / "a_good.html").read_text()
    assert "no such thing" in (out / "b_bad.html").read_text()


def test_run_succeeds_when_every_notebook_does(course, tmp_path, capsys):
    course(a_good=["1 + 1"])
    assert command.main(["run", "--out", str(tmp_path / "out")]) == 0
    assert "a_good    passed" in capsys.readouterr().out


def test_an_unknown_lesson_is_named_with_the_known(course, capsys):
    course(a_good=["1"])
    assert command.main(["run", "99"]) == 2
    assert "No lesson is called '99'; there are: a_good." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "said"), [("import time\ntime.sleep(60)", "more than 2 s"), ("import os\nos._exit(1)", "kernel died")]
)
def test_a_cell_that_hangs_or_kills_its_kernel_is_named(tmp_path, cell, said):
    notebook = new_notebook(cells=[new_code_cell("1"), new_code_cell(cell)])
    result = execute(notebook, tmp_path, timeout=2)
    assert not result.ok
    assert result.failed_cell == 2
    assert said in result.error


def test_memory_is_measured(tmp_path):
    cells = [new_code_cell("x = bytearray(300 * 2**20)\nimport time\ntime.sleep(1)\nlen(x)")]
    assert execute(new_notebook(cells=cells), tmp_path).peak_mib > 300


def test_text_in_bits_is_joined():
    notebook = new_notebook(cells=[new_code_cell("")])
    stream = [nbformat.v4.new_output("stream", text=text) for text in ("a", "b")]
    notebook.cells[0].outputs = [*stream, nbformat.v4.new_output("display_data", {"text/plain": "c"}), stream[1]]
    build.tidy(notebook)
    assert [output.get("text") for output in notebook.cells[0].outputs] == ["ab", None, "b"]


def test_a_finished_bar_is_dropped_and_another_widget_stays():
    def shown(text):
        return new_output("display_data", {build.WIDGET: {"model_id": "1"}, "text/plain": text})

    cell = new_code_cell("bars()", outputs=[shown("BERT reads:   0%|          | 0/8 [00:00<?, ?it/s]"), shown("A box")])
    notebook = new_notebook(cells=[cell], metadata={"widgets": {build.WIDGET: {"state": {}}}})
    build.tidy(notebook)
    assert [output.data["text/plain"] for output in notebook.cells[0].outputs] == ["A box"]
    assert "widgets" in notebook.metadata


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(self, content):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


@pytest.mark.parametrize("place", ["elsewhere", "skipped"])
def test_a_wrong_folder_and_a_skipped_cell_end_in_one_line(tmp_path, place):
    """The lesson's own first cells, opened outside the course or with a cell left out."""
    cells = read_source(SOURCES / f"{lessons()[0]}.py").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    notebook = new_notebook(cells=code[:1] if place == "elsewhere" else [code[0], new_code_cell("trainer.train()")])
    result = execute(notebook, tmp_path if place == "elsewhere" else NOTEBOOKS)
    said = "open this notebook inside the cloned course" if place == "elsewhere" else "Run All Above"
    (error,) = [output for output in notebook.cells[-1].outputs if output.output_type == "error"]
    assert not result.ok
    assert len(error.traceback) == 1
    assert said in error.traceback[0]
    assert "\n" not in error.traceback[0]
