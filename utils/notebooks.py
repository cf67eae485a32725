"""Which notebooks in a folder are the course's: a student keeps others beside them, and some cannot be read."""

from __future__ import annotations

import json
from pathlib import Path


def of_course(folder: Path, others: bool = False) -> dict[Path, dict]:
    """The course's notebooks in a folder, in order: path -> the notebook as its JSON says.

    A notebook of the course carries its own name in its metadata, so a copy under another name is no longer one. A
    file that cannot be read (empty, cut off, a merge conflict) is named in a line and left out.

    Args:
        folder: of lessons, or of exercises.
        others: also the notebooks that are not the course's?
    """
    notebooks = {}
    for path in sorted(folder.glob("*.ipynb")):
        try:
            notebook = json.loads(path.read_text(encoding="utf-8-sig"))
            about = notebook["metadata"].get("course", {})
            _ = notebook["cells"]
            ours = path.stem in (about.get("name"), about.get("exercises"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            print(f"{path.name} is not a notebook that can be read; it is left out.")
            continue
        if ours or others:
            notebooks[path] = notebook
    return notebooks


def table(folder: Path) -> str:
    """The lessons in a folder as a Markdown table: link, first goal, a beginner's minutes, the machine's seconds."""
    lines = ["| lesson | you will be able to | your minutes | machine seconds |", "|---|---|---|---|"]
    for path, notebook in of_course(folder).items():
        about, measured = notebook["metadata"]["course"], notebook["metadata"].get("measured", {})
        times = f"{about.get('minutes_yours', '–')} | {measured.get('seconds', '–')}"
        lines.append(f"| [{about['title']}]({path.name}) | {about['goals'][0]} | {times} |")
    return "\n".join(lines)
