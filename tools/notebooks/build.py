"""Generate and execute the notebooks that students open."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import nbformat

from tools.notebooks.execute import Result, execute
from tools.notebooks.files import NOTEBOOKS, PICTURES
from tools.notebooks.source import LANGUAGE, deeper, exercises, lessons, read_exercises, read_source, rooms
from utils import claims
from utils.files import write_atomically
from utils.profiles import SIZES_VARIABLE
from utils.progress import PROGRESS_VARIABLE

WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURE_TAG = "readme"  # a cell with this tag gives its figure to the README


def sources(folder: Path = NOTEBOOKS) -> list[str]:
    """What can be built: lessons by name, `deeper/NAME`, and `exercises/NAME` for the exercises of a lesson."""
    return [*lessons(folder), *deeper(folder), *(f"exercises/{name}" for name in exercises(folder))]


def wanted(name: str, folder: Path = NOTEBOOKS) -> dict[Path, nbformat.NotebookNode]:
    """The notebooks of a source: where they belong -> their cells, without outputs. The first one is executed."""
    if name in deeper(folder):
        return {folder / f"{name}.ipynb": read_source(deeper(folder)[name])}
    lesson = name.removeprefix("exercises/")
    room = rooms(folder)[lesson]
    if lesson == name:
        return {folder / f"{name}.ipynb": read_source(room / "lesson.py")}
    return {
        folder / kind / f"{lesson}.ipynb": read_exercises(room / "exercises.py", solved=kind == "solutions")
        for kind in ("solutions", "exercises")
    }


def is_current(name: str) -> bool:
    """Do the committed notebooks have the cells of their source, the first one's executed?"""
    notebooks = wanted(name)
    if not all(path.exists() for path in notebooks):
        return False
    committed = [nbformat.read(path, as_version=4) for path in notebooks]
    executed = all(cell.execution_count for cell in committed[0].cells if cell.cell_type == "code")
    return executed and all(map(same_cells, committed, notebooks.values()))


def same_cells(first: nbformat.NotebookNode, second: nbformat.NotebookNode) -> bool:
    """Are the cells' kinds, texts and tags and the metadata that a build writes equal?"""

    def content(notebook):
        cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
        return cells, notebook.metadata.get("course"), notebook.metadata.get("language_info")

    return content(first) == content(second)


def build(name: str, force: bool = False, on_cell=lambda number: None) -> Result | None:
    """Execute a source and, if every cell ran, write its notebooks.

    Returns:
        What came of it; None where only text changed, so that the committed outputs were kept.
    """
    (path, notebook), *others = wanted(name).items()
    result = None
    if force or not _take_outputs(notebook, path):
        with tempfile.TemporaryDirectory() as own:  # the author's own progress and ledger are no part of a notebook
            result = execute(notebook, NOTEBOOKS, _as_committed(Path(own)), on_cell=on_cell)
        if not result.ok:
            return result
        tidy(notebook)
        notebook.metadata["measured"] = {"seconds": round(result.seconds), "peak_mib": round(result.peak_mib)}
        for cell in notebook.cells:
            if PICTURE_TAG in cell.metadata.get("tags", []):
                picture = next(
                    output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
                )
                write_atomically(PICTURES / f"{name}.png", base64.b64decode(picture))
    for target, content in [(path, notebook), *others]:
        write_atomically(target, nbformat.writes(content) + "\n")
    return result


def relink(name: str) -> None:
    """Write a source's notebooks anew with their outputs: where nothing changed but text and the generated first cell.

    Raises:
        ValueError: other code changed, so that the outputs would not be its own.
    """
    (path, notebook), *others = wanted(name).items()
    if not _take_outputs(notebook, path, after=1):
        raise ValueError(f"{name}: its code changed since it was built; run: make notebooks")
    for target, content in [(path, notebook), *others]:
        write_atomically(target, nbformat.writes(content) + "\n")


def _as_committed(folder: Path) -> dict[str, str]:
    """Variables for a kernel: nothing solved yet, a ledger of what the committed notebooks show, the whole sizes."""
    for claim in claims.in_notebooks(NOTEBOOKS):
        path = folder / "claims" / claim.profile / f"{claim.id}.json"
        write_atomically(path, json.dumps(claims.as_json(claim)))
    return {
        PROGRESS_VARIABLE: str(folder / "progress.json"), claims.CLAIMS_VARIABLE: str(folder / "claims"),
        SIZES_VARIABLE: "",
    }  # fmt: skip


def _take_outputs(notebook: nbformat.NotebookNode, path: Path, after: int = 0) -> bool:
    """Put the committed outputs into a notebook whose code cells, but for the first `after`, are the same."""
    if not path.exists():
        return False
    committed = nbformat.read(path, as_version=4)
    old = [cell for cell in committed.cells if cell.cell_type == "code"]
    new = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if len(old) != len(new) or [cell.source for cell in old[after:]] != [cell.source for cell in new[after:]]:
        return False
    if not all(cell.execution_count for cell in old):
        return False
    for before, cell in zip(old, new, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    for field in ("measured", "widgets"):
        if field in committed.metadata:
            notebook.metadata[field] = committed.metadata[field]
    return True


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Drop what says nothing to a reader: finished bars, unused widget state, kernel versions, the path of the home."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_finished_bar(output)]
    shown = any(WIDGET in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    if not shown:
        notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = LANGUAGE
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                if "text" in output:
                    output.text = output.text.replace(str(Path.home()), "~")


def _is_finished_bar(output) -> bool:
    """A tqdm bar that was taken away when it was full (`leave=False`); its text stays at 0%."""
    data = output.get("data", {})
    return WIDGET in data and "0%|" in data.get("text/plain", "")


def _joined(outputs: list) -> list:
    joined: list = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined
