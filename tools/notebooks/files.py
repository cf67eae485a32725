"""Where things stand, and what the project says about itself in one place."""

from __future__ import annotations

import os
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


def _about() -> dict[str, str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["course"]


def colab_address(name: str, address: str) -> str:
    """Where Colab opens the lesson `name`; `address` is the repository's, on GitHub."""
    where = f"{address.split('github.com/')[1]}/blob/{release()}/notebooks/{name}.ipynb"
    return f"https://colab.research.google.com/github/{where}"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)
