"""The `full` profile against a hub on this machine: what is fetched, and every fault that a hub or a network has."""

import contextlib
import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
import trustme

from tests import hub_stand_ins
from tests import loopback_hub as loopback
from utils import assets, files, hub, profiles
from utils.errors import CourseError

ROOT = Path(__file__).parent.parent
AUTOMATIC, BY_NAME = 5, 15  # seconds until `embedded` runs, or the error stands there
MODELS = ("google-bert/bert-base-uncased", "openai-community/gpt2", "google-t5/t5-small")


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A GPU, an empty cache, no setting of the hub or of a proxy; `embedded` costs nothing."""
    for name in ("COURSE_PROFILE", "HF_TOKEN", "NO_PROXY", *hub.OFFLINE, *hub.PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setitem(hub._SETTINGS, name, "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as in a kernel that has begun; put back afterwards
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(profiles, "_has_cuda", lambda: True)
    monkeypatch.setattr(profiles, "_gpu_memory", lambda: 15.0)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    for name in ("encoder", "imdb", "gpt2_tokenizer"):
        monkeypatch.setattr(assets, name, lambda name=name: tmp_path / name)
    return monkeypatch


@pytest.fixture
def here(machine, hub_files):
    """A hub that works; set its `fault` to change that."""
    with loopback.LoopbackHub(hub_files) as running:
        machine.setenv("HF_ENDPOINT", running.address)
        yield running


def served(hub_files, repository):
    return {path.name: path.read_bytes() for path in (hub_files / repository.name).rglob("*") if path.is_file()}


# --- What is fetched, and what is not ----------------------------------------------------------------------------


def test_full_loads_the_real_names_with_the_ordinary_calls(here, hub_files):
    from datasets import load_dataset
    from transformers import AutoModel, AutoTokenizer

    profile = profiles.detect()
    assert profile.name == "full"
    for folder, name in ((profile.bert, MODELS[0]), (profile.gpt, MODELS[1]), (profile.t5, MODELS[2])):
        assert Path(folder).name == name.rpartition("/")[2]
        model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert type(model).__name__.removesuffix("Model").lower() in folder.replace("-", "")
        assert not [key for key in report["missing_keys"] if "pooler" not in key]
    assert len(AutoTokenizer.from_pretrained(profile.bert)) == 30522
    assert len(AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)) == 50257
    reviews = load_dataset(profile.imdb)
    assert {split: len(rows) for split, rows in reviews.items()} == {
        "train": hub_stand_ins.TRAIN,
        "test": hub_stand_ins.TEST,
    }
    assert reviews["train"].features["label"].names == ["neg", "pos"]


def test_nothing_is_asked_of_the_hub_a_second_time(here):
    profiles.detect("full")
    here.asked.clear()
    assert profiles.detect("full").name == profiles.detect().name == "full"
    assert here.asked == []


def test_without_the_hub_full_goes_on_with_what_is_here(here, machine):
    profiles.detect("full", ["bert"])
    machine.setitem(hub._SETTINGS, "HF_HUB_OFFLINE", "1")
    assert profiles.detect(uses=["bert"]).name == "full"
    with pytest.raises(CourseError, match="HF_HUB_OFFLINE is set, and openai-community/gpt2 has not been fetched"):
        profiles.detect("full", ["bert", "gpt"])
    assert "HF_HUB_OFFLINE is set" in profiles.detect(uses=["gpt"]).why[0]


def test_only_what_a_lesson_uses_is_fetched(here):
    profiles.detect("full", ["gpt/tokenizer"])
    assert [line for line in here.asked if "gpt2" not in line] == []
    assert [line for line in here.asked if "safetensors" in line] == []
    profiles.detect("full", ["gpt"])  # its weights now, and nothing twice
    assert [line.rpartition("/")[2] for line in here.asked if line.startswith("GET") and "resolve" in line] == [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"
    ]  # fmt: skip


def test_reviews_without_labels_are_not_fetched(here):
    profiles.detect("full", ["imdb"])
    assert not [line for line in here.asked if "unsupervised" in line]


def test_an_unknown_use_is_one_line():
    with pytest.raises(CourseError, match="uses has 'gpt/weights'; expected some of encoder, bert"):
        profiles.detect("full", ["gpt/weights"])


@pytest.mark.parametrize("how", ["cut short", "gone"])
def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(here, hub_files, how):
    profiles.detect("full", ["bert"])
    weights = hub.BERT.folder / "model.safetensors"
    if how == "gone":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000])
    profiles.detect("full", ["bert"])
    assert weights.read_bytes() == served(hub_files, hub.BERT)["model.safetensors"]


def test_two_notebooks_at_once_fetch_once(here):
    code = "from utils.profiles import detect; print(detect('full', ['bert']).name)"
    environment = {name: value for name, value in os.environ.items() if name not in hub.OFFLINE}
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [one.communicate()[0].splitlines()[-1] for one in both] == ["full", "full"]
    assert len([line for line in here.asked if line.startswith("GET") and line.endswith("model.safetensors")]) == 1


# --- What could run code is refused ------------------------------------------------------------------------------


@pytest.fixture
def planted(here, tmp_path, hub_files):
    """Serve a copy of BERT's files after `change(folder)`; returns what the course says."""

    def serve(change, uses=("bert",)):
        here.folder = tmp_path / "planted"
        shutil.copytree(hub_files, here.folder)
        change(here.folder)
        with pytest.raises(CourseError) as caught:
            profiles.detect("full", uses)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return serve


def test_a_model_that_is_a_pickle_is_refused_and_never_fetched(planted, here):
    def change(folder):
        weights = folder / MODELS[0] / "model.safetensors"
        weights.rename(weights.with_name("pytorch_model.bin"))

    said = planted(change)
    assert "google-bert/bert-base-uncased at 86b5e09 has no *.safetensors, only pytorch_model.bin" in said
    assert not [line for line in here.asked if ".bin" in line]
    assert not list(hub.BERT.folder.rglob("*.bin"))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_asks_for_its_own_code_is_refused_and_its_code_never_fetched(planted, here, name):
    def change(folder):
        path = folder / MODELS[0] / name
        config = json.loads(path.read_text()) | {"auto_map": {"AutoModel": "modeling_own.OwnModel"}}
        path.write_text(json.dumps(config))
        (folder / MODELS[0] / "modeling_own.py").write_text("raise SystemExit")

    assert f"bert-base-uncased asks to run code of its own (auto_map in {name})" in planted(change)
    assert not [line for line in here.asked if ".py" in line]
    assert not (hub.BERT.folder / hub.RECORD).exists()


def test_a_data_set_that_is_a_script_is_refused(planted, here):
    def change(folder):
        shutil.rmtree(folder / "stanfordnlp/imdb/plain_text")
        (folder / "stanfordnlp/imdb/imdb.py").write_text("raise SystemExit")

    assert "stanfordnlp/imdb at e628166 has no */train-*.parquet" in planted(change, ["imdb"])
    assert not [line for line in here.asked if ".py" in line]


def test_no_code_of_the_course_trusts_remote_code_or_loads_a_pickle():
    forbidden = ("trust_remote_code", "pickle.load", "weights_only=False", "joblib.load", "allow_pickle")
    files = [*ROOT.glob("notebooks/source/**/*.py")]
    for folder in ("utils", "scripts", "tools", "benchmarks", "pretraining"):
        files += (ROOT / folder).rglob("*.py")
    assert len(files) > 50
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in forbidden if word in text], path


# --- Faults ------------------------------------------------------------------------------------------------------

FAULTS = {
    "accepts and never answers": (loopback.black_hole, "did not answer within"),
    "sends a trickle": (loopback.trickle(2), "sends less than 50 kB of google-bert/bert-base-uncased a second"),
    "401": (loopback.status(401), "answered 401: it does not let us read google-bert/bert-base-uncased"),
    "404": (loopback.status(404), "has no google-bert/bert-base-uncased at 86b5e09 (404)"),
    "429 for a minute": (loopback.status(429, {"Retry-After": "60"}), "429 (Too Many Requests) and asks to wait 60 s"),
    "429 for a file": (loopback.status(429, {"Retry-After": "60"}, of="file"), "answered 429"),
    "500 from the second server": (loopback.status(500, of="large file"), "the hub lets its files be fetched"),
    "500": (loopback.status(500), "answered 500 (Internal Server Error)"),
    "cut in the middle of a file": (loopback.cut(), "broke off"),
    "shorter than promised": (loopback.shorter, "sent less than it promised"),
    "wrong hash": (loopback.wrong_content, "model.safetensors of google-bert/bert-base-uncased is not the file that"),
    "garbage instead of JSON": (loopback.garbage, "a login page of this network may be in between"),
    "redirects in a circle": (loopback.circle, "sends requests round in a circle"),
}  # fmt: skip


def test_the_docs_have_a_row_for_every_fault():
    rows = [line for line in (ROOT / "docs" / "hub.md").read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    for _, said in FAULTS.values():
        assert [row for row in rows if said in row], said
    others = (
        "Connection refused", "hub.invalid", "503", "1 s; trying again", "does not take the token", "No space left",
        "Read-only file system", "killed", "clock says", "through the proxy that", "only pytorch_model.bin",
        "auto_map", "HF_HUB_OFFLINE is set",
    )  # fmt: skip
    for said in others:
        assert [row for row in rows if said in row], said


def automatic(said: str) -> str:
    """`embedded` runs in time, with one line that says why; returns the line."""
    started = time.monotonic()
    profile = profiles.detect(uses=["bert"])
    assert time.monotonic() - started < AUTOMATIC
    assert profile.name == "embedded"
    assert said in profile.why[0]
    assert "\n" not in profile.why[0]
    return profile.why[0]


def by_name(said: str) -> str:
    """One clear error in time; returns it."""
    started = time.monotonic()
    with pytest.raises(CourseError) as caught:
        profiles.detect("full", ["bert"])
    assert time.monotonic() - started < BY_NAME
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "COURSE_PROFILE=embedded" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leads_to_embedded_or_to_one_clear_error_and_leaves_the_cache_whole(here, hub_files, name):
    here.fault, said = FAULTS[name]
    automatic(said)
    by_name(said)
    assert not (hub.BERT.folder / hub.RECORD).exists()
    here.fault = lambda handler: False
    profiles.detect("full", ["bert"])  # what the fault left behind is in nobody's way
    found = {path.name: path.read_bytes() for path in hub.BERT.folder.iterdir() if path.name != hub.RECORD}
    assert found == served(hub_files, hub.BERT)


def test_a_refused_connection(machine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    machine.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    automatic(f"the hub at 127.0.0.1:{port} cannot be reached")
    by_name("cannot be reached")


def test_a_second_server_that_cannot_be_reached_is_named(here):
    with socket.create_server(("127.0.0.1", 0)) as server:
        here.store_address = f"http://127.0.0.1:{server.getsockname()[1]}"
    automatic(here.store_address.removeprefix("http://"))
    by_name(here.store_address.removeprefix("http://"))


def test_a_name_that_does_not_resolve(machine):
    machine.setenv("HF_ENDPOINT", "http://hub.invalid")
    automatic("the hub at hub.invalid")
    by_name("the hub at hub.invalid")


def test_retries_are_said_aloud_and_a_hub_that_recovers_is_used(here, capsys):
    here.fault = loopback.status(503, times=1)
    assert profiles.detect("full", ["bert"]).name == "full"
    assert "answered 503 (Service Unavailable); trying again.\n" in capsys.readouterr().out


def test_a_short_wait_that_the_hub_asks_for_is_kept(here, capsys):
    here.fault = loopback.status(429, {"Retry-After": "1"}, times=1)
    assert profiles.detect(uses=["bert"]).name == "full"
    assert "asks to wait 1 s; trying again." in capsys.readouterr().out


def test_a_download_that_was_cut_once_goes_on(here, hub_files):
    here.fault = loopback.cut(times=1)
    profiles.detect("full", ["bert"])
    assert (hub.BERT.folder / "model.safetensors").read_bytes() == served(hub_files, hub.BERT)["model.safetensors"]


def test_a_download_that_was_cut_goes_on_at_less_than_it_had(here):
    """What had come before the cut is lost, and does not count against what comes after it."""
    here.fault = loopback.cut(times=1)
    slow = loopback.trickle(700)

    def fault(handler):
        return cut(handler) or slow(handler)

    cut, here.fault = here.fault, fault
    assert profiles.detect(uses=["bert"]).name == "full"


def test_a_notebook_that_is_stuck_keeps_no_other_waiting(here):
    from filelock import FileLock

    hub.BERT.folder.mkdir(parents=True)
    with FileLock(f"{hub.BERT.folder}.lock"):
        automatic("another notebook is fetching google-bert/bert-base-uncased, and gets nothing")
        by_name("another notebook is fetching google-bert/bert-base-uncased, and gets nothing")


def test_a_cache_that_is_named_from_here(here, machine, tmp_path):
    """From the course's folder, wherever the notebook runs."""
    machine.setattr(files, "ROOT", tmp_path)
    machine.setenv("COURSE_CACHE", "near")
    profile = profiles.detect("full", ["bert"])
    assert Path(profile.bert) == tmp_path / "near" / f"hub-{hub.LAYOUT}" / hub.BERT.revision / "bert-base-uncased"
    assert (Path(profile.bert) / "model.safetensors").is_file()


def test_a_slow_line_that_moves_is_waited_for(here):
    here.fault = loopback.trickle(1500)
    assert profiles.detect(uses=["bert"]).name == "full"


def test_a_token_that_is_no_longer_valid_is_not_in_the_way(here, machine, capsys):
    machine.setenv("HF_TOKEN", "hf_expired")
    here.fault = lambda handler: "Authorization" in handler.headers and handler.answer(401)
    assert profiles.detect("full", ["bert"]).name == "full"
    assert "does not take the token" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variable", "proxy"),
    [("HTTP_PROXY", "http://user:secret@127.0.0.1:9"), ("all_proxy", "http://user:sec/ret@127.0.0.1:9")],
)
def test_a_wrong_proxy_is_named_but_not_its_password(here, machine, variable, proxy):
    machine.setenv(variable, proxy)
    for line in (
        automatic(f"the proxy that {variable.upper()} names"),
        by_name(f"the proxy that {variable.upper()} names"),
    ):
        assert "ret" not in line.replace("retry", "")
    assert here.asked == []


@pytest.mark.parametrize(("from_now", "until"), [(-20, -10), (10, 20)])
def test_a_clock_that_is_wrong_is_named(here, machine, tmp_path, from_now, until):
    """A certificate that is too old or too new looks the same as a clock that is off."""
    authority, now = trustme.CA(), datetime.datetime.now(datetime.UTC)
    days = [now + datetime.timedelta(days=number) for number in (from_now, until)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=days[0], not_after=days[1]).configure_cert(context)
    here.server.socket = context.wrap_socket(here.server.socket, server_side=True)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    machine.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    machine.setenv("HF_ENDPOINT", here.address.replace("http:", "https:"))
    for line in (automatic("this machine's clock says"), by_name("this machine's clock says")):
        assert "expired" in line or "not yet valid" in line


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


@pytest.mark.parametrize(("options", "said"), [("size=1m", "No space left"), ("ro", "Read-only file system")])
def test_a_cache_without_room_or_permission_is_named(here, machine, tmp_path, options, said):
    machine.setenv("COURSE_CACHE", str(tmp_path / "small"))
    with mounted(tmp_path / "small", options):
        for line in (automatic(said), by_name(said)):
            assert "set COURSE_CACHE to a folder that can be written" in line
        assert not (hub.BERT.folder / hub.RECORD).exists()


def test_a_cache_that_is_a_file_is_named(here, machine, tmp_path):
    (tmp_path / "file").write_text("")
    machine.setenv("COURSE_CACHE", str(tmp_path / "file"))
    automatic("cannot be written")
    by_name("set COURSE_CACHE")


def test_a_run_that_was_killed_leaves_nothing_that_is_read_and_no_process(here, hub_files):
    half = threading.Event()
    here.fault = loopback.killed(half)
    environment = {name: value for name, value in os.environ.items() if name not in hub.OFFLINE}
    code = "from utils.profiles import detect; detect('full', ['bert'])"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    assert half.wait(30)
    process.kill()
    process.wait()
    assert not (hub.BERT.folder / hub.RECORD).exists()
    assert list(hub.BERT.folder.rglob("*.incomplete"))
    here.fault = lambda handler: False
    profiles.detect("full", ["bert"])
    assert not list(hub.BERT.folder.rglob("*.incomplete"))
    assert (hub.BERT.folder / "model.safetensors").read_bytes() == served(hub_files, hub.BERT)["model.safetensors"]


def test_pins_are_whole_commits():
    for repository in hub.REPOSITORIES:
        assert len(repository.revision) == 40
        assert set(repository.revision) <= set("0123456789abcdef")
