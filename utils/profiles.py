"""Two profiles, one choice: which model, which data and which sizes fit the machine at hand."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from utils import assets
from utils.errors import CourseError

PROFILE_VARIABLE = "COURSE_PROFILE"
PROFILES = ("embedded", "full")
PROBE_SECONDS = 3.0
BERT_REVISION = "86b5e0934494bd15c9632b12f734a8a67f723594"
GPT2_REVISION = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
SHOWN_VERSIONS = ("torch", "transformers", "datasets")


@dataclass(frozen=True)
class Profile:
    """What a lesson needs to know about this machine; `detect()` makes it.

    Attributes:
        name: "embedded" (installed packages only, no network) or "full" (Hugging Face hub).
        encoder: folder or hub id of the pretrained encoder, for `from_pretrained`.
        encoder_revision: the hub commit that the course was tested with; None for a folder.
        bert, gpt, t5: folder or hub id of one model of each family, for lesson 01 and later.
        bert_revision, gpt_revision, t5_revision: their hub commits; None for folders.
        gpt2_tokenizer: folder or hub id of GPT-2's own tokenizer, 50,257 pieces, under every profile.
        gpt2_tokenizer_revision: its hub commit; None for a folder.
        sentiment_prefix: what the T5 was trained to see before a text whose sentiment it is to write.
        imdb: folder or hub id of the movie reviews, for `load_dataset`.
        imdb_revision: the hub commit of the reviews; None for a folder.
        device: "cuda" or "cpu".
        precision: "bfloat16", "float16" or "float32": what this processor multiplies fast.
        train_size: labelled reviews to fine-tune on; None for all.
        validation_size: reviews to choose with; None for all.
        test_size: reviews for the one final measurement; None for all.
        max_length: tokens of a review that the model sees, special tokens included.
        learning_rate: peak learning rate of fine-tuning.
        why: the reasons for these choices, one line each.
    """

    name: str
    encoder: str
    encoder_revision: str | None
    bert: str
    bert_revision: str | None
    gpt: str
    gpt_revision: str | None
    t5: str
    t5_revision: str | None
    gpt2_tokenizer: str
    gpt2_tokenizer_revision: str | None
    sentiment_prefix: str
    imdb: str
    imdb_revision: str | None
    device: str
    precision: str
    train_size: int | None
    validation_size: int | None
    test_size: int | None
    max_length: int
    learning_rate: float
    why: tuple[str, ...]


def detect(name: str | None = None) -> Profile:
    """Choose the profile, or take the one that is asked for; switch the hub off where it is not used.

    Args:
        name: "embedded" or "full"; by default what COURSE_PROFILE says, if anything.

    Raises:
        CourseError: COURSE_PROFILE names no profile, or asks for "full" where the hub cannot be reached.
    """
    asked = (name or os.environ.get(PROFILE_VARIABLE, "")).strip().lower()
    by_name = f"it was asked for, by name or with {PROFILE_VARIABLE}"
    if asked and asked not in PROFILES:
        raise CourseError(f"{PROFILE_VARIABLE} is {asked!r}; expected one of: {', '.join(PROFILES)}, or unset.")
    device = "cuda" if _has_cuda() else "cpu"
    if asked == "embedded":
        return _embedded(device, by_name)
    if not asked and device == "cpu":
        return _embedded(device, "this machine has no CUDA GPU")
    problem = hub_problem()
    if problem is None:
        return _full(device, by_name if asked else "a CUDA GPU and the hub are at hand")
    if asked:
        raise CourseError(
            f"The profile 'full' was asked for, but {problem}. "
            f"Connect to the hub, or set {PROFILE_VARIABLE}=embedded to work without it."
        )
    return _embedded(device, f"there is a CUDA GPU, but {problem}")


def hub_problem(seconds: float = PROBE_SECONDS) -> str | None:
    """Why the Hugging Face hub cannot be used from here; None if it can. Waits for `seconds` at most."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return "HF_HUB_OFFLINE is set"
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=seconds).close()
    except OSError as error:
        return f"the hub at {address.hostname} does not answer ({error})"
    return None


def fast_precision(device: str) -> tuple[str, str]:
    """The number format that the processor multiplies fast, and the reason.

    bfloat16 on a CPU with AVX512-BF16 or AMX and on a GPU that has it natively (emulation does not
    count); float16 on older GPUs; float32 otherwise, where 16-bit arithmetic is emulated and slow.
    """
    import torch

    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU has native bfloat16"
        return "float16", "the GPU has float16 but no native bfloat16"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    for flag, name in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")):
        if capabilities.get(flag):
            return "bfloat16", f"the processor has {name}"
    return "float32", "the processor has no fast bfloat16"


def banner(profile: Profile) -> str:
    """Profile, device, cores, memory, precision, sizes, versions and the reasons, one line each."""
    import psutil

    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN_VERSIONS)
    sizes = [f"{part} {size or 'all'}" for part, size in (
        ("train", profile.train_size), ("validation", profile.validation_size), ("test", profile.test_size)
    )]  # fmt: skip
    return "\n".join([
        f"profile    {profile.name}: {profile.why[0]}",
        f"machine    {_device_name(profile.device)}, {_cores()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        f"precision  {profile.precision}: {profile.why[1]}",
        f"reviews    {', '.join(sizes)}; {profile.max_length} tokens each: {profile.why[2]}",
        f"versions   Python {platform.python_version()}, {versions}",
    ])  # fmt: skip


def _embedded(device: str, reason: str) -> Profile:
    # Read once, when a Hugging Face library is imported; nothing below needs the hub.
    os.environ["HF_HUB_OFFLINE"] = "1"
    precision, why = fast_precision(device)
    small = device == "cpu" and precision == "float32"
    return Profile(
        name="embedded",
        encoder=str(assets.encoder()),
        encoder_revision=None,
        bert=str(assets.small_model("mini-bert")),
        bert_revision=None,
        gpt=str(assets.small_model("mini-gpt")),
        gpt_revision=None,
        t5=str(assets.small_model("mini-t5")),
        t5_revision=None,
        gpt2_tokenizer=str(assets.gpt2_tokenizer()),
        gpt2_tokenizer_revision=None,
        sentiment_prefix="sentiment: ",
        imdb=str(assets.imdb()),
        imdb_revision=None,
        device=device,
        precision=precision,
        train_size=2000 if small else 4000,
        validation_size=500 if small else 1000,
        test_size=2000,
        max_length=128 if small else 256,
        learning_rate=1e-4,
        why=(reason, why, "small, to stay under 8 minutes in float32" if small else "to stay under 5 minutes"),
    )


def _full(device: str, reason: str) -> Profile:
    precision, why = fast_precision(device)
    return Profile(
        name="full",
        encoder="google-bert/bert-base-uncased",
        encoder_revision=BERT_REVISION,
        bert="google-bert/bert-base-uncased",
        bert_revision=BERT_REVISION,
        gpt="openai-community/gpt2",
        gpt_revision=GPT2_REVISION,
        t5="google-t5/t5-small",
        t5_revision="df1b051c49625cf57a3d0d8d3863ed4d13564fe4",
        gpt2_tokenizer="openai-community/gpt2",
        gpt2_tokenizer_revision=GPT2_REVISION,
        sentiment_prefix="sst2 sentence: ",  # one of the tasks of its supervised mixture
        imdb="stanfordnlp/imdb",
        imdb_revision="e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
        device=device,
        precision=precision,
        train_size=None,
        validation_size=None,
        test_size=None,
        max_length=512,
        learning_rate=2e-5,
        why=(reason, why, "the whole data set" + ("" if device == "cuda" else ", many hours without a GPU")),
    )


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device_name(device: str) -> str:
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return "CPU"
