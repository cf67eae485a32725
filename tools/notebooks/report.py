"""What an instructor reads after a run: a table, a JSON report, an HTML copy of each notebook."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from tools.notebooks.execute import Result
from tools.notebooks.files import write_atomically

PACKAGES = ("torch", "transformers", "datasets", "accelerate", "tokenizers", "numpy", "ipykernel")


def write_report(folder: Path, executed: dict[str, tuple[nbformat.NotebookNode, Result]]) -> str:
    """Write report.json and NAME.html and NAME.ipynb for each notebook; return the table as text.

    Args:
        folder: made if it is not there; files of earlier runs are replaced.
        executed: name -> the executed notebook and what came of it.
    """
    exporter = HTMLExporter()
    rows = []
    for name, (notebook, result) in executed.items():
        write_atomically(folder / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
        page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": name}})
        write_atomically(folder / f"{name}.html", page)
        rows.append({
            "notebook": name,
            "status": "passed" if result.ok else "failed",
            "seconds": round(result.seconds, 1),
            "peak_mib": round(result.peak_mib),
            "failed_cell": result.failed_cell,
            "error": result.error,
            "traceback": result.traceback,
        })  # fmt: skip
    report = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "notebooks": rows,
    }
    write_atomically(folder / "report.json", json.dumps(report, indent=2) + "\n")
    return table(rows)


def table(rows: list[dict]) -> str:
    """Name, status, seconds and peak memory of each notebook, aligned."""
    width = max([len(row["notebook"]) for row in rows] + [8])
    lines = [f"{'notebook':<{width}}  status   seconds  peak memory"]
    lines += [
        f"{row['notebook']:<{width}}  {row['status']:<7}  {row['seconds']:>7.1f}  {row['peak_mib']:>7} MiB"
        for row in rows
    ]
    return "\n".join(lines)
