import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils import assets, profiles
from utils.errors import CourseError


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """No GPU, an unset profile, a hub that answers, assets that cost nothing; each test changes what it is about."""
    monkeypatch.delenv(profiles.PROFILE_VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(profiles, "_has_cuda", lambda: False)
    monkeypatch.setattr(profiles, "hub_problem", lambda: None)
    monkeypatch.setattr(assets, "encoder", lambda: tmp_path / "encoder")
    monkeypatch.setattr(assets, "imdb", lambda: tmp_path / "imdb")
    return monkeypatch


def with_gpu(monkeypatch, bfloat16=True):
    monkeypatch.setattr(profiles, "_has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)


def with_flags(monkeypatch, **flags):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)


def test_without_a_gpu_the_profile_is_embedded_and_the_hub_is_off():
    profile = profiles.detect()
    assert profile.name == "embedded"
    assert "no CUDA GPU" in profile.why[0]
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_with_a_gpu_and_the_hub_the_profile_is_full(machine):
    with_gpu(machine)
    profile = profiles.detect()
    assert (profile.name, profile.device, profile.train_size) == ("full", "cuda", None)
    models = (profile.encoder_revision, profile.bert_revision, profile.gpt_revision, profile.t5_revision)
    for revision in (*models, profile.imdb_revision):
        assert len(revision) == 40
        assert set(revision) <= set("0123456789abcdef")


def test_with_a_gpu_and_no_hub_it_falls_back_and_says_why(machine):
    with_gpu(machine)
    machine.setattr(profiles, "hub_problem", lambda: "the hub does not answer")
    profile = profiles.detect()
    assert profile.name == "embedded"
    assert "the hub does not answer" in profile.why[0]


def test_full_asked_for_without_the_hub_is_an_error_in_one_line(machine):
    machine.setenv(profiles.PROFILE_VARIABLE, "full")
    machine.setattr(profiles, "hub_problem", lambda: "the hub does not answer")
    with pytest.raises(CourseError, match="'full' was asked for, but the hub does not answer") as caught:
        profiles.detect()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("by", ["variable", "argument"])
def test_the_profile_can_be_asked_for(machine, by):
    with_gpu(machine)
    if by == "variable":
        machine.setenv(profiles.PROFILE_VARIABLE, " Embedded ")
    assert profiles.detect("embedded" if by == "argument" else None).name == "embedded"


def test_an_unknown_profile_is_an_error_that_lists_the_known(machine):
    machine.setenv(profiles.PROFILE_VARIABLE, "fast")
    with pytest.raises(CourseError, match="'fast'; expected one of: embedded, full"):
        profiles.detect()


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx2": True}, "float32"),
        ({}, "float32"),
    ],
)
def test_precision_of_a_cpu_follows_its_instructions(machine, flags, precision):
    with_flags(machine, **flags)
    assert profiles.fast_precision("cpu")[0] == precision


@pytest.mark.parametrize(("native", "precision"), [(True, "bfloat16"), (False, "float16")])
def test_precision_of_a_gpu_does_not_count_emulation(machine, native, precision):
    with_gpu(machine, bfloat16=native)
    assert profiles.fast_precision("cuda")[0] == precision


def test_a_slow_processor_gets_fewer_reviews_and_says_so(machine):
    with_flags(machine, avx2=True)
    slow = profiles.detect()
    with_flags(machine, avx512_bf16=True)
    fast = profiles.detect()
    assert slow.train_size * slow.max_length < fast.train_size * fast.max_length
    assert slow.test_size == fast.test_size >= 2000
    assert "float32" in slow.why[2]


def test_a_profile_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        profiles.detect().train_size = 1


def test_the_banner_says_everything(machine):
    text = profiles.banner(profiles.detect())
    for part in ("embedded", "CPU", "cores", "GiB", "precision", "torch", "transformers", "datasets", "no CUDA GPU"):
        assert part in text


class TestHubProblem:
    @pytest.fixture(autouse=True)
    def real(self, monkeypatch):
        monkeypatch.undo()  # the real hub_problem
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    def test_a_listening_hub_is_no_problem(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as server:
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
            assert profiles.hub_problem() is None

    def test_a_refused_connection_is_named(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert "does not answer" in profiles.hub_problem()

    def test_an_offline_setting_is_named(self, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert profiles.hub_problem() == "HF_HUB_OFFLINE is set"


def test_no_hugging_face_library_is_imported_before_the_profile_is_set():
    libraries = "{'transformers', 'datasets', 'huggingface_hub', 'torch'}"
    code = f"import sys, utils.environment, utils.profiles; print([m for m in sys.modules if m in {libraries}])"
    course = Path(assets.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=course)
    assert done.stdout.strip() == "[]", done.stderr
