"""What requirements.txt asks for, and whether this kernel has it; needs nothing but the standard library."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

from utils.errors import CourseError
from utils.files import ROOT

REQUIREMENTS = ROOT / "requirements.txt"
ENCODER = "all-mpnet-base-v2"  # in pieces; `full` needs none of them, and who reads them says which is missing
NOT_IN_A_KERNEL = {"jupyterlab"}  # the server may live in another environment, and Colab has its own


def require_packages(requirements: Path = REQUIREMENTS) -> None:
    """Raise one clear line if this kernel lacks a package of requirements.txt or has too old a release."""
    problems = lacking(requirements)
    if problems:
        raise CourseError(
            f"This kernel ({Path(sys.prefix).name}) lacks {', '.join(map(_with_found, problems.values()))}. "
            f'Run: "{sys.executable}" -m pip install -r "{requirements}"  then restart the kernel. '
            "After `make setup`, choose the kernel of the course's folder .venv."
        )


def lacking(requirements: Path = REQUIREMENTS, encoder: bool = False) -> dict[str, str]:
    """Package -> its requirement, such as "peft>=0.18", for each that is missing or older than that.

    Args:
        requirements: the file.
        encoder: look for the pieces of the base-size encoder too.
    """
    missing = {}
    for name, line in _lines(requirements).items():
        if name in NOT_IN_A_KERNEL or (name.startswith(ENCODER) and not encoder):
            continue
        try:
            fits = _numbers(importlib.metadata.version(name)) >= _numbers(line[2])
        except importlib.metadata.PackageNotFoundError:
            fits = False
        if not fits:
            missing[name] = line[0]
    return missing


def read_requirements(path: Path) -> dict[str, str]:
    """Package -> lowest version, from the lines `name>=version` or `name==version` of a requirements file."""
    return {name: match[2] for name, match in _lines(path).items()}


def _lines(path: Path) -> dict[str, re.Match]:
    lines = path.read_text(encoding="utf-8").splitlines()
    matches = (re.match(r"([A-Za-z0-9_.-]+)[>=]=([0-9][0-9a-z.]*)", line) for line in lines)
    return {match[1].lower(): match for match in matches if match}


def _with_found(requirement: str) -> str:
    name = re.split(r"[>=]=", requirement)[0]
    try:
        return f"{requirement} (found {importlib.metadata.version(name)})"
    except importlib.metadata.PackageNotFoundError:
        return name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])
