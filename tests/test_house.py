"""What `check` says of the house: imports go one way and in no circle, and the ledger shows the cards as they are."""

import copy

import nbformat
import pytest

from tools.notebooks import check, house
from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import deeper, lessons
from utils import claims


def test_all_arrows_point_one_way():
    assert house.faults(ROOT) == []


FAULTS = {
    "utils/a.py: it must not import tools.b": {"utils/a.py": "def f():\n    from tools import b", "tools/b.py": ""},
    "utils/a.py: it must not import notebooks.source.lesson_04.checks": {
        "utils/a.py": "import notebooks.source.lesson_04.checks"
    },
    "pretraining/a.py: it must not import tools": {"pretraining/a.py": "import tools"},
    "notebooks/source/lesson_04/a.py: it must not import notebooks.source.lesson_05.b": {
        "notebooks/source/lesson_04/a.py": "from notebooks.source.lesson_05 import b"
    },
    "utils: a circle of imports, utils.a → utils.b → utils.a": {
        "utils/a.py": "from utils.b import c", "utils/b.py": "def f():\n    import utils.a"
    },
    "tools: a circle of imports, tools.a → tools.a": {"tools/a.py": "from tools import a"},
}  # fmt: skip


@pytest.mark.parametrize(("line", "files"), FAULTS.items())
def test_each_fault_is_named(line, files, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert line in house.faults(tmp_path)


def test_what_may_be_imported_is_no_fault(tmp_path):
    for name, text in {
        "utils/a.py": "import json\nfrom utils import b", "utils/b.py": "", "tools/a.py": "from utils import a",
        "notebooks/source/lesson_04/a.py": "from notebooks.source.lesson_04.b import c\nfrom utils import a",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert house.faults(tmp_path) == []


@pytest.fixture
def committed():
    paths = [NOTEBOOKS / f"{name}.ipynb" for name in [*lessons(), *deeper()]]
    return {path: nbformat.read(path, as_version=4) for path in paths}


def test_the_ledger_is_fresh(committed):
    assert list(check.stale_ledgers(committed)) == []


@pytest.mark.parametrize("name", [name for name in [*lessons(), *deeper()] if claims.in_notebook(
    nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
)])  # fmt: skip
def test_a_number_that_changed_makes_it_stale(committed, name):
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = committed[path] = copy.deepcopy(committed[path])
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    card = next(output.data[claims.MIME] for output in outputs if claims.MIME in output.get("data", {}))
    number = next(iter(dict(card["number"]).values()))
    number["value"] += 1
    (fault,) = check.stale_ledgers(committed)
    whose = "the deeper notebooks" if path.parent.name == "deeper" else "the lessons"
    assert f"06_wrapping_up.ipynb: its ledger does not show the cards of {whose};" in fault


def test_the_table_of_the_lessons_is_fresh_and_other_minutes_make_it_stale(committed):
    assert list(check.stale_tables(committed, NOTEBOOKS)) == []
    path = NOTEBOOKS / "00_start_here.ipynb"
    notebook = committed[path] = copy.deepcopy(committed[path])
    (shown,) = (output.data for cell in notebook.cells for output in cell.get("outputs", [])
                if "06_wrapping_up" in output.get("data", {}).get("text/markdown", ""))  # fmt: skip
    shown["text/markdown"] = shown["text/markdown"].replace("| 45 |", "| 75 |")
    (fault,) = check.stale_tables(committed, NOTEBOOKS)
    assert "00_start_here.ipynb: its table is not that of the lessons" in fault
