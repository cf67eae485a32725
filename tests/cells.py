"""The few cells of a lesson that some of its cells need, for tests that drive these and nothing else."""

from __future__ import annotations

import dis
from types import CodeType

from nbformat import NotebookNode


def needed_cells(cells: list[NotebookNode], text: str) -> list[NotebookNode]:
    """The first code cell, those that hold `text`, and those that define a name which one of these reads."""
    missing, needed = set(), []
    for cell in reversed(cells):
        reads, binds = names(compile(cell.source, cell.id, "exec"))
        if text in cell.source or binds & missing or cell is cells[0]:
            missing = (missing - binds) | reads
            needed.append(cell)
    return needed[::-1]


def names(code: CodeType) -> tuple[set[str], set[str]]:
    """The global names that a piece of code reads before it binds them itself, and those that it binds."""
    reads, binds = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_NAME", "STORE_GLOBAL"):
            binds.add(step.argval)
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL") and step.argval not in binds:
            reads.add(step.argval)
    for function in code.co_consts:
        if isinstance(function, CodeType):
            reads |= names(function)[0] - binds
    return reads, binds
