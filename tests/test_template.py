"""The authors' guide: its template makes a lesson without a fault, and what it names is there."""

import functools
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import build, check, source
from tools.notebooks.files import NOTEBOOKS, ROOT, SOURCES
from utils import claims

TEMPLATE = SOURCES / "template" / "lesson.py"
GUIDE = (ROOT / "docs" / "authors.md").read_text(encoding="utf-8")
NEW = re.compile(r"(?<!\d)07_what_a_name_costs|lesson_07|exercises/07")  # what an author is about to make


def test_the_template_makes_a_lesson_without_a_fault(tmp_path, monkeypatch):
    """Copied, built in a kernel and checked as the guide says, but in a folder of its own."""
    copy = tmp_path / "source" / "lesson_07" / "lesson.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(TEMPLATE.read_text(encoding="utf-8").replace("NN", "07"), encoding="utf-8")
    monkeypatch.setattr(build, "wanted", functools.partial(build.wanted, folder=tmp_path))
    monkeypatch.setenv("COURSE_PROFILE", "embedded")
    result = build.build("07_what_a_name_costs")
    assert result.ok, f"{result.source}\n{result.error}"
    assert check.check_all(tmp_path) == []
    (claim,) = claims.in_notebooks(tmp_path)
    assert claim.id == "07.1"
    assert claim.verdict == claims.HOLDS
    assert all(number.low is not None for number in (claim.number | claim.context).values())
    cells = nbformat.read(tmp_path / "07_what_a_name_costs.ipynb", as_version=4).cells
    assert 'uses=["imdb", "small_encoder/tokenizer"]' in cells[1].source
    assert sum("<!-- Author: " in cell.source for cell in cells) >= 4


def test_the_template_is_no_lesson_itself():
    assert not any("name_costs" in name for name in build.sources())
    assert not list(NOTEBOOKS.rglob("NN_*.ipynb"))


def named() -> list[str]:
    """What stands between single backticks in the guide, and each line of its blocks."""
    blocks = re.findall(r"```\n(.*?)```", GUIDE, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", GUIDE, flags=re.DOTALL)
    lines = [line.strip() for block in blocks[:-1] for line in block.splitlines()]  # the last one shows folders
    return [*(" ".join(one.split()) for one in re.findall(r"`([^`]+)`", text)), *lines]


def commands() -> list[str]:
    return [one for one in named() if re.match(r"(\.venv/bin/)?python |make |sed ", one)]


def test_the_guide_names_only_what_is_there():
    paths = {
        word
        for one in named()
        for word in one.split()
        if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+|[\w-]+\.(txt|yml|toml)", word)
    }
    paths |= set(re.findall(r"^(\w+)/ ", GUIDE, flags=re.MULTILINE))
    paths = {one for one in paths if not NEW.search(one) and not one.startswith(".venv/")}
    assert len(paths) > 20
    assert [one for one in sorted(paths) if not list(ROOT.glob(one))] == []


def test_the_guides_commands_exist(capsys):
    targets = (ROOT / "Makefile").read_text(encoding="utf-8").partition(".PHONY: ")[2].split("\n")[0].split()
    found = commands()
    assert len(found) > 15
    for command in found:
        program, *arguments = command.split()
        if program == "make":
            assert arguments[0] in targets, command
        elif program == "sed":
            assert Path(arguments[1]) == TEMPLATE.relative_to(ROOT)
        elif arguments[0] == "-m":
            assert importlib.util.find_spec(arguments[1]), command


@pytest.mark.parametrize(
    ("module", "text"),
    [("pretraining.bert", "--epochs"), ("pretraining.t5", "--task-steps"), ("tools.notebooks", "build"),
     ("utils.beforehand", "rates"), ("pretraining.publish", "--folder")],
)  # fmt: skip
def test_the_options_that_the_guide_gives_are_known(module, text):
    assert text in GUIDE
    code = Path(importlib.util.find_spec(module).origin).parent
    assert any(f'"{text}"' in path.read_text(encoding="utf-8") for path in code.glob("*.py"))


def test_the_guide_states_the_checks_own_numbers():
    for said in (f"more than {check.MAX_LINES} lines", f"text of {check.MIN_ALT} characters or more", check.MARKER):
        assert said in " ".join(GUIDE.split())
    assert check.MIN_COMPARED_CELLS == 3  # “at least three cells are compared”
    assert all(f"`{field}`" in GUIDE for field in source.FIELDS)
