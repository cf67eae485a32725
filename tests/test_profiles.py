import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils import assets, hub, profiles
from utils.errors import CourseError
from utils.machine import fast_precision


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """No GPU, an unset profile, a hub that has all, assets that cost nothing; each test changes what it is about."""
    monkeypatch.delenv(profiles.PROFILE_VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(profiles, "_has_cuda", lambda: False)
    monkeypatch.setattr(hub, "fetch", lambda wanted, patience: None)
    monkeypatch.setattr(assets, "encoder", lambda: tmp_path / "encoder")
    monkeypatch.setattr(assets, "imdb", lambda: tmp_path / "imdb")
    return monkeypatch


def with_gpu(monkeypatch, bfloat16=True, memory=15.0):
    monkeypatch.setattr(profiles, "_has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)
    monkeypatch.setattr(profiles, "_gpu_memory", lambda: memory)


def without_hub(wanted, patience):
    raise hub.HubError("the hub does not answer")


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
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_with_a_gpu_and_no_hub_it_falls_back_and_says_why(machine):
    with_gpu(machine)
    machine.setattr(hub, "fetch", without_hub)
    profile = profiles.detect()
    assert profile.name == "embedded"
    assert "the hub does not answer" in profile.why[0]


def test_full_asked_for_without_the_hub_is_an_error_in_one_line(machine):
    machine.setenv(profiles.PROFILE_VARIABLE, "full")
    machine.setattr(hub, "fetch", without_hub)
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
    assert fast_precision("cpu")[0] == precision


@pytest.mark.parametrize(("native", "precision"), [(True, "bfloat16"), (False, "float16")])
def test_precision_of_a_gpu_does_not_count_emulation(machine, native, precision):
    with_gpu(machine, bfloat16=native)
    assert fast_precision("cuda")[0] == precision


@pytest.mark.parametrize("name", ["embedded", "full"])
def test_quick_sizes_are_for_seeing_that_everything_runs(machine, name):
    with_gpu(machine)
    machine.setenv(profiles.SIZES_VARIABLE, "quick")
    profile = profiles.detect(name)
    sizes = profile.train_size, profile.validation_size, profile.test_size, profile.max_length
    assert sizes == tuple(profiles.QUICK.values())
    assert "COURSE_SIZES=quick, to see that everything runs" in profile.why[2]
    machine.setenv(profiles.SIZES_VARIABLE, "tiny")
    with pytest.raises(CourseError, match="COURSE_SIZES is 'tiny'; expected quick, or unset"):
        profiles.detect(name)


def test_a_slow_processor_gets_fewer_reviews_and_says_so(machine):
    with_flags(machine, avx2=True)
    slow = profiles.detect()
    with_flags(machine, avx512_bf16=True)
    fast = profiles.detect()
    assert slow.train_size * slow.max_length < fast.train_size * fast.max_length
    assert slow.test_size == fast.test_size >= 2000
    assert "float32" in slow.why[2]


def test_only_on_a_cpu_are_parts_frozen_to_save_time(machine):
    with_flags(machine, avx512_bf16=True)
    assert profiles.detect().frozen_parts == 3
    with_gpu(machine, bfloat16=True)
    assert profiles.detect("embedded").frozen_parts == 0


def test_a_profile_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        profiles.detect().train_size = 1


def test_the_banner_says_everything(machine):
    text = profiles.banner(profiles.detect())
    for part in ("embedded", "CPU", "cores", "GiB", "precision", "torch", "transformers", "datasets", "no CUDA GPU"):
        assert part in text


def test_a_lesson_that_reads_nothing_from_the_hub_asks_for_nothing(machine):
    asked = []
    machine.setattr(hub, "fetch", lambda wanted, patience: asked.append(wanted))
    profiles.detect("full", [])
    profiles.detect("full", ["gpt2_tokenizer", "bert/tokenizer", "encoder"])
    profiles.detect("full")
    everything = {one: set(hub.PARTS[one.kind]) for one in hub.REPOSITORIES}
    assert asked == [{}, {hub.GPT2: {"tokenizer"}, hub.BERT: {"tokenizer", "weights"}}, everything]


@pytest.mark.parametrize(
    ("gib", "batch", "accumulation"), [(80, 16, 1), (14.7, 16, 1), (11, 8, 2), (6, 4, 4), (4, 2, 8), (2, 1, 16)]
)
def test_a_step_has_sixteen_reviews_on_every_card(machine, gib, batch, accumulation):
    with_gpu(machine, memory=gib)
    profile = profiles.detect()
    assert (profile.batch_size, profile.accumulation) == (batch, accumulation)


def test_no_hugging_face_library_is_imported_before_the_profile_is_set():
    libraries = "{'transformers', 'datasets', 'huggingface_hub', 'torch'}"
    code = f"import sys, utils.environment, utils.profiles; print([m for m in sys.modules if m in {libraries}])"
    course = Path(assets.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=course)
    assert done.stdout.strip() == "[]", done.stderr
