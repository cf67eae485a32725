"""The Hugging Face hub, for the `full` profile: pinned files are fetched once, checked, and kept in the cache.

Whatever a hub does (it refuses, stalls, sends half a file or the wrong one), it has one place and ends in one line:
a process of its own fetches, the first cell watches and stops it, and a lesson reads nothing before all of a repository
has been compared with the hashes that the hub lists. After that the hub is switched off and lessons read folders.

`python -m tools.pins` lists the pinned commits beside the newest ones; to move on, change REPOSITORIES.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from utils.files import CACHE_VARIABLE, NO_PLACE, cache_folder, write_atomically

ADDRESS = "https://huggingface.co"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
LAYOUT = "1"  # raise it when what is kept changes; older folders are then left unread
RECORD = "fetched.json"  # written last, so a folder without it is not read
SLOWEST = 50_000  # bytes a second; with less, bert-base would take hours
ATTEMPTS = 3  # in a row, none of which brought anything
START = 20.0  # seconds that the process which fetches may take to begin, on a machine that is busy


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
    missing = {repository: parts - _present(repository) for repository, parts in wanted.items()}
    missing = {repository: parts for repository, parts in missing.items() if parts}
    if not missing:
        return
    for variable in OFFLINE:
        if _SETTINGS.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}:
            names = ", ".join(repository.name for repository in missing)
            raise HubError(f"{variable} is set, and {names} has not been fetched before")
    from filelock import FileLock

    for repository, parts in missing.items():
        try:
            repository.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{repository.folder}.lock")
            _acquire(lock, repository, patience)
        except OSError as error:
            raise HubError(_no_place(error, repository.folder)) from error
        try:
            if not parts <= _present(repository):  # another notebook may have fetched it meanwhile
                _supervise(repository, parts, patience)
        finally:
            lock.release()


def _acquire(lock, repository: Repository, patience: float) -> None:
    """Wait for another notebook that fetches the same, as long as it gets something."""
    from filelock import Timeout

    size, wait = None, 1.0
    while True:
        try:
            lock.acquire(timeout=wait)
            return
        except Timeout:
            before, size, wait = size, _size(repository.folder), patience
        if size == before:
            raise HubError(f"another notebook is fetching {repository.name}, and gets nothing")
        if before is None:
            print(f"Another notebook is fetching {repository.name}; waiting for it.")


def _present(repository: Repository) -> set[str]:
    """The parts of a repository that were fetched whole and are still there."""
    try:
        record = json.loads((repository.folder / RECORD).read_text(encoding="utf-8"))
        sizes = {part: files for part, files in record.items() if part in PARTS[repository.kind]}
        return {
            part
            for part, files in sizes.items()
            if all((repository.folder / name).stat().st_size == size for name, size in files.items())
        }
    except (OSError, ValueError, AttributeError):
        return set()


def _supervise(repository: Repository, parts: set[str], patience: float) -> None:
    """Run the process that fetches; say its retries aloud; stop it when nothing moves."""
    settings = {
        CACHE_VARIABLE: str(cache_folder()),
        "HF_HUB_DISABLE_XET": "1",  # files come as plain downloads, whose progress can be seen
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": str(max(2, int(patience / 2))),
        "HF_HUB_DOWNLOAD_TIMEOUT": str(max(2, int(patience / 2))),
        "PYTHONUNBUFFERED": "1",
    }
    for left in repository.folder.rglob("*.incomplete"):  # by a run that was killed; the library begins anew
        left.unlink()
    order = [repository.kind, repository.name, repository.revision, *sorted(parts)]
    environment = {name: value for name, value in os.environ.items() if name not in OFFLINE} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "utils.hub", *order], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=environment, cwd=Path(__file__).parent.parent, encoding="utf-8", errors="replace",
    )  # fmt: skip
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        _watch(lines, repository, patience)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdin.close()
        process.stdout.close()


def _read(stream, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _watch(lines: queue.Queue[str | None], repository: Repository, patience: float) -> None:
    """Follow what the process says and what it brings, until it is done; raise HubError when that is too little."""
    from tqdm.auto import tqdm

    known, last, complaint, patient = set(), "it said nothing", None, START
    moved, bytes_then, most, setbacks = time.monotonic(), _size(repository.folder), 0, 0
    with tqdm(desc=repository.name, unit="B", unit_scale=True, leave=False, delay=1) as bar:
        while True:
            size = _size(repository.folder)
            bar.update(max(0, size - bar.n))
            if size < bytes_then:  # a file is begun anew, and counts anew
                bytes_then, setbacks = size, setbacks + 1
            if size > most:
                most, setbacks = size, 0
            if setbacks == ATTEMPTS - 1:
                raise HubError(f"the download of {repository.name} broke off again and again")
            if size - bytes_then >= SLOWEST * patience:
                complaint, moved, bytes_then = None, time.monotonic(), size
            elif time.monotonic() - moved > patient:
                speed = f"less than {SLOWEST / 1000:.0f} kB of {repository.name} a second"
                silent = f"sends {speed}" if bar.total else f"did not answer within {patience:.0f} s"
                raise HubError(complaint or f"{_host()} {silent}")
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                continue
            if line is None:
                raise HubError(f"the download of {repository.name} ended unexpectedly ({last})")
            if not line.startswith("{"):
                last = line.strip() or last
                continue
            event = json.loads(line)
            if "done" in event:
                return
            if "failed" in event:
                raise HubError(event["failed"])
            if "retry" in event:
                complaint = event["retry"]
                print(f"{complaint[0].upper()}{complaint[1:]}; trying again.")
            elif line not in known:  # said for the first time, so it is progress
                known.add(line)
                bar.total, complaint, moved, patient = event.get("total", bar.total), None, time.monotonic(), patience


def _size(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # just moved to its place
                total += os.path.getsize(os.path.join(root, name))
    return total


def _host() -> str:
    return f"the hub at {_place(os.environ.get('HF_ENDPOINT') or ADDRESS)}"


def _place(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2]


def _through_a_proxy() -> str:
    """Which variable names the proxy, if one does; never the proxy itself, since it may hold a password."""
    set_ones = [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    return f" through the proxy that {set_ones[0]} names" if set_ones else ""


def _no_place(error: OSError, folder: Path) -> str:
    return (
        f"its files cannot be written to {folder}: {error.strerror or error}. "
        f"Make room there (1.5 GB for all), or set {CACHE_VARIABLE} to a folder that can be written"
    )


# What the hub settings were when this kernel started: the course switches the hub off, for itself only.
_SETTINGS = {name: os.environ.get(name, "") for name in OFFLINE}


# --- The process that fetches ------------------------------------------------------------------------------------


def _say(**event) -> None:
    print(json.dumps(event), flush=True)


class _Temporary(Exception):
    """A reason that may go away, and the seconds that the hub asks to wait, if it does."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Retries(logging.Handler):
    """The library's own retries, said aloud."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("HTTP Error "):
            _say(retry=f"{_host()} answered {text.split()[2]}")
        elif text.startswith("Error while downloading"):
            _say(retry=f"the download from {_place(str(record.args[0]))} broke off{_through_a_proxy()}")


def _download(repository: Repository, parts: set[str]) -> None:
    """Fetch and check the files of some parts, then record them."""
    from huggingface_hub import HfApi, constants, get_token, hf_hub_download  # noqa: F401, to be ready

    constants.DOWNLOAD_CHUNK_SIZE = 2**14  # by default 10 MB: a slow line would look like a dead one
    threading.Thread(target=_end_with_the_kernel, daemon=True).start()
    logger = logging.getLogger("huggingface_hub")
    logger.handlers, logger.propagate = [_Retries()], False
    _say(ready=True)
    failures, bad, token = 0, set(), None
    while True:
        before = _size(repository.folder)
        try:
            _attempt(repository, parts, bad, token)
            return
        except Exception as error:
            if _status(error) == 401 and token is None and get_token():
                token = False  # all of it is public, so a token that is no longer good must not be in the way
                _say(retry=f"{_host()} does not take the token that is stored here or in HF_TOKEN")
                continue
            reason = _explain(error, repository)
            if not isinstance(reason, _Temporary):
                _say(failed=reason)
                return
            failures = failures + 1 if _size(repository.folder) == before else 1
            pause = 2.0 ** (failures - 1) if reason.wait is None else reason.wait
            if failures == ATTEMPTS or pause > float(os.environ["HF_HUB_ETAG_TIMEOUT"]):
                _say(failed=str(reason))
                return
            _say(retry=str(reason))
            time.sleep(pause)


def _end_with_the_kernel() -> None:
    os.read(0, 1)  # ends when whoever started this process ends, however that happens
    os._exit(1)


def _attempt(repository: Repository, parts: set[str], bad: set[str], token) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    kind, name, revision = repository.kind, repository.name, repository.revision
    timeout = float(os.environ["HF_HUB_ETAG_TIMEOUT"])
    info = HfApi(token=token).repo_info(name, repo_type=kind, revision=revision, files_metadata=True, timeout=timeout)
    listed = {file.rfilename: file for file in info.siblings}
    files = {part: [one for one in listed if any(_matches(one, of) for of in PATTERNS[part])] for part in parts}
    _refuse_what_could_run(repository, files, list(listed))
    _say(total=sum(listed[one].size for chosen in files.values() for one in chosen))
    for one in [one for part in sorted(files) for one in files[part]]:
        path = repository.folder / one
        hf_hub_download(name, one, repo_type=kind, revision=revision, local_dir=repository.folder, token=token)
        if not _is(path, listed[one]):
            path.unlink()
            if one in bad:
                raise _Wrong(f"{one} of {name} is not the file that the hub lists (its hash differs)")
            bad.add(one)
            raise _Temporary(f"{_host()} sent another {one} than it lists")
        if one.endswith("config.json") and "auto_map" in json.loads(path.read_text(encoding="utf-8")):
            raise _Wrong(f"{name} asks to run code of its own (auto_map in {one}), which the course never does")
        _say(file=one)
    record = repository.folder / RECORD
    kept = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    kept |= {part: {one: listed[one].size for one in chosen} for part, chosen in files.items()}
    write_atomically(record, json.dumps(kept, indent=1))
    shutil.rmtree(repository.folder / ".cache", ignore_errors=True)  # the library's notes on the download
    _say(done=True)


class _Wrong(Exception):
    """A reason that will not go away."""


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) and name.count("/") == pattern.count("/")


def _refuse_what_could_run(repository: Repository, files: dict[str, list[str]], listed: list[str]) -> None:
    for part, chosen in files.items():
        if not chosen:
            others = [one for one in listed if one.endswith((".bin", ".pt", ".pth", ".pkl", ".h5", ".msgpack", ".py"))]
            instead = f", only {', '.join(others[:3])}: files that can run code when they are loaded" if others else ""
            raise _Wrong(
                f"{repository.name} at {repository.revision[:7]} has no {' or '.join(PATTERNS[part])}{instead}. "
                "The course refuses it"
            )


def _is(path: Path, listed) -> bool:
    """Does a file have the size and the hash that the hub lists? Large files have a SHA-256, small ones git's."""
    if path.stat().st_size != listed.size:
        return False
    if listed.lfs is None:
        content = path.read_bytes()
        return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest() == listed.blob_id
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(2**25):
            digest.update(block)
            _say(checked=stream.tell())  # on a slow disk this takes longer than the kernel's patience
    return digest.hexdigest() == listed.lfs.sha256


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _explain(error: BaseException, repository: Repository) -> str | _Temporary:
    """What to tell about an error, and whether another try may help."""
    if type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__ is not None:
        error = error.__cause__  # the library's wrapping of what happened
    host, text, kind, status = _host(), str(error), type(error).__name__, _status(error)
    if isinstance(error, _Temporary):
        return error
    if isinstance(error, _Wrong):
        return text
    if status is not None:
        return _explain_status(error.response, repository)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        what = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it cannot be verified"
        clock = f"this machine's clock says {time.strftime('%Y-%m-%d %H:%M')}, set it if that is wrong"
        return f"the certificate of {host} is refused ({what}); {clock}"
    if kind == "TooManyRedirects":
        return f"{host} sends requests round in a circle"
    if kind == "JSONDecodeError":
        return f"{host} answers with something that no hub sends; a login page of this network may be in between"
    if "Consistency check failed" in text:
        return _Temporary(f"{host} sent less than it promised")
    if isinstance(error, OSError) and error.errno in NO_PLACE:
        return _no_place(error, repository.folder)
    proxy = _through_a_proxy()
    where = getattr(getattr(error, "_request", None), "url", None)  # a large file comes from another host
    if where is not None and _place(str(where)) not in host:
        host = f"{_place(str(where))}, from which the hub lets its files be fetched,"
    if "Timeout" in kind:
        return _Temporary(f"{host} did not answer{proxy} within {os.environ['HF_HUB_ETAG_TIMEOUT']} s")
    if isinstance(error, OSError) or type(error).__module__.startswith("httpx"):
        return _Temporary(f"{host} cannot be reached{proxy or f' ({(text.splitlines() or [kind])[0]})'}")
    return f"the download of {repository.name} failed ({kind}: {text})"


def _explain_status(response, repository: Repository) -> str | _Temporary:
    host, status = _host(), response.status_code
    if _place(str(response.url)) not in host:
        host = f"{_place(str(response.url))}, from which the hub lets its files be fetched,"
    elif status in (401, 403):
        return f"{host} answered {status}: it does not let us read {repository.name} without a valid HF_TOKEN"
    elif status == 404:
        return f"{host} has no {repository.name} at {repository.revision[:7]} (404)"
    answered = f"{host} answered {status} ({response.reason_phrase})"
    if status not in (408, 429) and status < 500:
        return answered
    after = response.headers.get("Retry-After", "")
    wait = float(after) if after.isdigit() else None
    return _Temporary(answered if wait is None else f"{answered} and asks to wait {wait:.0f} s", wait)


if __name__ == "__main__":
    kind, name, revision, *parts = sys.argv[1:]
    _download(Repository(kind, name, revision), set(parts))
