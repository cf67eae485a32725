"""What must never be wrong with a committed notebook, found without running it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from tools.notebooks.build import WIDGET, same_cells, sources, wanted
from tools.notebooks.files import NOTEBOOKS
from tools.notebooks.source import CHECK, CLOSING, COMPARED, MARKER, load_checks
from utils import claims
from utils.notebooks import table as table_of_lessons

MIN_COMPARED_CELLS = 3
MAX_LINES = 20
BUDGETS = {  # lesson -> words of text, code cells after the first, their lines
    "00": (600, 10, 50), "01": (2000, 25, 220), "02": (1800, 25, 200), "03": (2000, 28, 240), "04": (1600, 20, 180),
    "05": (1600, 25, 240), "06": (700, 8, 50),
}  # fmt: skip
MIN_ALT = 30  # characters
MACHINE_PATH = re.compile(r"/(?:home|root|Users|tmp|work|content)/\S|site-packages|[A-Za-z]:\\\\?\w|/var/folders/")
DEBRIS = re.compile(r"\r|\d+%\|[█▏▎▍▌▋▊▉ #]*\||\d ?(?:it/s|s/it)\]")

Fault = tuple[int, str]  # number of the cell from 1, or 0 for the notebook; what is wrong


def check_all(folder: Path = NOTEBOOKS) -> list[str]:
    """Every fault of every notebook, a line each; also notebooks without a source and sources without a notebook."""
    lines, expected = [], set()
    lessons = {}
    for name in sources(folder):
        for path, source in wanted(name, folder).items():
            shown = path.relative_to(folder).as_posix()
            expected.add(path)
            if not path.exists():
                lines.append(f"{shown}: not built; run: python -m tools.notebooks build {name}")
                continue
            try:
                notebook = nbformat.read(path, as_version=4)
                nbformat.validate(notebook)
            except Exception as error:
                lines.append(f"{shown}: not a valid notebook ({str(error).splitlines()[0]}); build it again")
                continue
            if path.parent.name not in ("exercises", "solutions"):
                lessons[path] = notebook
            finders = {"exercises": BLANK_CHECKS, "solutions": SOLUTION_CHECKS, "deeper": DEEPER_CHECKS}.get(
                path.parent.name, CHECKS
            )
            for cell, fault in check(notebook, source, finders):
                lines.append(f"{shown}{f', cell {cell}' if cell else ''}: {fault}")
    present = {path for part in ("", "deeper", "exercises", "solutions") for path in (folder / part).glob("*.ipynb")}
    for stray in sorted(present - expected):
        lines.append(f"{stray.relative_to(folder).as_posix()}: it has no source; write one or remove it")
    return [*lines, *stale_ledgers(lessons), *stale_tables(lessons, folder)]


def stale_ledgers(notebooks: dict[Path, nbformat.NotebookNode]) -> Iterator[str]:
    """A line for each ledger that does not show the cards of the lessons, or of the deeper notebooks, as they are."""
    shown = {path: {card.id: card for card in claims.in_notebook(notebook)} for path, notebook in notebooks.items()}
    lessons = {id: card for path, cards in shown.items() if path.parent.name != "deeper" for id, card in cards.items()}
    deeper = {id: card for cards in shown.values() for id, card in cards.items() if id not in lessons}
    expected = {
        "the lessons": claims.table(claims.in_order(lessons.values())),
        "the deeper notebooks": claims.folded_table(claims.in_order(deeper.values())),
    }
    for path, notebook in notebooks.items():
        code = [cell for _, cell in _code(notebook)]
        if not any("claims.ledger(" in cell.source for cell in code):
            continue
        pages = [output.get("data", {}).get("text/html") for cell in code for output in cell.outputs]
        for whose, table in expected.items():
            if table["text/html"] not in pages:
                yield f"{path.name}: its ledger does not show the cards of {whose}; build {path.stem} with --force"


def stale_tables(notebooks: dict[Path, nbformat.NotebookNode], folder: Path) -> Iterator[str]:
    """A line for each notebook whose table of the lessons does not say what they say; measured seconds may differ."""

    def rows(text: str) -> list[list[str]]:
        return [line.split("|")[:-2] for line in text.splitlines()]

    for path, notebook in notebooks.items():
        for _, cell in _code(notebook):
            shown = ["".join(output.get("data", {}).get("text/markdown", "")) for output in cell.outputs]
            if "notebooks.table(" in cell.source and rows(table_of_lessons(folder)) not in map(rows, shown):
                yield f"{path.name}: its table is not that of the lessons; build {path.stem} with --force"


def check(notebook: nbformat.NotebookNode, source: nbformat.NotebookNode, finders=None) -> list[Fault]:
    """The faults of one notebook against the one that its source stands for; by default those of a lesson."""
    return [fault for find in finders or CHECKS for fault in find(notebook, source)]


def drift(notebook, source) -> Iterator[Fault]:
    if not same_cells(notebook, source):
        yield 0, "it differs from its source; edit the source, then build"
    if [cell.get("id") for cell in notebook.cells] != [cell.id for cell in source.cells]:
        yield 0, "its cell ids are not the generated ones; build it again"


def executed_in_order(notebook, source) -> Iterator[Fault]:
    for number, (place, cell) in enumerate(_code(notebook), 1):
        if cell.execution_count is None:
            yield place, "not run"
        elif cell.execution_count != number:
            yield place, f"run as number {cell.execution_count}, expected {number}: out of order or run twice"


def errors(notebook, source) -> Iterator[Fault]:
    for place, cell in _code(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield place, f"an error in its output: {output.ename}"


def noise(notebook, source) -> Iterator[Fault]:
    for place, cell in _code(notebook):
        for output in cell.outputs:
            text = _text(output)
            if output.get("name") == "stderr":
                yield place, f"a warning or log line in its output: {text.strip().splitlines()[0][:80]!r}"
            elif DEBRIS.search(text):
                yield place, "remains of a progress bar in its output"


def machine_paths(notebook, source) -> Iterator[Fault]:
    for place, cell in _code(notebook):
        for output in cell.outputs:
            match = MACHINE_PATH.search(_text(output))
            if match:
                yield place, f"a path of one machine in its output: {match[0]!r}"


def widgets(notebook, source) -> Iterator[Fault]:
    saved = notebook.metadata.get("widgets")
    if saved is not None and any("state" not in value for value in saved.values()):
        yield 0, "widget metadata without `state`; GitHub shows an invalid notebook"
    states = {model for value in (saved or {}).values() for model in value.get("state", {})}
    for place, cell in _code(notebook):
        for output in cell.outputs:
            view = output.get("data", {}).get(WIDGET)
            if view is not None and view.get("model_id") not in states:
                yield place, "a widget whose state is not stored; readers see nothing"


def lengths(notebook, source) -> Iterator[Fault]:
    for place, cell in list(_code(notebook))[1:]:  # the first one is generated, longer once there is an address
        lines = len(cell.source.splitlines())
        if lines > MAX_LINES:
            yield place, f"{lines} lines; at most {MAX_LINES}"


def alt_texts(notebook, source) -> Iterator[Fault]:
    for place, cell in enumerate(notebook.cells, 1):
        for picture in re.findall(r"!\[([^\]]*)\]\(|<img(?![^>]*\balt=\"[^\"]{30,})", cell.source):
            if len(picture) < MIN_ALT and cell.cell_type == "markdown":
                yield place, "a picture without alt text"
        for output in cell.get("outputs", []):
            for kind in output.get("data", {}):
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "") if kind.startswith("image/") else None
                if alt is not None and len(alt) < MIN_ALT:
                    yield place, "a figure without alt text; show it with utils.plots.show"


def structure(notebook, source) -> Iterator[Fault]:
    first = notebook.cells[0].source if notebook.cells else ""
    for part in ("# ", "**You will be able to**", "**Time**", "**Needs**"):
        if part not in first:
            yield 1, f"the header lacks {part.strip()!r}"
    closing = [cell.source for cell in notebook.cells if cell.source.startswith(CLOSING)]
    points = re.findall(r"^- ", closing[0], re.MULTILINE) if closing else []
    if not 3 <= len(points) <= 5:
        yield len(notebook.cells), f"expected a closing cell {CLOSING!r} with three to five points, found {len(points)}"


def compared_cells(notebook, source, least: int = MIN_COMPARED_CELLS) -> Iterator[Fault]:
    compared = 0
    for place, cell in _code(notebook):
        if COMPARED in cell.metadata.get("tags", []):
            compared += bool(cell.outputs)
            if not cell.outputs:
                yield place, "its output is to be compared, but it has none"
        if re.search(r"#\s*NBVAL_", cell.source):
            yield place, f"{MARKER} must be the first line of its cell, and stand alone"
    if compared < least:
        yield 0, f"{compared} cells with {MARKER}; at least {least}"


def a_compared_cell(notebook, source) -> Iterator[Fault]:
    yield from compared_cells(notebook, source, least=1)


def budget(notebook, source) -> Iterator[Fault]:
    most = BUDGETS.get(source.metadata["course"]["name"][:2])
    if most is None:
        return
    texts = [cell.source for cell in source.cells if cell.cell_type == "markdown"]
    texts[0] = re.sub(r" · \[Open in Colab\]\S+", "", texts[0])
    code = [cell.source for _, cell in _code(source)][1:]
    counts = (
        sum(len(text.split()) for text in texts if not text.startswith("## Quiz")), len(code),
        sum(bool(line.strip()) for cell in code for line in cell.splitlines()),
    )  # fmt: skip
    for count, limit, what in zip(counts, most, ("words of text", "code cells", "lines of code"), strict=True):
        if count > limit:
            yield 0, f"{count:,} {what}; its budget has {limit:,}"


def checked_exercises(notebook, source) -> Iterator[Fault]:
    from utils.checks import exercises

    load_checks()
    matches = [CHECK.match(cell.source) for _, cell in _code(notebook)]
    asked = [match[1] for match in matches if match]
    lesson = source.metadata["course"]["exercises"][:2]
    expected = [exercise.id for exercise in exercises(lesson)]
    if asked != expected:
        yield 0, f"checks {', '.join(asked) or 'nothing'}; expected each exercise once, in order: {', '.join(expected)}"
    for place, cell in _code(notebook):
        if "check(" in cell.source and not CHECK.match(cell.source):
            yield place, 'a check must stand alone in its cell: check("01.1", name)'


def solved(notebook, source) -> Iterator[Fault]:
    from utils.checks import find

    load_checks()
    for place, cell in _code(notebook):
        match = CHECK.match(cell.source)
        if match:
            expected = f"{match[1]} ✓ Right. {find(match[1]).why}"
            if expected not in "".join(map(_text, cell.outputs)):
                yield place, f"its output is not {expected[:40]!r} …; build it with --force"


def no_outputs(notebook, source) -> Iterator[Fault]:
    for place, cell in _code(notebook):
        if cell.outputs or cell.execution_count is not None:
            yield place, "an exercise to fill in must come without outputs"


CHECKS: tuple[Callable[..., Iterator[Fault]], ...] = (
    drift, executed_in_order, errors, noise, machine_paths, widgets, lengths, alt_texts, structure, compared_cells,
    budget,
)  # fmt: skip
DEEPER_CHECKS = (*(check for check in CHECKS if check not in (compared_cells, budget)), a_compared_cell)
SOLUTION_CHECKS = (
    drift, executed_in_order, errors, noise, machine_paths, widgets, lengths, alt_texts, checked_exercises, solved
)  # fmt: skip
BLANK_CHECKS = (drift, lengths, checked_exercises, no_outputs)


def _code(notebook) -> Iterator[tuple[int, nbformat.NotebookNode]]:
    for place, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code" and cell.source.strip():
            yield place, cell


def _text(output) -> str:
    parts = [output.get("text", "")]
    parts += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)
