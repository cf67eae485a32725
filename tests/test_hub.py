"""Fetching from a hub on this machine: what is fetched, and every fault that a hub or a network has."""

import contextlib
import datetime
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trustme
from filelock import FileLock

from tests import loopback_hub as loopback
from utils import fetching, files, hub, profiles
from utils.errors import CourseError

ROOT = Path(__file__).parent.parent
BERT = {hub.BERT: {"tokenizer", "weights"}}
PATIENCE = 1.2  # seconds
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """Files that nobody loads, under the real names; the loopback hub serves them."""
    folder, numbers = tmp_path_factory.mktemp("hub"), random.Random(0)
    for repository in (hub.BERT, hub.GPT2):
        (folder / repository.name / "onnx").mkdir(parents=True)
        for name, content in (
            ("config.json", b"{}"), ("tokenizer.json", b"[]" * 5000), (WEIGHTS, numbers.randbytes(300_000)),
            ("onnx/config.json", b"{}"), ("pytorch_model.bin", b"a pickle"), ("README.md", b"# A model"),
        ):  # fmt: skip
            (folder / repository.name / name).write_bytes(content)
    (folder / hub.IMDB.name / "plain_text").mkdir(parents=True)
    for split in ("train", "test", "unsupervised"):
        name = f"plain_text/{split}-00000-of-00001.parquet"
        (folder / hub.IMDB.name / name).write_bytes(split.encode())
    return folder


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """An empty cache, no setting of the hub or of a proxy."""
    for name in ("COURSE_PROFILE", "HF_TOKEN", "NO_PROXY", *hub.OFFLINE, *fetching.PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setitem(hub._SETTINGS, name, "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as in a kernel that has begun; put back afterwards
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return monkeypatch


@pytest.fixture
def here(machine, stand_ins):
    """A hub that works; set its `fault` to change that."""
    with loopback.LoopbackHub(stand_ins) as running:
        machine.setenv("HF_ENDPOINT", running.address)
        yield running


def is_bert(stand_ins) -> bool:
    """Is all of BERT here, whole, and nothing else but the records?"""
    here, served, names = hub.BERT.folder, stand_ins / hub.BERT.name, {"config.json", "tokenizer.json", WEIGHTS}
    whole = all((here / name).read_bytes() == (served / name).read_bytes() for name in names)
    records = set(map(hub.RECORD.format, hub.PARTS["model"]))
    return whole and set(os.listdir(here)) == names | records and hub.present(hub.BERT) == BERT[hub.BERT]


def failure(wanted=BERT, patience=PATIENCE) -> str:
    """The line with which the fetch fails; nothing that it left is taken for whole."""
    with pytest.raises(hub.HubError) as caught:
        hub.fetch(wanted, patience)
    assert "\n" not in str(caught.value)
    for repository in wanted:
        assert hub.present(repository) == set()
    return str(caught.value)


def notebook(patience: float) -> subprocess.Popen:
    """Another kernel, which fetches BERT."""
    code = f"from utils import hub; hub.fetch({{hub.BERT: {{'tokenizer', 'weights'}}}}, {patience})"
    environment = {name: value for name, value in os.environ.items() if name not in hub.OFFLINE}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def downloads(here) -> list[str]:
    """The files that were asked for, in order."""
    return [line.rpartition("/")[2] for line in here.asked if line.startswith("GET") and "/resolve/" in line]


# --- What is fetched, and what is not ----------------------------------------------------------------------------


def test_what_is_here_is_not_asked_for_again_and_serves_without_the_hub(here, machine, stand_ins, tmp_path):
    machine.setattr(files, "ROOT", tmp_path)
    machine.setenv("COURSE_CACHE", "near")  # from the course's folder, wherever the notebook runs
    hub.fetch(BERT, PATIENCE)
    assert is_bert(stand_ins)
    assert hub.BERT.folder == tmp_path / "near" / f"hub-{hub.LAYOUT}" / hub.BERT.revision / "bert-base-uncased"
    here.asked.clear()
    machine.setitem(hub._SETTINGS, "HF_HUB_OFFLINE", "1")
    hub.fetch(BERT, PATIENCE)
    assert here.asked == []
    said = failure({hub.GPT2: {"tokenizer"}})
    assert said == "HF_HUB_OFFLINE is set, and openai-community/gpt2 has not been fetched before"


def test_only_what_a_lesson_uses_is_fetched(here):
    hub.fetch(profiles.wanted(["gpt/tokenizer"]), PATIENCE)
    assert [line for line in here.asked if "gpt2" not in line] == []
    assert [line for line in here.asked if WEIGHTS in line] == []
    hub.fetch(profiles.wanted(["gpt"]), PATIENCE)  # its weights now, and nothing twice
    assert downloads(here) == ["config.json", "tokenizer.json", WEIGHTS]


def test_reviews_without_labels_are_not_fetched(here):
    hub.fetch(profiles.wanted(["imdb"]), PATIENCE)
    assert downloads(here) == ["test-00000-of-00001.parquet", "train-00000-of-00001.parquet"]


def test_an_unknown_use_is_one_line():
    with pytest.raises(CourseError, match="uses has 'gpt/weights'; expected some of encoder, small_encoder, bert"):
        profiles.wanted(["gpt/weights"])


def test_files_that_were_damaged_in_the_cache_are_fetched_again(here, stand_ins):
    hub.fetch(BERT, PATIENCE)
    (hub.BERT.folder / WEIGHTS).write_bytes(b"cut short")
    (hub.BERT.folder / "config.json").unlink()
    hub.fetch(BERT, PATIENCE)
    assert is_bert(stand_ins)


def test_two_notebooks_at_once_fetch_once(here, stand_ins):
    here.fault = loopback.trickle(200)  # a second, more than it takes the other one to begin
    both = [notebook(PATIENCE), notebook(PATIENCE)]
    said = sorted(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said == ["", "Another notebook is fetching google-bert/bert-base-uncased; waiting for it.\n"]
    assert downloads(here).count(WEIGHTS) == 1
    assert is_bert(stand_ins)


# --- What could run code is refused ------------------------------------------------------------------------------


@pytest.fixture
def planted(here, tmp_path, stand_ins):
    """The folder that the hub serves, to be changed."""
    here.folder = tmp_path / "planted"
    shutil.copytree(stand_ins, here.folder)
    return here.folder


def test_a_model_that_is_a_pickle_is_refused_and_never_fetched(planted, here):
    (planted / hub.BERT.name / WEIGHTS).unlink()
    assert "google-bert/bert-base-uncased at 86b5e09 has no *.safetensors, only pytorch_model.bin" in failure()
    assert downloads(here) == []


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_asks_for_its_own_code_is_refused_and_its_code_never_fetched(planted, here, name):
    (planted / hub.BERT.name / name).write_text('{"auto_map": {"AutoModel": "modeling_own.OwnModel"}}')
    (planted / hub.BERT.name / "modeling_own.py").write_text("raise SystemExit")
    assert f"bert-base-uncased asks to run code of its own (auto_map in {name})" in failure()
    assert not [line for line in here.asked if ".py" in line]


def test_a_data_set_that_is_a_script_is_refused(planted, here):
    shutil.rmtree(planted / hub.IMDB.name / "plain_text")
    (planted / hub.IMDB.name / "imdb.py").write_text("raise SystemExit")
    said = failure(profiles.wanted(["imdb"]))
    assert "stanfordnlp/imdb at e628166 has no */train-*.parquet or */test-*.parquet, only imdb.py" in said
    assert downloads(here) == []


def test_no_code_of_the_course_trusts_remote_code_or_loads_a_pickle():
    forbidden = ("trust_remote_code", "pickle.load", "weights_only=False", "joblib.load", "allow_pickle")
    paths = [*ROOT.glob("notebooks/source/**/*.py")]
    for folder in ("utils", "scripts", "tools", "benchmarks", "pretraining"):
        paths += (ROOT / folder).rglob("*.py")
    assert len(paths) > 50
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in forbidden if word in text], path


# --- Faults ------------------------------------------------------------------------------------------------------

WAIT = {"Retry-After": "60"}
FAULTS = {
    "accepts and never answers": (loopback.black_hole, "did not answer within"),
    "sends a trickle": (loopback.trickle(2), "sends less than 50 kB of google-bert/bert-base-uncased a second"),
    "401": (loopback.status(401), "answered 401 (Unauthorized) for google-bert/bert-base-uncased"),
    "404": (loopback.status(404), "answered 404 (Not Found) for google-bert/bert-base-uncased at 86b5e09"),
    "429 for a minute": (loopback.status(429, WAIT), "answered 429 (Too Many Requests) and asks to wait 60 s"),
    "429 for a file": (loopback.status(429, WAIT, of="file"), "answered 429 (Too Many Requests) and asks to wait 60 s"),
    "500": (loopback.status(500), "answered 500 (Internal Server Error)"),
    "500 from the second server": (loopback.status(500, of="large file"), ", from which the hub lets its files be"),
    "cut in the middle of a file": (loopback.cut(), "broke off again and again"),
    "shorter than promised": (loopback.of_weights(loopback.shorter), "file should be of size"),
    "wrong hash": (loopback.of_weights(loopback.wrong_content), f"{WEIGHTS} of google-bert/bert-base-uncased is not"),
    "garbage instead of JSON": (loopback.garbage, "a login page of this network may be in between"),
    "redirects in a circle": (loopback.circle, "Exceeded maximum allowed redirects"),
}  # fmt: skip
LEAVE_FILES = ("sends a trickle", "wrong hash")


def test_the_docs_have_a_row_for_every_fault():
    rows = [line for line in (ROOT / "docs" / "hub.md").read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    others = (
        "Connection refused", "hub.invalid", "503", "1 s for google", "no longer valid", "No space left",
        "Read-only file system", "killed", "certificate has expired", "through the proxy that",
        "only pytorch_model.bin", "auto_map", "HF_HUB_OFFLINE is set", "another notebook", "cut or deleted",
    )  # fmt: skip
    for said in (*others, *(said for _, said in FAULTS.values())):
        assert [row for row in rows if said in row], said


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_clear_line_and_leaves_the_cache_whole(here, stand_ins, name):
    here.fault, said = FAULTS[name]
    assert said in failure()
    if name in LEAVE_FILES:
        here.fault = lambda handler: False
        hub.fetch(BERT, PATIENCE)  # what the fault left behind is in nobody's way
        assert is_bert(stand_ins)


@pytest.mark.alone
def test_a_hub_that_never_answers_leads_to_embedded_or_to_one_error_in_time(here, machine):
    here.fault = loopback.black_hole
    machine.setattr(profiles, "_has_cuda", lambda: True)
    machine.setattr(profiles, "_rate", lambda device: 1e5)
    machine.setattr(profiles, "_embedded", lambda device, reason, trains, rate: reason)
    assert profiles.PATIENCE == {"by itself": 3, "by name": 8}  # seconds; the test has less of both
    machine.setattr(profiles, "PATIENCE", {"by itself": 1, "by name": 2})
    started = time.monotonic()
    assert "did not answer within 1 s" in profiles.detect()
    with pytest.raises(CourseError, match=r"did not answer within 2 s.*COURSE_PROFILE=embedded"):
        profiles.detect("full")
    assert time.monotonic() - started < 1 + 2 + 4  # and the beginnings of two processes


def test_a_refused_connection_and_a_name_that_does_not_resolve(machine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
    machine.setenv("HF_ENDPOINT", f"http://{place}")
    said = failure()
    assert f"from the hub at {place} failed" in said
    assert "Connection refused" in said
    machine.setenv("HF_ENDPOINT", "http://hub.invalid")
    assert "the hub at hub.invalid" in failure()


def test_a_second_server_that_cannot_be_reached_is_named(here):
    with socket.create_server(("127.0.0.1", 0)) as server:
        here.store_address = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert f"{here.store_address.removeprefix('http://')}, from which the hub lets its files be fetched" in failure()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (loopback.status(503, times=1), "answered 503 (Service Unavailable) for google-bert/bert-base-uncased"),
        (loopback.status(429, {"Retry-After": "1"}, times=1), "and asks to wait 1 s for google-bert/bert-base-uncased"),
        (loopback.cut(times=1), ""),
        (loopback.trickle(150), ""),  # a slow line that moves
        (lambda handler: "Authorization" in handler.headers and handler.answer(401), ""),
    ],
)
def test_what_passes_is_waited_for(here, machine, stand_ins, capsys, fault, said):
    machine.setenv("HF_TOKEN", "hf_expired")  # is never sent, so it cannot be in the way
    here.fault = fault
    hub.fetch(BERT, PATIENCE)
    assert is_bert(stand_ins)
    printed = capsys.readouterr().out
    assert said in printed
    assert printed.endswith("; trying again.\n") if said else not printed


def test_a_notebook_that_is_stuck_keeps_no_other_waiting(here):
    hub.BERT.folder.mkdir(parents=True)
    with FileLock(f"{hub.BERT.folder}.lock"):
        assert failure() == "another notebook is fetching google-bert/bert-base-uncased, and gets nothing"


@pytest.mark.parametrize(
    ("variable", "proxy"),
    [("HTTP_PROXY", "http://user:secret@127.0.0.1:9"), ("all_proxy", "http://user:sec/ret@127.0.0.1:9")],
)
def test_a_wrong_proxy_is_named_but_not_its_password(here, machine, capsys, variable, proxy):
    machine.setenv(variable, proxy)
    said = failure()
    assert f"through the proxy that {variable.upper()} names" in said
    assert "ret" not in said + capsys.readouterr().out.replace("retry", "")
    assert here.asked == []


@pytest.mark.parametrize(("days", "said"), [((-20, -10), "certificate has expired"), ((10, 20), "not yet valid")])
def test_a_certificate_that_is_not_valid_by_the_clock_is_named(here, machine, tmp_path, days, said):
    authority, now = trustme.CA(), datetime.datetime.now(datetime.UTC)
    start, end = (now + datetime.timedelta(days=number) for number in days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=start, not_after=end).configure_cert(context)
    here.server.socket = context.wrap_socket(here.server.socket, server_side=True)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    machine.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    machine.setenv("HF_ENDPOINT", here.address.replace("http:", "https:"))
    assert said in failure()


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    folder.mkdir(exist_ok=True)
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True
    ).returncode:  # fmt: skip
        pytest.skip("a file system can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(("options", "said"), [("size=100k", "No space left"), ("ro", "Read-only file system")])
def test_a_cache_without_room_or_permission_is_named(here, machine, tmp_path, options, said):
    machine.setenv("COURSE_CACHE", str(tmp_path / "small"))
    with mounted(tmp_path / "small", options):
        line = failure()
    assert said in line
    assert "set COURSE_CACHE to a folder that you can write to" in line


def test_a_cache_that_is_a_file_is_named(here, machine, tmp_path):
    (tmp_path / "file").write_text("")
    machine.setenv("COURSE_CACHE", str(tmp_path / "file"))
    assert "cannot be written" in failure()


def test_a_run_that_was_killed_leaves_nothing_that_is_read_and_no_process(here, stand_ins):
    half = threading.Event()
    here.fault = loopback.half(half)
    process = notebook(patience=60)
    assert half.wait(30)
    process.kill()
    process.communicate()
    assert hub.present(hub.BERT) == set()
    assert list(hub.BERT.folder.rglob("*.incomplete"))
    here.fault = lambda handler: False
    with FileLock(f"{hub.BERT.folder}.lock", timeout=10):
        pass  # so the process that fetched has ended
    hub.fetch(BERT, PATIENCE)
    assert is_bert(stand_ins)


def test_pins_are_whole_commits():
    for repository in hub.REPOSITORIES:
        assert len(repository.revision) == 40
        assert set(repository.revision) <= set("0123456789abcdef")
