"""Which part of the project may import which, read off the code: imports inside functions count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tools.notebooks.files import ROOT

# Part -> the parts that it may import beside itself. Rooms of lessons may import nothing of each other.
ARROWS = {
    "utils": (),
    "scripts": ("utils",),
    "notebooks": ("utils",),
    "benchmarks": ("utils", "scripts"),
    "pretraining": ("utils",),
    "tools": ("utils",),
    "tests": ("utils", "scripts", "notebooks", "benchmarks", "pretraining", "tools"),
}


def faults(root: Path = ROOT) -> list[str]:
    """A line for each import against the arrows, and for each circle inside a part."""
    lines = []
    for part, allowed in ARROWS.items():
        modules = {module_name(path, root): path for path in sorted((root / part).rglob("*.py"))}
        graph = {module: set(imports(path)) for module, path in modules.items()}
        for module, imported in graph.items():
            for other in sorted(imported):
                if not may_import(module, other, allowed):
                    lines.append(f"{modules[module].relative_to(root).as_posix()}: it must not import {other}")
        try:
            inside = {module: imported & set(modules) for module, imported in graph.items()}
            TopologicalSorter(inside).prepare()
        except CycleError as error:
            lines.append(f"{part}: a circle of imports, {' → '.join(reversed(error.args[1]))}")
    return lines


def may_import(module: str, other: str, allowed: tuple[str, ...]) -> bool:
    """May `module` import `other`, where its part may import the parts `allowed` and itself?"""
    part, other_part = module.partition(".")[0], other.partition(".")[0]
    if other_part not in ARROWS or other_part in allowed:
        return True
    if part != "notebooks":
        return other_part == part
    return module.split(".")[:3] == other.split(".")[:3]  # the same room


def module_name(path: Path, root: Path) -> str:
    """The name under which a file is imported, for example "utils.checks"."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """The names of modules that a file imports, at its top or anywhere in it.

    `from utils import hub` gives "utils.hub", and so does `from utils.hub import BERT`, beside "utils.hub.BERT".
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
