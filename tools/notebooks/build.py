"""Generate and execute the notebooks that students open."""

from __future__ import annotations

import base64

import nbformat

from tools.notebooks.execute import Result, execute
from tools.notebooks.files import NOTEBOOKS, PICTURES, SOURCES, write_atomically
from tools.notebooks.source import read_source

WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURE_TAG = "readme"  # a cell with this tag gives its figure to the README


def is_current(name: str) -> bool:
    """Does the committed notebook have the cells of its source, executed?"""
    path = NOTEBOOKS / f"{name}.ipynb"
    if not path.exists():
        return False
    committed = nbformat.read(path, as_version=4)
    wanted = read_source(SOURCES / f"{name}.py")
    executed = all(cell.execution_count for cell in committed.cells if cell.cell_type == "code")
    return executed and same_cells(committed, wanted)


def same_cells(one: nbformat.NotebookNode, other: nbformat.NotebookNode) -> bool:
    """Are the cells' kinds, texts and tags and the course's metadata equal?"""

    def content(notebook):
        cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
        return cells, notebook.metadata.get("course")

    return content(one) == content(other)


def build(name: str, on_cell=lambda number: None) -> Result:
    """Execute the lesson's source and, if every cell ran, write its notebook."""
    notebook = read_source(SOURCES / f"{name}.py")
    result = execute(notebook, NOTEBOOKS, on_cell=on_cell)
    if result.ok:
        tidy(notebook)
        notebook.metadata["measured"] = {"seconds": round(result.seconds), "peak_mib": round(result.peak_mib)}
        for cell in notebook.cells:
            if PICTURE_TAG in cell.metadata.get("tags", []):
                picture = next(
                    output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
                )
                write_atomically(PICTURES / f"{name}.png", base64.b64decode(picture))
        write_atomically(NOTEBOOKS / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
    return result


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Drop what says nothing to a reader: finished bars, unused widget state, kernel versions, text in bits."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_finished_bar(output)]
    shown = any(WIDGET in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    if not shown:
        notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)


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
