"""Two profiles, one choice: which model, which data and which sizes fit the machine at hand."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from utils import assets, hub, machine
from utils.errors import CourseError

PROFILE_VARIABLE = "COURSE_PROFILE"
PROFILES = ("embedded", "full")
SIZES_VARIABLE = "COURSE_SIZES"
QUICK = {"train_size": 320, "validation_size": 96, "test_size": 96, "max_length": 64}  # to see that everything runs
PATIENCE = {"by itself": 3.0, "by name": 8.0}  # seconds in which the hub brings nothing, by how `full` was chosen
BATCH = 16  # reviews of one step, however few the device holds at once
SHOWN_VERSIONS = ("torch", "transformers", "datasets")


@dataclass(frozen=True)
class Profile:
    """What a lesson needs to know about this machine; `detect()` makes it.

    Attributes:
        name: "embedded" (installed packages only, no network) or "full" (Hugging Face hub).
        encoder: folder of the pretrained encoder, for `from_pretrained`.
        bert, gpt, t5: folder of one model of each family, for lesson 01 and later.
        gpt2_tokenizer: folder of GPT-2's own tokenizer, 50,257 pieces, under every profile.
        sentiment_prefix: what the T5 was trained to see before a text whose sentiment it is to write.
        imdb: folder of the movie reviews, for `load_dataset`.
        device: "cuda" or "cpu".
        precision: "bfloat16", "float16" or "float32": what this processor multiplies fast.
        attention: `attn_implementation` that trains fastest on short texts: "sdpa" on a GPU, "eager" on a CPU.
        train_size: labelled reviews to fine-tune on; None for all.
        validation_size: reviews to choose with; None for all.
        test_size: reviews for the one final measurement; None for all.
        max_length: tokens of a review that the model sees, special tokens included.
        batch_size: reviews that the device trains on at once.
        accumulation: how many such batches make one step; times `batch_size`, it is 16 everywhere.
        learning_rate: peak learning rate of fine-tuning.
        frozen_parts: parts of the encoder that lesson 02 leaves as they are, from below: the embeddings, then layers.
        why: the reasons for these choices, one line each.
        quick: are the sizes those of COURSE_SIZES=quick, with which everything runs and nothing is learned?
    """

    name: str
    encoder: str
    bert: str
    gpt: str
    t5: str
    gpt2_tokenizer: str
    sentiment_prefix: str
    imdb: str
    device: str
    precision: str
    attention: str
    train_size: int | None
    validation_size: int | None
    test_size: int | None
    max_length: int
    batch_size: int
    accumulation: int
    learning_rate: float
    frozen_parts: int
    why: tuple[str, ...]
    quick: bool = False


# What a notebook may say that it uses: the attribute, or only the tokenizer of a model.
ON_THE_HUB = {
    "encoder": hub.BERT, "bert": hub.BERT, "gpt": hub.GPT2, "t5": hub.T5, "gpt2_tokenizer": hub.GPT2, "imdb": hub.IMDB
}  # fmt: skip


def detect(name: str | None = None, uses: Iterable[str] | None = None) -> Profile:
    """Choose the profile, or take the one that is asked for; prepare its files, and switch the hub off.

    Args:
        name: "embedded" or "full"; by default what COURSE_PROFILE says, if anything.
        uses: what is to be read under `full`: attributes of the profile, such as "bert", or "bert/tokenizer" where the
            weights are not needed; by default all. Nothing else is fetched.

    Raises:
        CourseError: COURSE_PROFILE names no profile or COURSE_SIZES no sizes, or "full" is asked for where the hub
            cannot be used.
    """
    asked = (name or os.environ.get(PROFILE_VARIABLE, "")).strip().lower()
    by_name = f"it was asked for, by name or with {PROFILE_VARIABLE}"
    if asked and asked not in PROFILES:
        raise CourseError(f"{PROFILE_VARIABLE} is {asked!r}; expected one of: {', '.join(PROFILES)}, or unset.")
    device = "cuda" if _has_cuda() else "cpu"
    if asked == "embedded":
        return _sized(_embedded(device, by_name))
    if not asked and device == "cpu":
        return _sized(_embedded(device, "this machine has no CUDA GPU"))
    try:
        hub.fetch(wanted(ON_THE_HUB if uses is None else uses), PATIENCE["by name" if asked else "by itself"])
    except hub.HubError as error:
        if asked:
            raise CourseError(
                f"The profile 'full' was asked for, but {error}. "
                f"Mend that, or set {PROFILE_VARIABLE}=embedded to work without the hub."
            ) from None
        return _sized(_embedded(device, f"there is a CUDA GPU, but {error}"))
    return _sized(_full(device, by_name if asked else "there is a CUDA GPU, and all that this notebook uses is here"))


def _sized(profile: Profile) -> Profile:
    """The profile with the sizes that COURSE_SIZES asks for, if it does."""
    sizes = os.environ.get(SIZES_VARIABLE, "").strip().lower()
    if sizes not in ("", "quick"):
        raise CourseError(f"{SIZES_VARIABLE} is {sizes!r}; expected quick, or unset.")
    if not sizes:
        return profile
    why = f"{SIZES_VARIABLE}=quick, to see that everything runs; nothing is learned"
    return dataclasses.replace(profile, **QUICK, quick=True, why=(*profile.why[:2], why))


def wanted(uses: Iterable[str]) -> dict[hub.Repository, set[str]]:
    """The repositories on the hub, and which parts of each, that stand behind some attributes of the profile.

    Raises:
        CourseError: a name that is none of them.
    """
    found: dict[hub.Repository, set[str]] = {}
    for use in uses:
        attribute, _, part = use.partition("/")
        repository = ON_THE_HUB.get(attribute)
        if repository is None or part not in ("", "tokenizer"):
            expected = ", ".join(ON_THE_HUB)
            raise CourseError(f"uses has {use!r}; expected some of {expected}, each perhaps with /tokenizer.")
        parts = {"tokenizer"} if part or attribute == "gpt2_tokenizer" else set(hub.PARTS[repository.kind])
        found.setdefault(repository, set()).update(parts)
    return found


def banner(profile: Profile) -> str:
    """Profile, device, cores, memory, precision, sizes, versions and the reasons, one line each."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN_VERSIONS)
    sizes = [f"{part} {size or 'all'}" for part, size in (
        ("train", profile.train_size), ("validation", profile.validation_size), ("test", profile.test_size)
    )]  # fmt: skip
    cores = machine.cores()
    return "\n".join([
        f"profile    {profile.name}: {profile.why[0]}",
        f"machine    {_device_name(profile.device)}, {cores} core{'s' * (cores > 1)}, {machine.gib(machine.memory())}",
        f"precision  {profile.precision}: {profile.why[1]}",
        f"reviews    {', '.join(sizes)}; {profile.max_length} tokens each: {profile.why[2]}",
        f"models     {_models(profile)}",
        f"versions   Python {platform.python_version()}, {versions}",
    ])  # fmt: skip


def _models(profile: Profile) -> str:
    if profile.name == "full":
        return ", ".join(f"{one.name} at {one.revision[:7]}" for one in hub.REPOSITORIES if one.kind == "model")
    folders = dict.fromkeys((profile.encoder, profile.bert, profile.gpt, profile.t5))
    return ", ".join(os.path.basename(folder) for folder in folders)


def _embedded(device: str, reason: str) -> Profile:
    # Read once, when a Hugging Face library is imported; nothing below needs the hub.
    os.environ["HF_HUB_OFFLINE"] = "1"
    precision, why = machine.fast_precision(device)
    slow, small = device == "cpu" and precision == "float32", machine.is_small()
    why_sizes = "small, to stay under 8 minutes in float32" if slow else "to stay under 5 minutes"
    if small:
        why_sizes = f"small, for {machine.gib(machine.memory())} of memory"
    return Profile(
        name="embedded",
        encoder=str(assets.encoder()),
        bert=str(assets.small_model("mini-bert")),
        gpt=str(assets.small_model("mini-gpt")),
        t5=str(assets.small_model("mini-t5")),
        gpt2_tokenizer=str(assets.gpt2_tokenizer()),
        sentiment_prefix="sentiment: ",
        imdb=str(assets.imdb()),
        device=device,
        precision=precision,
        attention="sdpa" if device == "cuda" else "eager",
        train_size=2000 if slow or small else 4000,
        validation_size=500 if slow or small else 1000,
        test_size=2000,
        max_length=128 if slow or small else 256,
        batch_size=BATCH // 2 if small else BATCH,
        accumulation=2 if small else 1,
        learning_rate=1e-4,
        frozen_parts=3 if device == "cpu" else 0,  # benchmarks/results/finetune_choices.json
        why=(reason, why, why_sizes),
    )


def _full(device: str, reason: str) -> Profile:
    os.environ["HF_HUB_OFFLINE"] = "1"  # all of it is in folders now
    precision, why = machine.fast_precision(device)
    batch_size = fitting_batch(_gpu_memory() if device == "cuda" else None)
    return Profile(
        name="full",
        encoder=str(hub.BERT.folder),
        bert=str(hub.BERT.folder),
        gpt=str(hub.GPT2.folder),
        t5=str(hub.T5.folder),
        gpt2_tokenizer=str(hub.GPT2.folder),
        sentiment_prefix="sst2 sentence: ",  # one of the tasks of its supervised mixture
        imdb=str(hub.IMDB.folder),
        device=device,
        precision=precision,
        attention="sdpa" if device == "cuda" else "eager",
        train_size=None,
        validation_size=None,
        test_size=None,
        max_length=512,
        batch_size=batch_size,
        accumulation=BATCH // batch_size,
        learning_rate=2e-5,
        frozen_parts=0,
        why=(reason, why, "the whole data set" + ("" if device == "cuda" else ", many hours without a GPU")),
    )


def fitting_batch(memory: float | None) -> int:
    """Reviews of 512 tokens that bert-base trains on at once in a GPU's memory, in GiB; None: not on a GPU.

    An estimate: 2.5 GiB for weights, gradients and optimizer, and 0.6 GiB for each review. Where it is too high,
    `utils.memory.within_memory` halves the batch and goes on.
    """
    size = BATCH
    while memory is not None and size > 1 and 2.5 + 0.6 * size > memory:
        size //= 2
    return size


def prepare_gpu() -> None:
    """Let a GPU multiply float32 matrices as TF32 where it can (Ampere and later): 8 bits of range, 10 of precision."""
    import torch

    torch.set_float32_matmul_precision("high")


def _gpu_memory() -> float:
    import torch

    return torch.cuda.get_device_properties(0).total_memory / 2**30


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _device_name(device: str) -> str:
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return "CPU"
