"""A small hub on this machine: the routes of the Hugging Face hub that the course uses, and every way to fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".parquet", ".bin")  # what the hub keeps outside git, under its SHA-256


class LoopbackHub:
    """Serves `folder/OWNER/NAME/…` at the course's pinned commits, each request in a thread of its own.

    Large files come from a second server, to which the first one redirects, as the real hub does. Use it in a `with`
    block; `address` is for HF_ENDPOINT, `asked` lists the requests. A `fault` is called with the handler of each
    request and returns True if it has answered in the hub's place.
    """

    def __init__(self, folder: Path, fault: Callable[[Handler], bool] = lambda handler: False) -> None:
        self.folder, self.fault, self.asked, self.stopped = folder, fault, [], threading.Event()
        self.server, self.store = (
            ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"hub": self, "is_store": is_store}))
            for is_store in (False, True)
        )
        self.address, self.store_address = (f"http://127.0.0.1:{one.server_port}" for one in (self.server, self.store))

    def __enter__(self) -> LoopbackHub:
        for one in (self.server, self.store):
            one.daemon_threads = True
            threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self.stopped.set()
        for one in (self.server, self.store):
            one.shutdown()
            one.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request. `what` is "info", "file" or, at the second server, "large file"."""

    hub: LoopbackHub
    is_store: bool

    def handle_request(self) -> None:
        self.url = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {self.url}")
        self.what = "large file" if self.is_store else "info" if self.url.startswith("/api/") else "file"
        try:
            if not self.hub.fault(self):
                self.info() if self.what == "info" else self.file()
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has gone

    do_GET = do_HEAD = handle_request

    def info(self) -> bool:
        from utils.hub import REPOSITORIES

        for repository in REPOSITORIES:
            start = f"/api/{repository.kind}s/{repository.name}"
            root = self.hub.folder / repository.name
            files = [listing(path) | {"path": path.relative_to(root).as_posix()} for path in sorted(root.rglob("*.*"))]
            if self.url == f"{start}/tree/{repository.revision}":
                return self.answer(200, json.dumps(files).encode())
            if self.url == f"{start}/revision/{repository.revision}":
                files = [{"rfilename": file["path"], "size": file["size"]} for file in files]
                return self.answer(200, json.dumps({"id": repository.name, "siblings": files}).encode())
        return self.answer(404, headers={"X-Error-Code": "RepoNotFound"})

    def file(self) -> bool:
        from utils.hub import REPOSITORIES

        for repository in REPOSITORIES:
            prefix = "/datasets" if repository.kind == "dataset" else ""
            start = f"{prefix}/{repository.name}/resolve/{repository.revision}/"
            path = self.hub.folder / repository.name / self.url.removeprefix(start)
            if self.url.startswith(start) and path.is_file():
                return self.content(path, repository.revision)
        return self.answer(404, headers={"X-Error-Code": "EntryNotFound"})

    def content(self, path: Path, revision: str) -> bool:
        listed, content = listing(path), path.read_bytes()
        etag = listed["lfs"]["oid"] if "lfs" in listed else listed["oid"]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": revision, "Accept-Ranges": "bytes"}
        if "lfs" in listed and not self.is_store:
            linked = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
            where = {"Location": self.hub.store_address + self.path, "ETag": '"of the redirect"'}
            return self.answer(302, b"Found. Redirecting", headers | linked | where)
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.answer(206 if start else 200, content[start:], headers)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None):
        """Send an answer; `length` is what it promises, if not the truth."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def log_message(self, *arguments) -> None:
        """Say nothing."""


def listing(path: Path) -> dict:
    """A file as the hub's API lists it in a tree."""
    content = path.read_bytes()
    git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    listed = {"type": "file", "size": len(content), "oid": git}
    if path.suffix in LARGE:
        sha256 = hashlib.sha256(content).hexdigest()
        listed["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return listed


# --- Ways to fail: each is a `fault` -----------------------------------------------------------------------------


def status(code: int, headers: dict[str, str] | None = None, times: float = float("inf"), of: str = "info"):
    """Answer so many requests of one kind (info, file, large file) with a status and nothing else."""
    left = [times]

    def fault(handler: Handler) -> bool:
        if handler.what != of or left[0] <= 0:
            return False
        left[0] -= 1
        return handler.answer(code, headers=headers)

    return fault


def black_hole(handler: Handler) -> bool:
    """Accept, and never answer."""
    return handler.hub.stopped.wait(60)


def of_weights(send: Callable[[Handler, bytes], bool], times: float = float("inf")):
    """A fault that answers so many requests for large files by `send(handler, content)`."""
    left = [times]

    def fault(handler: Handler) -> bool:
        if handler.what != "large file" or left[0] <= 0:
            return False
        left[0] -= 1
        owner, name, _, _, *path = handler.url.strip("/").removeprefix("datasets/").split("/")
        return send(handler, (handler.hub.folder / owner / name / Path(*path)).read_bytes())

    return fault


def trickle(kilobytes_a_second: float):
    """Send the weights, but slowly."""

    def send(handler: Handler, content: bytes) -> bool:
        handler.answer(200, length=len(content))
        for start in range(0, len(content), 1000):
            handler.wfile.write(content[start : start + 1000])
            handler.wfile.flush()
            if handler.hub.stopped.wait(1 / kilobytes_a_second):
                break
        return True

    return of_weights(send)


def cut(times: float = float("inf")):
    """Close the connection before the end of the weights."""
    return of_weights(lambda handler, content: handler.answer(200, content[:-1000], length=len(content)), times)


def shorter(handler: Handler, content: bytes) -> bool:
    """Send less of the weights than was promised before, and call that all."""
    return handler.answer(200, content[: len(content) // 2])


def wrong_content(handler: Handler, content: bytes) -> bool:
    """Send weights of the right size that are not those listed."""
    return handler.answer(200, content[:-1] + bytes([content[-1] ^ 1]))


def garbage(handler: Handler) -> bool:
    """Answer as the login page of a café does."""
    return handler.what == "info" and handler.answer(200, b"<html>Welcome! Please log in.</html>")


def circle(handler: Handler) -> bool:
    """Send every request round in a circle."""
    return handler.answer(302, headers={"Location": f"{handler.hub.address}{handler.path}"})


def half(event: threading.Event):
    """Send half of the weights, say so, and wait: time to kill whoever asked."""

    def send(handler: Handler, content: bytes) -> bool:
        handler.answer(200, content[: len(content) // 2], length=len(content))
        event.set()
        return handler.hub.stopped.wait(60)

    return of_weights(send)
