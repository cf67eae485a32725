"""What an instructor reads after a run: a table, a page, the same as JSON, an HTML copy of each notebook."""

from __future__ import annotations

import importlib.metadata
import json
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi

from tools.notebooks.execute import Result
from tools.notebooks.files import PAGE_STYLE
from utils import claims
from utils.files import write_ours

PACKAGES = ("torch", "transformers", "datasets", "accelerate", "tokenizers", "numpy", "ipykernel")
JSON, PAGE, COMPARISON = "report.json", "report.html", "comparison.html"
SHOWN_CELLS = 3


def write_copies(folder: Path, name: str, notebook: nbformat.NotebookNode, instead: str) -> None:
    """Write an executed notebook as NAME.ipynb and NAME.html into a claimed folder."""
    write_ours(folder, f"{name}.ipynb", nbformat.writes(notebook) + "\n", instead)
    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": name}})
    write_ours(folder, f"{name}.html", page, instead)


def write_report(
    folder: Path,
    executed: dict[str, tuple[nbformat.NotebookNode, Result]],
    seconds: float,
    jobs: int,
    where: dict[str, str],
    left: list[str],
    instead: str,
) -> dict:
    """Write report.json and report.html into a claimed folder; return what the JSON holds.

    Args:
        folder: a file in it that is not ours any more is set aside.
        executed: name -> the executed notebook and what came of it.
        seconds: wall-clock time of the whole run so far.
        jobs: how many notebooks ran side by side.
        where: the machine, as `utils.machine.describe` says.
        left: the notebooks that have not been executed yet.
        instead: what to do where the folder cannot be written.
    """
    report = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "jobs": jobs,
        "machine": where,
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "left": left,
        "notebooks": [_row(name, result) for name, (_, result) in executed.items()],
        "claims": [
            claims.as_json(claim) for notebook, _ in executed.values() for claim in claims.in_notebook(notebook)
        ],
    }
    write_ours(folder, JSON, json.dumps(report, indent=2, ensure_ascii=False) + "\n", instead)
    write_ours(folder, PAGE, as_page(report, "The course, executed"), instead)
    return report


def _row(name: str, result: Result) -> dict:
    return {
        "notebook": name,
        "status": "passed" if result.ok else "failed",
        "seconds": round(result.seconds, 1),
        "peak_mib": round(result.peak_mib),
        "cells": [round(seconds, 2) for seconds in result.cells],
        "failed_cell": result.failed_cell,
        "source": result.source,
        "error": result.error,
        "traceback": result.traceback,
    }


def read_report(path: Path) -> dict:
    """The report of a run, from its folder or its JSON file.

    Raises:
        ValueError: there is none, or it is of another release of the course.
    """
    path = path / JSON if path.is_dir() else path
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        _ = report["machine"], report["claims"], report["seconds"], report["notebooks"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not the report of a run ({type(error).__name__}); give the folder that "
            "`python -m tools.notebooks run --out FOLDER` wrote."
        ) from None
    return report


def as_page(report: dict, title: str, before: dict | None = None) -> str:
    """The report as one page, beside an earlier one if that is given."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["strip_ansi"] = strip_ansi
    earlier = {row["notebook"]: row for row in (before or {}).get("notebooks", [])}
    now = {row["notebook"] for row in report["notebooks"]}
    return environment.get_template("report.html").render(
        title=title,
        style=Markup(PAGE_STYLE.read_text(encoding="utf-8")),
        report=report,
        before=before,
        earlier=earlier,
        gone=[name for name in earlier if name not in now],
        changes=changes(before, report) if before else [],
        slowest=_slowest,
        passed=sum(row["status"] == "passed" for row in report["notebooks"]),
        ledger=Markup(claims.table([claims.from_json(card) for card in report["claims"]])["text/html"]),
    )


def _slowest(row: dict) -> list[tuple[int, float]]:
    """Number, from 1, and seconds of the code cells that took longest."""
    return sorted(enumerate(row["cells"], 1), key=lambda cell: -cell[1])[:SHOWN_CELLS]


def changes(before: dict, now: dict) -> list[str]:
    """What differs between two runs beside their times: machine, versions, verdicts; a line each."""
    lines = []
    for part in ("machine", "versions"):
        for name in now[part] | before[part]:
            old, new = before[part].get(name, "–"), now[part].get(name, "–")
            if old != new:
                lines.append(f"{name}: {old} → {new}")
    old_verdicts = {claim["id"]: claim["verdict"] for claim in before["claims"]}
    new_verdicts = {claim["id"]: claim["verdict"] for claim in now["claims"]}
    for claim_id in sorted(old_verdicts | new_verdicts):
        old, new = old_verdicts.get(claim_id, "not recorded"), new_verdicts.get(claim_id, "not recorded")
        if old != new:
            lines.append(f"claim {claim_id}: {old} → {new}")
    return lines


def table(report: dict, before: dict | None = None) -> str:
    """Name, status, seconds and peak memory of each notebook, aligned; with an earlier run, its seconds too."""
    rows = report["notebooks"]
    earlier = {row["notebook"]: row for row in (before or {}).get("notebooks", [])}
    width = max([len(row["notebook"]) for row in rows] + [8])
    lines = [f"{'notebook':<{width}}  status   seconds  peak memory" + ("   before" if before else "")]
    for row in rows:
        line = f"{row['notebook']:<{width}}  {row['status']:<7}  {row['seconds']:>7.1f}  {row['peak_mib']:>7} MiB"
        if before:
            old = earlier.get(row["notebook"])
            line += f"  {old['seconds']:>7.1f} ({row['seconds'] / old['seconds'] - 1:+.0%})" if old else "        –"
        lines.append(line)
    total = f"{'together':<{width}}  {'':<7}  {report['seconds']:>7.1f}"
    return "\n".join([*lines, total + (f"  {'':>11}  {before['seconds']:>7.1f}" if before else "")])
