"""Two profiles, one choice: which model, which data and which sizes fit the machine at hand."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from utils import assets, hub, machine
from utils.errors import CourseError
from utils.files import cache_folder, write_atomically

PROFILE_VARIABLE = "COURSE_PROFILE"
PROFILES = ("embedded", "full")
SIZES_VARIABLE = "COURSE_SIZES"
QUICK = {"train_size": 80, "test_size": 16, "max_length": 24}  # to see that everything runs
PATIENCE = {"by itself": 3.0, "by name": 8.0}  # seconds in which the hub brings nothing, by how `full` was chosen
GPU_BATCH = 16  # reviews of one step
SHOWN_VERSIONS = ("torch", "transformers", "datasets")
ENCODER_GIB = 6.0  # memory of a machine that fine-tunes the base-size encoder
# Reviews to learn from, reviews for the end, tokens of each, and reviews of one step (small ones make more steps of few
# labels, and need less memory), by the billions of operations a second that a processor does in multiplying matrices;
# below the last, the base-size encoder takes too long.
BY_RATE = {350: (500, 200, 192, 8), 60: (240, 120, 160, 4)}
RATES = {"AMX": 350, "AVX512-BF16": 350, "AVX512": 100, "AVX2": 55, "NEON": 80, "older instructions": 15}  # of a core
SMALL = (2000, 1000, 128, 8)  # for the small encoder
MINUTES = 8  # to train, at most, on a GPU
ALL = {"embedded": {"train_size": 16528, "test_size": 4972}, "full": {"train_size": 25000, "test_size": 25000}}
WEIGHTS, USED = 86e6, 0.4  # of a base-size encoder, embeddings apart; share of a GPU's matrix rate, an estimate


@dataclass(frozen=True)
class Profile:
    """What a lesson needs to know about this machine; `detect()` makes it.

    Attributes:
        name: "embedded" (installed packages only, no network) or "full" (Hugging Face hub).
        encoder: folder of the pretrained encoder that lesson 02 fine-tunes, for `from_pretrained`.
        small_encoder: folder of one for quick experiments.
        bert, gpt, t5: folder of one model of each family, for lesson 01 and later.
        gpt2_tokenizer: folder of GPT-2's own tokenizer, 50,257 pieces, under every profile.
        t5_prefixes: what the T5 was trained to see before a text, for three tasks; the first one judges opinions.
        imdb: folder of the movie reviews, for `load_dataset`.
        device: "cuda" or "cpu".
        precision: "bfloat16", "float16" or "float32": what this processor multiplies fast.
        attention: `attn_implementation` that trains fastest on short texts: "sdpa" on a GPU, "eager" on a CPU.
        train_size: labelled reviews to fine-tune on.
        test_size: reviews for the one final measurement.
        max_length: tokens of a review that the model sees, special tokens included.
        batch_size: reviews of one training step.
        learning_rate: peak learning rate of fine-tuning `encoder`.
        why: the reasons for these choices, one line each.
        quick: are the sizes those of COURSE_SIZES=quick, with which everything runs and nothing is learned?
    """

    name: str
    encoder: str
    small_encoder: str
    bert: str
    gpt: str
    t5: str
    gpt2_tokenizer: str
    t5_prefixes: tuple[str, str, str]
    imdb: str
    device: str
    precision: str
    attention: str
    train_size: int
    test_size: int
    max_length: int
    batch_size: int
    learning_rate: float
    why: tuple[str, ...]
    quick: bool = False

    @property
    def arithmetic(self) -> dict[str, bool]:
        """For `TrainingArguments`: 16-bit arithmetic where this processor is fast at it, and which processor."""
        return {
            "bf16": self.precision == "bfloat16", "fp16": self.precision == "float16", "use_cpu": self.device == "cpu"
        }  # fmt: skip


# What a notebook may say that it uses: the attribute, or only the tokenizer of a model.
ON_THE_HUB = {
    "encoder": hub.BERT, "small_encoder": hub.BERT, "bert": hub.BERT, "gpt": hub.GPT2, "t5": hub.T5,
    "gpt2_tokenizer": hub.GPT2, "imdb": hub.IMDB,
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
    sizes = os.environ.get(SIZES_VARIABLE, "").strip().lower()
    if sizes not in ("", "quick", "all"):
        raise CourseError(f"{SIZES_VARIABLE} is {sizes!r}; expected quick, all, or unset.")
    trains = uses is None or any(use.partition("/")[0] == "encoder" for use in uses)
    rate = _rate(device) if trains or device == "cpu" else None

    def embedded(reason: str) -> Profile:
        return _sized(_embedded(device, reason, trains, rate), sizes, rate)

    if asked == "embedded":
        return embedded(by_name)
    if not asked and device == "cpu":
        return embedded("this machine has no CUDA GPU")
    try:
        hub.fetch(wanted(ON_THE_HUB if uses is None else uses), PATIENCE["by name" if asked else "by itself"])
    except hub.HubError as error:
        if asked:
            raise CourseError(
                f"The profile 'full' was asked for, but {error}. "
                f"Mend that, or set {PROFILE_VARIABLE}=embedded to work without the hub."
            ) from None
        return embedded(f"there is a CUDA GPU, but {error}")
    reason = by_name if asked else "there is a CUDA GPU, and all that this notebook uses is here"
    return _sized(_full(device, reason, rate), sizes, rate)


def _sized(profile: Profile, sizes: str, rate: float | None) -> Profile:
    """The profile with the sizes that COURSE_SIZES asks for, if it does."""
    if sizes == "quick":
        why = f"{SIZES_VARIABLE}=quick, to see that everything runs; nothing is learned"
        return dataclasses.replace(profile, **QUICK, quick=True, why=(*profile.why[:2], why))
    if sizes == "all":
        most = ALL[profile.name]
        length = profile.max_length if profile.name == "embedded" else 512
        minutes = most["train_size"] * length / _tokens_a_minute(rate) if rate else None
        time = f", about {_rounded(minutes)} to train, estimated from the matrix rate" if minutes else ""
        why = f"{SIZES_VARIABLE}=all{time}"
        return dataclasses.replace(profile, **most, max_length=length, why=(*profile.why[:2], why))
    return profile


def _rounded(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"


def _tokens_a_minute(rate: float) -> float:
    """Tokens that a base-size encoder trains on in a minute: each takes 6 operations for each weight."""
    return 60 * 1e9 * rate * USED / (6 * WEIGHTS)


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


def banner(profile: Profile, uses: Iterable[str] | None = None) -> str:
    """Profile, device, cores, memory, precision, sizes, versions and the reasons, one line each.

    Args:
        profile: the one in use.
        uses: as in `detect`; the sizes are said where the reviews are read.
    """
    reads = uses is None or "imdb" in uses
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN_VERSIONS)
    sizes = f"{profile.train_size:,} to learn from, {profile.test_size:,} for the end"
    cores = machine.cores()
    return "\n".join([
        f"profile    {profile.name}: {profile.why[0]}",
        f"machine    {_device_name(profile.device)}, {cores} core{'s' * (cores > 1)}, {machine.gib(machine.memory())}",
        f"precision  {profile.precision}: {profile.why[1]}",
        *([f"reviews    {sizes}, {profile.max_length} tokens each: {profile.why[2]}"] if reads else []),
        f"models     {_models(profile)}",
        f"versions   Python {platform.python_version()}, {versions}",
    ])  # fmt: skip


def _models(profile: Profile) -> str:
    if profile.name == "full":
        return ", ".join(f"{one.name} at {one.revision[:7]}" for one in hub.REPOSITORIES if one.kind == "model")
    folders = dict.fromkeys((profile.encoder, profile.small_encoder, profile.bert, profile.gpt, profile.t5))
    return ", ".join(os.path.basename(folder) for folder in folders)


def _embedded(device: str, reason: str, trains: bool, rate: float | None) -> Profile:
    """`trains`: is `encoder` used? `rate` as of `_rate`; None where sizes do not matter."""
    # Read once, when a Hugging Face library is imported; nothing below needs the hub.
    os.environ["HF_HUB_OFFLINE"] = "1"
    precision, why = machine.fast_precision(device)
    sizes = next((sizes for least, sizes in BY_RATE.items() if rate is None or rate >= least), SMALL)
    why_sizes = "to train in a few minutes"
    if machine.memory() < ENCODER_GIB:
        sizes, why_sizes = SMALL, f"a small encoder, for {machine.gib(machine.memory())} of memory"
    elif sizes is SMALL:
        why_sizes = f"a small encoder, for {machine.cores()} core(s) of {_kind(device)}"
    elif rate is not None and sizes is not next(iter(BY_RATE.values())):
        why_sizes = f"few, to train in 8 minutes on {machine.cores()} cores of {_kind(device)}"
    train_size, test_size, max_length, batch_size = sizes
    return Profile(
        name="embedded",
        encoder=str(
            assets.small_encoder() if sizes is SMALL else assets.encoder() if trains else assets.place(assets.ENCODER)
        ),
        small_encoder=str(assets.small_encoder()),
        bert=str(assets.small_model("mini-bert")),
        gpt=str(assets.small_model("mini-gpt")),
        t5=str(assets.small_model("mini-t5")),
        gpt2_tokenizer=str(assets.gpt2_tokenizer()),
        t5_prefixes=("sentiment: ", "title: ", "topic: "),
        imdb=str(assets.imdb()),
        device=device,
        precision=precision,
        attention="sdpa" if device == "cuda" else "eager",
        train_size=train_size,
        test_size=test_size,
        max_length=max_length,
        batch_size=GPU_BATCH if device == "cuda" else batch_size,
        learning_rate=1e-4 if sizes is SMALL else 5e-5,
        why=(reason, why, why_sizes),
    )


def _full(device: str, reason: str, rate: float | None) -> Profile:
    os.environ["HF_HUB_OFFLINE"] = "1"  # all of it is in folders now
    precision, why = machine.fast_precision(device)
    batch_size, length = fitting_batch(_gpu_memory() if device == "cuda" else None), 256
    reviews = ALL["full"]["train_size"] if rate is None else int(MINUTES * _tokens_a_minute(rate) / length)
    train_size = max(batch_size, min(reviews // batch_size * batch_size, ALL["full"]["train_size"]))
    why_sizes = f"as many as train in about {MINUTES} minutes, estimated from the matrix rate"
    return Profile(
        name="full",
        encoder=str(hub.BERT.folder),
        small_encoder=str(hub.BERT.folder),
        bert=str(hub.BERT.folder),
        gpt=str(hub.GPT2.folder),
        t5=str(hub.T5.folder),
        gpt2_tokenizer=str(hub.GPT2.folder),
        t5_prefixes=("sst2 sentence: ", "summarize: ", "translate English to German: "),  # of its supervised mixture
        imdb=str(hub.IMDB.folder),
        device=device,
        precision=precision,
        attention="sdpa" if device == "cuda" else "eager",
        train_size=train_size,
        test_size=min(train_size, ALL["full"]["test_size"]),
        max_length=length,
        batch_size=batch_size,
        learning_rate=2e-5,
        why=(reason, why, why_sizes),
    )


def _kind(device: str) -> str:
    return "a GPU" if device == "cuda" else f"a processor with {machine.instructions()}"


def _rate(device: str) -> float:
    """Billions of operations a second in multiplying matrices.

    A processor's is estimated, since what is measured while something else runs would change the sizes of a lesson from
    one day to the next. A GPU's is measured once and kept in the cache.
    """
    if device == "cpu":
        return machine.cores() * RATES[machine.instructions()]
    precision, _ = machine.fast_precision(device)
    path, name = cache_folder() / "rates.json", f"{_device_name(device)}, {precision}"
    try:
        rates = {key: float(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        rates = {}
    if name not in rates:
        rates[name] = machine.matrix_rate(device, precision) / 1e9
        write_atomically(path, json.dumps(rates, indent=1) + "\n")
    return rates[name]


def fitting_batch(memory: float | None) -> int:
    """Reviews of 512 tokens that bert-base trains on at once in a GPU's memory, in GiB; None: not on a GPU.

    An estimate: 2.5 GiB for weights, gradients and optimizer, and 0.6 GiB for each review. Where it is too high,
    `utils.memory.within_memory` halves the batch and goes on.
    """
    size = GPU_BATCH
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
