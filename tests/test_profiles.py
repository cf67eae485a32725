import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils import assets, files, hub, profiles
from utils.errors import CourseError
from utils.machine import fast_precision


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """No GPU, an unset profile, a hub that has all, assets that cost nothing; each test changes what it is about."""
    monkeypatch.delenv(profiles.PROFILE_VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(profiles, "_has_cuda", lambda: False)
    monkeypatch.setattr(hub, "fetch", lambda wanted, patience: None)
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(assets, "encoder", lambda: tmp_path / "encoder")
    monkeypatch.setattr(assets, "small_encoder", lambda: tmp_path / "small_encoder")
    monkeypatch.setattr(assets, "gpt2_tokenizer", lambda: tmp_path / "gpt2")
    monkeypatch.setattr(profiles.machine, "memory", lambda: 16.0)
    monkeypatch.setattr(profiles.machine, "cores", lambda: 2)
    monkeypatch.setattr(assets, "imdb", lambda: tmp_path / "imdb")
    return monkeypatch


def with_gpu(monkeypatch, bfloat16=True, memory=15.0, rate=1e14):
    monkeypatch.setattr(profiles, "_has_cuda", lambda: True)
    monkeypatch.setattr(profiles, "_device_name", lambda device: "a card")
    monkeypatch.setattr(profiles.machine, "matrix_rate", lambda device, precision: rate)
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
    assert (profile.name, profile.device, profile.train_size) == ("full", "cuda", 25000)
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
    sizes = profile.train_size, profile.test_size, profile.max_length
    assert sizes == tuple(profiles.QUICK.values())
    assert "COURSE_SIZES=quick, to see that everything runs" in profile.why[2]
    machine.setenv(profiles.SIZES_VARIABLE, "tiny")
    with pytest.raises(CourseError, match="COURSE_SIZES is 'tiny'; expected quick, all, or unset"):
        profiles.detect(name)


@pytest.mark.parametrize(
    ("flags", "cores", "memory", "encoder", "train_size", "said"),
    [
        ({"amx_bf16": True}, 2, 16, "encoder", 500, "to train in a few minutes"),
        ({"avx512_bf16": True}, 2, 16, "encoder", 500, "to train in a few minutes"),
        ({"avx2": True}, 8, 16, "encoder", 500, "to train in a few minutes"),
        ({"avx2": True}, 2, 16, "encoder", 240, "few, to train in 8 minutes on 2 cores of a processor with AVX2"),
        ({"avx2": True}, 1, 16, "small_encoder", 2000, r"a small encoder, for 1 core\(s\) of a processor with AVX2"),
        ({}, 2, 16, "small_encoder", 2000, "older instructions"),
        ({"amx_bf16": True}, 2, 5.9, "small_encoder", 2000, "a small encoder, for 5.9 GiB of memory"),
    ],
)
def test_encoder_and_sizes_follow_processor_and_memory(machine, flags, cores, memory, encoder, train_size, said):
    with_flags(machine, **flags)
    machine.setattr("platform.machine", lambda: "x86_64")
    machine.setattr(profiles.machine, "cores", lambda: cores)
    machine.setattr(profiles.machine, "memory", lambda: memory)
    profile = profiles.detect()
    assert (Path(profile.encoder).name, profile.train_size) == (encoder, train_size)
    assert re.search(said, profile.why[2])
    assert profile.learning_rate == (5e-5 if encoder == "encoder" else 1e-4)


def test_a_lesson_that_fine_tunes_nothing_unpacks_no_large_encoder(machine):
    machine.setattr(assets, "encoder", lambda: pytest.fail("unpacked"))
    assert Path(profiles.detect("embedded", ["bert", "imdb"]).encoder).name == assets.ENCODER


@pytest.mark.parametrize(("rate", "train_size"), [(1e14, 25000), (2e13, 25000), (5e12, 7264)])
def test_on_a_gpu_sizes_follow_its_matrix_rate_which_is_measured_once(machine, rate, train_size):
    with_gpu(machine, rate=rate)
    assert profiles.detect().train_size == train_size
    with_gpu(machine, rate=1.0)  # busy today
    assert profiles.detect().train_size == train_size


@pytest.mark.parametrize("name", ["embedded", "full"])
def test_all_reviews_are_a_choice_with_an_estimated_time(machine, name):
    with_gpu(machine, rate=2e13)
    machine.setenv(profiles.SIZES_VARIABLE, "all")
    profile = profiles.detect(name)
    assert profile.train_size == profiles.ALL[name]["train_size"]
    assert re.search(r"COURSE_SIZES=all, about \d+ minutes to train, estimated", profile.why[2])


def test_the_arithmetic_is_that_of_the_precision(machine):
    with_flags(machine, avx512_bf16=True)
    assert profiles.detect().arithmetic == {"bf16": True, "fp16": False, "use_cpu": True}
    with_gpu(machine, bfloat16=False)
    assert profiles.detect().arithmetic == {"bf16": False, "fp16": True, "use_cpu": False}


def test_a_profile_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        profiles.detect().train_size = 1


def test_the_banner_says_everything(machine):
    text = profiles.banner(profiles.detect())
    for part in ("embedded", "CPU", "cores", "GiB", "precision", "torch", "transformers", "datasets", "no CUDA GPU"):
        assert part in text


@pytest.mark.parametrize(("uses", "said"), [(None, True), (["imdb"], True), (["small_encoder"], False)])
def test_the_banner_says_how_many_reviews_only_where_they_are_read(uses, said):
    assert ("\nreviews " in profiles.banner(profiles.detect(), uses)) is said


def test_a_lesson_that_reads_nothing_from_the_hub_asks_for_nothing(machine):
    asked = []
    machine.setattr(hub, "fetch", lambda wanted, patience: asked.append(wanted))
    profiles.detect("full", [])
    profiles.detect("full", ["gpt2_tokenizer", "bert/tokenizer", "encoder"])
    profiles.detect("full")
    everything = {one: set(hub.PARTS[one.kind]) for one in hub.REPOSITORIES}
    assert asked == [{}, {hub.GPT2: {"tokenizer"}, hub.BERT: {"tokenizer", "weights"}}, everything]


@pytest.mark.parametrize(("gib", "batch"), [(80, 16), (14.7, 16), (11, 8), (6, 4), (4, 2), (2, 1)])
def test_a_small_card_takes_fewer_reviews_at_once(machine, gib, batch):
    with_gpu(machine, memory=gib)
    assert profiles.detect().batch_size == batch


def test_no_hugging_face_library_is_imported_before_the_profile_is_set():
    libraries = "{'transformers', 'datasets', 'huggingface_hub', 'torch'}"
    code = f"import sys, utils.environment, utils.profiles; print([m for m in sys.modules if m in {libraries}])"
    course = Path(assets.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=course)
    assert done.stdout.strip() == "[]", done.stderr
