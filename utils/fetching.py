"""The process that fetches from the hub, run by `utils.hub`: a thread works, with huggingface_hub, and another watches.

It speaks in lines of JSON: how many bytes came, ten times a second; a note for the user; at the end that it is done or
why it failed. It ends when nobody reads them any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from utils.console import run_program
from utils.files import NO_PLACE, REMEDY, write_atomically
from utils.hub import ADDRESS, PATTERNS, RECORD, Repository, present

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
CAN_RUN = (".bin", ".pt", ".pth", ".pkl", ".h5", ".msgpack", ".py")
SLOWEST, SLOWEST_DISK = 50_000, 10_000_000  # bytes a second; with less from the hub, bert-base would take hours
ATTEMPTS = 3
START = 20.0  # seconds beside the patience, on a machine that is busy


class Refusal(Exception):
    """Why the course does not use what the hub has or sends, as half a sentence."""


class Fetching:
    """Parts of a repository on their way to its folder: `run` is for one thread, `watch` for another."""

    def __init__(self, repository: Repository, parts: set[str], patience: float) -> None:
        self.repository, self.parts, self.patience = repository, parts, patience
        self.responses, self.answers, self.grace = [], 0, START  # `answers` counts those that brought something
        self.host, self.trouble = _host(), ""  # whom it asked last, and what came instead
        self.total, self.limit = 0, float("inf")  # bytes of the files, and far too many for them
        self.has_lock, self.outcome = False, {}

    def run(self) -> None:
        """Fetch, check and record, again where that may help; leaves an `outcome`."""
        for left in reversed(range(ATTEMPTS)):
            try:
                with self._lock():
                    self.has_lock, self.trouble = True, ""
                    self._step(grace=START)  # for the imports
                    if not self.parts <= present(self.repository):  # another notebook may have fetched it meanwhile
                        self._fetch()
                self.outcome = {"done": True}
                return
            except Exception as error:
                self.trouble, may_pass = self._explain(error)
            self.has_lock, self.outcome = False, {"failed": self.trouble}
            if not left or not may_pass:
                return
            _say(note=f"{self.trouble[0].upper()}{self.trouble[1:]}; trying again.")
            time.sleep(self.patience / 4)

    def watch(self, thread: threading.Thread) -> dict:
        """Say how far the thread is until it ends, or until too little comes; returns the outcome."""
        answers, received, moved = 0, 0, time.monotonic()
        while thread.is_alive():
            thread.join(0.1)
            now, size = time.monotonic(), self._received()
            _say(received=size, total=self.total)
            if self.has_lock:
                os.utime(self.repository.folder)  # so that a notebook that waits sees this one at work
            if self.answers > answers or size - received >= SLOWEST * self.patience:
                answers, received, moved = self.answers, size, now
            if size > self.limit:
                return {"failed": f"the download of {self.repository.name} broke off again and again"}
            if now - moved > self.patience + self.grace:
                silent = f"did not answer{_through_a_proxy()} within {self.patience:.0f} s"
                slow = f"sends less than {SLOWEST / 1000:.0f} kB of {self.repository.name} a second"
                return {"failed": self.trouble or f"{self.host} {slow if size > received else silent}"}
        return self.outcome

    def _received(self) -> int:
        return sum(response.num_bytes_downloaded for response in self.responses)

    def _step(self, grace: float = 0) -> None:
        self.answers, self.grace = self.answers + 1, grace

    def _lock(self):
        from filelock import FileLock, Timeout

        folder, seen = self.repository.folder, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock")
        while True:
            with contextlib.suppress(Timeout):
                return lock.acquire(timeout=0.5)
            if not seen:
                _say(note=f"Another notebook is fetching {self.repository.name}; waiting for it.")
                self.trouble = f"another notebook is fetching {self.repository.name}, and gets nothing"
            before, seen = seen, folder.stat().st_mtime
            if seen != before:
                self._step()

    def _fetch(self) -> None:
        from huggingface_hub import HfApi, set_client_factory, snapshot_download
        from huggingface_hub.utils import get_session

        hooks = {"request": [self._asked], "response": [self._answered]}
        client = type(get_session())  # httpx's or httpx2's, as the library has it
        set_client_factory(lambda: client(event_hooks=hooks, follow_redirects=True, timeout=None))
        self._step()
        name, folder, notes = self.repository.name, self.repository.folder, self.repository.folder / ".cache"
        where = {"repo_id": name, "repo_type": self.repository.kind, "revision": self.repository.revision}
        api = HfApi(token=False)  # all of it is public, so a token that is no longer good is not in the way
        listed = {file.rfilename: file.size for file in api.repo_info(**where, files_metadata=True).siblings}
        files = {part: self._files(part, listed) for part in self.parts}
        sizes = {file: size for part in files.values() for file, size in part.items()}
        self.total = sum(sizes.values())
        self.limit = self._received() + 2 * self.total + 100_000  # for what lists the files
        shutil.rmtree(notes, ignore_errors=True)  # the library's, perhaps of a run that was killed
        snapshot_download(**where, local_dir=folder, allow_patterns=list(sizes), max_workers=1, token=False)
        self._step(grace=self.total / SLOWEST_DISK)
        check = api.verify_repo_checksums(**where, local_dir=folder)
        bad = {entry["path"] for entry in check.mismatches} | set(check.missing_paths)
        for file in sizes:
            if file in bad:
                (folder / file).unlink(missing_ok=True)
                raise Refusal(f"{file} of {name} is not the file that the hub lists (its hash differs)")
            if file.endswith("config.json") and "auto_map" in json.loads((folder / file).read_text(encoding="utf-8")):
                raise Refusal(f"{name} asks to run code of its own (auto_map in {file}), which the course never does")
        shutil.rmtree(notes, ignore_errors=True)
        for part, content in files.items():
            write_atomically(folder / RECORD.format(part), json.dumps(content, indent=1))

    def _files(self, part: str, listed: dict[str, int]) -> dict[str, int]:
        """File -> bytes, of those that make up a part."""
        patterns = [f"/{pattern}" for pattern in PATTERNS[part]]  # with /, * stops at a folder
        files = {file: size for file, size in listed.items() if any(map(PurePosixPath(f"/{file}").match, patterns))}
        if not files:
            others = ", ".join([file for file in listed if file.endswith(CAN_RUN)][:3])
            instead = f", only {others}: files that can run code when they are loaded" if others else ""
            lacks = f"{self.repository.name} at {self.repository.revision[:7]} has no {' or '.join(PATTERNS[part])}"
            raise Refusal(f"{lacks}{instead}. The course refuses it")
        return files

    def _asked(self, request) -> None:
        self.host = _host(str(request.url))

    def _answered(self, response) -> None:
        self.responses.append(response)
        if response.status_code < 400:
            self.trouble = ""
            self._step()
        else:  # the library may try again by itself, after more than anybody's patience
            self.trouble = self._describe(response)

    def _describe(self, response) -> str:
        answered = f"answered {response.status_code} ({response.reason_phrase})"
        after = response.headers.get("Retry-After", "")
        wait = f" and asks to wait {after} s" if after.isdigit() else ""
        commit = f"{self.repository.name} at {self.repository.revision[:7]}"
        return f"{_host(str(response.url))} {answered}{wait} for {commit}"

    def _explain(self, error: Exception) -> tuple[str, bool]:
        """What to say about an error, and whether another try may help."""
        from huggingface_hub.errors import HfHubHTTPError

        if isinstance(error, Refusal):
            return str(error), False
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            return self._describe(error.response), status in (408, 429) or status >= 500
        if isinstance(error, OSError) and error.errno in NO_PLACE:
            place = f"{self.repository.folder}: {error.strerror}"
            return f"its files cannot be written to {place}. {REMEDY.rstrip('.')}", False
        if isinstance(error, json.JSONDecodeError):
            page = "a login page of this network may be in between"
            return f"{self.host} sends something that no hub sends; {page}", False
        asked = self.host
        with contextlib.suppress(AttributeError, RuntimeError):  # the client's errors know it; others came since
            asked = _host(str(error.request.url))
        proxy, text = _through_a_proxy(), (str(error).splitlines() or [type(error).__name__])[0]
        reason = "" if proxy else f" ({text})"  # the text may have the proxy's password
        return f"fetching {self.repository.name} from {asked}{proxy} failed{reason}", True


def _host(address: str = "") -> str:
    """Who is behind an address, without a password: the hub, or a second server to which it sends for large files."""
    hub = os.environ.get("HF_ENDPOINT") or ADDRESS
    place, place_of_hub = (urlsplit(url).netloc.rpartition("@")[2] for url in (address or hub, hub))
    if place == place_of_hub:
        return f"the hub at {place}"
    return f"{place}, from which the hub lets its files be fetched,"


def _through_a_proxy() -> str:
    """Which variable names the proxy, if one does; never the proxy itself, since it may hold a password."""
    names = [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    return f" through the proxy that {names[0]} names" if names else ""


def _say(**event) -> None:
    try:
        sys.stdout.write(json.dumps(event) + "\n")  # in one piece, since two threads speak
        sys.stdout.flush()
    except OSError:  # whoever started this process has ended, however that happened
        os._exit(1)


def main() -> None:
    """Fetch what the command line says: kind, name and commit of a repository, seconds of patience, parts."""
    kind, name, revision, patience, *parts = sys.argv[1:]
    fetching = Fetching(Repository(kind, name, revision), set(parts), float(patience))
    thread = threading.Thread(target=fetching.run, daemon=True)
    thread.start()
    _say(**fetching.watch(thread))


if __name__ == "__main__":
    run_program(main)
