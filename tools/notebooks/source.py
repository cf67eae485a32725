"""From a percent script to the cells of a notebook: header and first cell are generated, the rest is the author's."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.notebooks.files import SOURCES, colab_address, repository
from utils.environment import REQUIREMENTS

FIELDS = ("title", "goals", "minutes_cpu", "minutes_gpu", "needs")
CLOSING = "## To remember"

FIRST_CELL = """\
# Every lesson opens with this cell: it finds the course, checks this kernel and chooses a profile.
import sys
from pathlib import Path
{colab}
here = Path.cwd()
course = next((folder for folder in (here, *here.parents) if (folder / "utils/environment.py").exists()), None)
if course is None:
    error = RuntimeError(f"The course's folder is not above {{here}}: open this notebook inside the cloned course.")
    error._render_traceback_ = lambda: [str(error)]  # one line instead of a page
    raise error
sys.path.insert(0, str(course))

from utils.environment import begin

profile = begin()"""

COLAB = """\
import os, subprocess

if "google.colab" in sys.modules and not Path("/content/course").exists():
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", "{address}", "/content/course"], check=True)
    packages = {packages}  # Colab has the others
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *packages], check=True)
if "google.colab" in sys.modules:
    os.chdir("/content/course/notebooks")
"""


def lessons() -> list[str]:
    """Names of the lessons, in order."""
    return sorted(path.stem for path in SOURCES.glob("*.py"))


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook that a percent script stands for: no outputs, stable cell ids, generated header and first cell.

    Raises:
        ValueError: the script's header lacks a field.
    """
    script = jupytext.read(path, fmt="py:percent")
    course = script.metadata.get("course", {})
    missing = [field for field in FIELDS if not course.get(field)]
    if missing:
        raise ValueError(f"{path.name}: the header lacks {', '.join(missing)} under `jupyter: course:`.")
    notebook = nbformat.v4.new_notebook(metadata={
        "course": dict(course),
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })  # fmt: skip
    notebook.cells = [_header(path.stem, course), _first_cell()]
    for cell in script.cells:
        new = new_code_cell if cell.cell_type == "code" else new_markdown_cell
        metadata = {"tags": list(cell.metadata.tags)} if cell.metadata.get("tags") else {}
        notebook.cells.append(new(cell.source, metadata=metadata))
    _number(notebook)
    return notebook


def _header(name: str, course: dict) -> nbformat.NotebookNode:
    address = repository()
    colab = f" · [Open in Colab]({colab_address(name, address)})" if address else ""
    goals = "\n".join(f"- {goal}" for goal in course["goals"])
    return new_markdown_cell(textwrap.dedent("""\
        # {title}

        **You will be able to**

        {goals}

        **Time** two CPU cores: {cpu}; a GPU: {gpu} · **Needs** {needs}{colab}""").format(
            title=course["title"], goals=goals, cpu=duration(course["minutes_cpu"]),
            gpu=duration(course["minutes_gpu"]), needs=course["needs"], colab=colab,
        ))  # fmt: skip


def duration(minutes: str | int) -> str:
    """A header's minutes with their unit; words that stand in for a number as they are."""
    return f"{minutes} min" if str(minutes)[0].isdigit() else str(minutes)


def _first_cell() -> nbformat.NotebookNode:
    address = repository()
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if "==" in line]
    return new_code_cell(FIRST_CELL.format(colab=COLAB.format(address=address, packages=pinned) if address else ""))


def _number(notebook: nbformat.NotebookNode) -> None:
    """Ids that change only when a cell's own text does, so that a diff shows what was edited."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
