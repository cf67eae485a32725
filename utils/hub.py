"""The Hugging Face hub, for the `full` profile: pinned files are fetched once, checked, and kept in the cache.

A process of its own fetches (`utils.fetching`), and a lesson reads nothing before all that it uses was compared with
the hashes that the hub lists. After that the hub is switched off and lessons read folders.

The weekly job lists the pinned commits beside the newest ones; to move on, change those of REPOSITORIES.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from utils.files import CACHE_VARIABLE, ROOT, cache_folder

ADDRESS = "https://huggingface.co"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
LAYOUT = "1"  # raise it when what is kept changes; older folders are then left unread
RECORD = "fetched-{}.json"  # the files of a part and their bytes; written last, so a part without it is not read


@dataclass(frozen=True)
class Repository:
    """A model or a data set on the hub, at one commit.

    Attributes:
        kind: "model" or "dataset".
        name: owner/name.
        revision: the commit that the course was tested with, 40 hex digits.
    """

    kind: str
    name: str
    revision: str

    @property
    def folder(self) -> Path:
        """Where it is kept; its last part is the name without the owner."""
        return cache_folder() / f"hub-{LAYOUT}" / self.revision / self.name.rpartition("/")[2]


BERT = Repository("model", "google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594")
GPT2 = Repository("model", "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e")
T5 = Repository("model", "google-t5/t5-small", "df1b051c49625cf57a3d0d8d3863ed4d13564fe4")
IMDB = Repository("dataset", "stanfordnlp/imdb", "e6281661ce1c48d982bc483cf8a173c1bbeb5d31")
REPOSITORIES = (BERT, GPT2, T5, IMDB)

# Formats that hold data and nothing that could run: no pickle (.bin, .pt, .pkl, .h5) and no .py is ever fetched.
PATTERNS = {
    "tokenizer": ("*.json", "*.txt"),  # with the configuration
    "weights": ("*.safetensors",),
    "reviews": ("*/train-*.parquet", "*/test-*.parquet"),
}
PARTS = {"model": ("tokenizer", "weights"), "dataset": ("reviews",)}

# What the hub settings were when this kernel started: the course switches the hub off, for itself only.
_SETTINGS = {name: os.environ.get(name, "") for name in OFFLINE}


class HubError(Exception):
    """Why the hub is of no use here, as half a sentence: "the hub at … answered 503 (Service Unavailable)"."""


def fetch(wanted: dict[Repository, set[str]], patience: float) -> None:
    """Fetch what is not here yet; returns at once where all is.

    Args:
        wanted: repository -> parts of it, see PARTS.
        patience: seconds without progress after which the hub is given up.

    Raises:
        HubError: the hub cannot be reached or used, sends what it should not, or there is no place for the files.
    """
    missing = {repository: parts - present(repository) for repository, parts in wanted.items()}
    missing = {repository: parts for repository, parts in missing.items() if parts}
    for variable in OFFLINE:
        if missing and _SETTINGS.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}:
            names = ", ".join(repository.name for repository in missing)
            raise HubError(f"{variable} is set, and {names} has not been fetched before")
    for repository, parts in missing.items():
        _run_process(repository, parts, patience)


def present(repository: Repository) -> set[str]:
    """The parts of a repository that were fetched whole and are still there."""
    return {part for part in PARTS[repository.kind] if _is_whole(repository.folder, RECORD.format(part))}


def _is_whole(folder: Path, record: str) -> bool:
    try:
        sizes = json.loads((folder / record).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _run_process(repository: Repository, parts: set[str], patience: float) -> None:
    """Run the process that fetches, and show what it says; it ends with this one, and by an interrupt."""
    from tqdm.auto import tqdm

    timeout = str(max(1, int(patience / 2)))
    environment = {name: value for name, value in os.environ.items() if name not in OFFLINE} | {
        CACHE_VARIABLE: str(cache_folder()),
        "HF_HUB_DISABLE_XET": "1",  # files come as plain downloads, whose progress can be seen
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": timeout,
        "HF_HUB_DOWNLOAD_TIMEOUT": timeout,
    }
    order = [repository.kind, repository.name, repository.revision, str(patience), *sorted(parts)]
    with (
        subprocess.Popen(
            [sys.executable, "-m", "utils.fetching", *order], env=environment, cwd=ROOT, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process,
        tqdm(desc=repository.name, unit="B", unit_scale=True, leave=False, delay=1) as bar,
    ):  # fmt: skip
        try:
            for line in process.stdout:
                event = json.loads(line)
                if "failed" in event:
                    raise HubError(event["failed"])
                if "done" in event:
                    return
                if "note" in event:
                    print(event["note"])
                if event.get("total"):
                    bar.total = event["total"]
                    bar.update(min(event["received"], bar.total) - bar.n)
        finally:
            process.kill()
    raise HubError(f"the download of {repository.name} ended unexpectedly (exit status {process.returncode})")
