"""Executing notebooks: what an instructor sees when all goes well, and when something fails."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.notebooks import __main__ as command
from tools.notebooks import build
from tools.notebooks.execute import execute
from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import read_source, rooms
from utils import claims, machine
from utils.files import MARKER, claim, write_atomically
from utils.intervals import Number


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A folder of notebooks in place of the course's; call it with name -> cells."""

    def make(**notebooks):
        for name, cells in notebooks.items():
            notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"course": {"name": name}})
            nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        monkeypatch.setattr(command, "NOTEBOOKS", tmp_path)
        return tmp_path

    return make


def test_run_goes_on_after_a_failure_and_reports_it(course, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    course(
        a_good=["import os\nprint(os.environ['COURSE_PROFILE'])"],
        b_bad=["x = 1", "raise ValueError('no such thing <&>')", "y = 2"],
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
    assert [len(row["cells"]) for row in report["notebooks"]] == [1, 1, 1]  # those that ended well
    assert report["machine"]["cores"] == str(machine.cores())
    assert "embedded" in (out / "a_good.html").read_text()
    assert "no such thing" in (out / "b_bad.html").read_text()
    page = (out / "report.html").read_text()
    assert "2 of 3 notebooks passed" in page
    assert "<details><summary>b_bad, code cell 2: ValueError: no such thing &lt;&amp;&gt;</summary>" in page
    assert "\x1b" not in page
    assert report["versions"]["torch"] in page


def test_run_succeeds_when_every_notebook_does(course, tmp_path, capsys):
    course(a_good=["1 + 1"])
    assert command.main(["run", "--out", str(tmp_path / "out")]) == 0
    assert "a_good    passed" in capsys.readouterr().out


CARD = """
from utils import claims
claims.record(
    "09.1", "Water is wet.", tests={"more than two": True}, number={"drops": 3}, origin=claims.MEASURED_HERE, model="",
    source="looked", profile="embedded",
)
"""


def test_the_report_holds_the_ledger_of_the_run(course, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "claims"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    course(a_good=[CARD])
    assert command.main(["run", "--out", str(tmp_path / "out")]) == 0
    (kept,) = json.loads((tmp_path / "out" / "report.json").read_text())["claims"]
    assert (kept["id"], kept["verdict"]) == ("09.1", "holds")
    assert "Water is wet." in (tmp_path / "out" / "report.html").read_text()


WAITS = """
import pathlib, time
pathlib.Path("{mine}").touch()
while not pathlib.Path("{others}").exists():
    time.sleep(0.1)
"""


def test_jobs_run_side_by_side_with_their_share_of_the_cores_and_the_ledger_comes_last(course, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 4)
    share = "import os\nassert os.environ['OMP_NUM_THREADS'] == os.environ['LOKY_MAX_CPU_COUNT'] == '2'"
    folder = course(
        a_reads=["# claims.ledger(\nimport pathlib\nassert pathlib.Path('last').exists()"],
        b_waits=[share, WAITS.format(mine="b", others="c")],
        c_waits=[share, WAITS.format(mine="c", others="b"), "import time\ntime.sleep(1)\nopen('last', 'w').close()"],
    )
    assert command.main(["run", "--jobs", "2", "--timeout", "60", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["notebook"] for row in report["notebooks"]] == ["a_reads", "b_waits", "c_waits"]
    assert (folder / "last").exists()


def test_a_notebook_longer_than_all_others_together_runs_first_on_all_cores(course, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "expected_seconds", lambda notebook: notebook.metadata.course.get("seconds", 0))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    folder = course(
        a_short=["import os, pathlib\nassert pathlib.Path('first').exists() and 'OMP_NUM_THREADS' in os.environ"],
        b_long=[
            "import os, time\nassert 'OMP_NUM_THREADS' not in os.environ\ntime.sleep(1)\nopen('first', 'w').close()"
        ],
    )
    for name, seconds in (("a_short", 10), ("b_long", 30)):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        notebook.metadata.course.seconds = seconds
        nbformat.write(notebook, folder / f"{name}.ipynb")
    assert command.main(["run", "--jobs", "2", "--timeout", "60", "--out", str(tmp_path / "out")]) == 0
    assert [command.is_longest_by_far(seconds) for seconds in ([31, 10, 20], [30, 10, 20], [5], [])] == [
        True, False, False, False,
    ]  # fmt: skip


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by all that a shell runs in the background
from pathlib import Path
from tools.notebooks import __main__ as command
command.NOTEBOOKS = Path(sys.argv[1])
sys.exit(command.main(["run", "--jobs", sys.argv[2], "--out", sys.argv[1] + "/out"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent in another way there")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_stops_the_notebooks_that_run(course, tmp_path, jobs):
    started = "import os, time\nopen(f'started {os.getpid()}', 'w').close()\ntime.sleep(300)"
    folder = course(a=[started], b=[started])
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(folder), jobs], cwd=ROOT)
    until = time.monotonic() + 60
    while len(pids := [int(path.name.split()[1]) for path in folder.glob("started *")]) < int(jobs):
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGINT if jobs == "1" else signal.SIGTERM)
    assert process.wait(60) == 130
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=30)
    assert not alive


def test_an_interrupt_leaves_what_is_done_and_says_how_to_go_on(course, tmp_path):
    folder = course(a=["1 + 1"], b=["open('started', 'w').close()\nimport time\ntime.sleep(300)"], c=["2"])
    given = [sys.executable, "-c", INTERRUPTED, str(folder), "1"]
    process = subprocess.Popen(given, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (folder / "started").exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert f"1 of 3 notebooks are in {folder}/out. The others: python -m tools.notebooks run b c --out" in said
    report = json.loads((folder / "out" / "report.json").read_text())
    assert [row["notebook"] for row in report["notebooks"]] == ["a"]
    assert report["left"] == ["b", "c"]
    assert "The run did not come to its end; not executed: b, c." in (folder / "out" / "report.html").read_text()
    assert (folder / "out" / "a.ipynb").exists()


@pytest.mark.parametrize("bad", ["", "{", "<<<<<<< HEAD\n{}\n=======\n", "[]", '{"cells": []}'])
def test_one_bad_file_stops_nothing_and_is_named(course, tmp_path, capsys, bad):
    folder = course(a_good=["1 + 1"])
    (folder / "Untitled.ipynb").write_text(bad)
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), folder / "mine.ipynb")
    assert command.main(["run", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "Untitled.ipynb is not a notebook that can be read; it is left out." in printed
    assert "a_good    passed" in printed
    assert "mine" not in printed
    assert command.main(["run", "mine", "--out", str(tmp_path / "out")]) == 1


def test_a_lesson_that_cannot_be_read_fails_the_run_and_not_the_others(course, tmp_path, capsys):
    folder = course(a=["1 + 1"])
    for name in ("a", "b"):
        room = folder / "source" / f"lesson_{name}"
        room.mkdir(parents=True)
        (room / "lesson.py").write_text(f"#     name: {name}\n")
    (folder / "b.ipynb").write_text("<<<<<<< HEAD")
    assert command.main(["run", "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "b.ipynb is missing or cannot be read" in printed
    assert "a         passed" in printed


def test_reports_replace_no_files_of_others(course, tmp_path, capsys):
    folder = course(a=["1 + 1"])
    before = (folder / "a.ipynb").read_text()
    assert command.main(["run", "--out", str(folder)]) == 2
    assert "holds a.ipynb, which the course did not write" in capsys.readouterr().err
    assert (folder / "a.ipynb").read_text() == before
    out = tmp_path / "out"
    assert command.main(["run", "--out", str(out)]) == 0
    (out / "a.ipynb").write_text("with my notes")
    assert command.main(["run", "--out", str(out)]) == 0
    assert (out / "a.kept-1.ipynb").read_text() == "with my notes"


@pytest.mark.parametrize(
    ("cores", "gib", "gpu", "jobs"), [(2, 24, False, 2), (2, 7, False, 1), (1, 24, False, 1), (64, 256, False, 4),
                                      (4, 1, False, 1), (16, 128, True, 1)],
)  # fmt: skip
def test_jobs_are_as_many_as_cores_and_memory_allow(monkeypatch, cores, gib, gpu, jobs):
    monkeypatch.setattr(machine, "cores", lambda: cores)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=gib * 2**30))
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    assert command.fitting_jobs() == jobs


@pytest.fixture
def two_runs(tmp_path):
    """Folders of two reports: the later one is slower, of other releases, with another verdict and one lesson less."""

    def row(name, seconds, status="passed"):
        return {"notebook": name, "status": status, "seconds": seconds, "peak_mib": 1000, "cells": [seconds],
                "failed_cell": None, "source": "", "error": "", "traceback": ""}  # fmt: skip

    def claim(met):
        tests, number = {"more than two": met}, {"drops": Number(3)}
        one = claims.Claim("09.1", "Water is wet.", tests, number, claims.MEASURED_HERE, "", "looked", "embedded")
        return claims.as_json(one)

    reports = {
        "before": {"finished": "2026-01-01", "seconds": 30.0, "versions": {"torch": "2.0"}, "claims": [claim(True)],
                   "notebooks": [row("a", 10.0), row("b", 20.0)]},
        "now": {"finished": "2026-02-01", "seconds": 15.0, "versions": {"torch": "2.1"}, "claims": [claim(False)],
                "notebooks": [row("a", 15.0, "failed")]},
    }  # fmt: skip
    for name, report in reports.items():
        write_atomically(tmp_path / name / "report.json", json.dumps(report | {"jobs": 1, "machine": {"cores": "2"}}))
    return tmp_path / "before", tmp_path / "now"


def test_two_runs_are_compared(two_runs, capsys):
    before, now = two_runs
    claim(now.with_name("elsewhere"), "")
    shutil.move(now.with_name("elsewhere") / MARKER, now)  # as `run` leaves it
    assert command.main(["compare", str(before), str(now)]) == 0
    printed, page = capsys.readouterr().out, (now / "comparison.html").read_text()
    assert "15.0     1000 MiB     10.0 (+50%)" in printed
    for change in ("torch: 2.0 → 2.1", "claim 09.1: holds → does not hold"):
        assert change in printed
        assert f"<li>{change}</li>" in page
    assert "+50%" in page
    assert "failed (was passed)" in page
    assert '<td>b</td><td colspan="7">not run this time</td>' in page


def test_the_page_of_a_comparison_replaces_no_file_of_others(two_runs, tmp_path, monkeypatch, capsys):
    before, now = two_runs
    (now / "comparison.html").write_text("mine")
    monkeypatch.setattr(command, "own_output", lambda name, root: tmp_path / "build" / name)
    assert command.main(["compare", str(before), str(now)]) == 0
    assert "torch: 2.0 → 2.1" in capsys.readouterr().out
    assert (now / "comparison.html").read_text() == "mine"
    assert "+50%" in (tmp_path / "build" / "compare" / "comparison.html").read_text()


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_what_is_no_report_is_said_in_one_line(two_runs, tmp_path, capsys, content):
    folder = tmp_path / "other"
    folder.mkdir()
    if content is not None:
        (folder / "report.json").write_text(content)
    assert command.main(["compare", str(folder), str(two_runs[1])]) == 2
    said = capsys.readouterr().err
    assert "report.json is not the report of a run" in said
    assert len(said.splitlines()) == 1


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


def test_the_home_of_whoever_built_it_is_not_written_into_a_notebook():
    output = new_output("stream", text=f"model in {Path.home() / 'cache' / 'model'}")
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[output])])
    build.tidy(notebook)
    assert notebook.cells[0].outputs[0].text.replace("\\", "/") == "model in ~/cache/model"


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


@pytest.mark.parametrize("place", ["elsewhere", "skipped"])
def test_a_wrong_folder_and_a_skipped_cell_end_in_one_line(tmp_path, place):
    """The lesson's own first cells, opened outside the course or with a cell left out."""
    cells = read_source(next(iter(rooms().values())) / "lesson.py").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    notebook = new_notebook(cells=code[:1] if place == "elsewhere" else [code[0], new_code_cell("trainer.train()")])
    result = execute(notebook, tmp_path if place == "elsewhere" else NOTEBOOKS)
    said = "open this notebook inside the cloned course" if place == "elsewhere" else "Run All Above"
    (error,) = [output for output in notebook.cells[-1].outputs if output.output_type == "error"]
    assert not result.ok
    assert len(error.traceback) == 1
    assert said in error.traceback[0]
    assert "\n" not in error.traceback[0]
