"""Where things stand, and what the project says about itself in one place."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = ROOT / "notebooks"
SOURCES = NOTEBOOKS / "source"
PICTURES = ROOT / "docs" / "pictures"
README = ROOT / "README.md"
PAGE_STYLE = ROOT / "tools" / "page.css"


def repository() -> str | None:
    """The course's public address from pyproject.toml; None until its owner sets it."""
    return _about()["repository"].rstrip("/") or None


def release() -> str:
    """The tag at which Colab fetches the course, from pyproject.toml."""
    return _about()["release"]


def state() -> str | None:
    """The commit and its day, for example "3a58f61, 2026-11-30"; None outside a clone."""
    try:
        asked = subprocess.run(["git", "log", "-1", "--format=%h, %cs"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return asked.stdout.strip() or None


def _about() -> dict[str, str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["course"]


def colab_address(name: str, address: str) -> str:
    """Where Colab opens the lesson `name`; `address` is the repository's, on GitHub."""
    where = f"{address.split('github.com/')[1]}/blob/{release()}/notebooks/{name}.ipynb"
    return f"https://colab.research.google.com/github/{where}"
