"""The machine, in words and numbers: in a container, as much of it as the container may use."""

from __future__ import annotations

import math
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path

SMALL_GIB = 3.5  # with less, lessons take small sizes and give memory back
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")  # Linux's control groups, and this process's


def cores() -> int:
    """Processor cores that this process may use: those it may run on, or a container's share of time if that is less.

    Half a core counts as one, one and a half as two.
    """
    return max(1, min([present_cores(), *(math.ceil(share) for share in _shares())]))


def present_cores() -> int:
    """Processor cores that this process may run on, however little time it gets on them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """Memory that this process may use, in GiB: the machine's, or its container's limit if that is less."""
    import psutil

    return min([psutil.virtual_memory().total, *(limit for limit, _ in _limits())]) / 2**30


def available() -> float:
    """Memory that this process may still take, in GiB; caches of files count as free, since they give way."""
    import psutil

    return max(0, min([psutil.virtual_memory().available, *(limit - used for limit, used in _limits())])) / 2**30


def is_small() -> bool:
    """Is memory so small that lessons must take care of it?"""
    return memory() < SMALL_GIB


def gib(amount: float) -> str:
    """An amount of memory in words: 24 GiB, 1.5 GiB."""
    return f"{amount:.0f} GiB" if amount >= 8 else f"{amount:.1f} GiB".replace(".0", "")


def processor() -> str:
    """Name of the processor; on Linux with its family and model numbers, since virtual machines shorten the name."""
    try:
        listed = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
        return f"{listed['model name']} (family {listed['cpu family']}, model {listed['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def describe() -> dict[str, str]:
    """Processor, cores, memory, fast number format, GPU, system and Python, by name."""
    import torch

    gpu = torch.cuda.is_available()
    precision, why = fast_precision("cuda" if gpu else "cpu")
    return {
        "processor": processor(),
        "cores": str(cores()),
        "memory": gib(memory()),
        "GPU": torch.cuda.get_device_name() if gpu else "none",
        "precision": f"{precision}: {why}",
        "system": platform.platform(),
        "Python": platform.python_version(),
    }


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
    kind = instructions()
    if kind in ("AMX", "AVX512-BF16"):
        return "bfloat16", f"the processor has {kind}"
    return "float32", "the processor has no fast bfloat16"


def instructions() -> str:
    """The processor's best instructions for multiplying matrices, by name."""
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    for flag, name in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16"), ("avx512_f", "AVX512"), ("avx2", "AVX2")):
        if capabilities.get(flag):
            return name
    return "NEON" if platform.machine().lower() in ("arm64", "aarch64") else "older instructions"


def matrix_rate(device: str, precision: str) -> float:
    """Operations a second in multiplying two large square matrices: the fastest of some products.

    Args:
        device: "cuda" or "cpu".
        precision: "bfloat16", "float16" or "float32".
    """
    import torch

    size, best = 8192 if device == "cuda" else 2048, float("inf")
    left, right = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
    for _ in range(6):
        started = time.perf_counter()
        product = left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    del product
    return 2 * size**3 / best


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of those around it, for "memory" or "cpu".

    Version 2 has one tree, version 1 one for each controller. A container may not see the folder that its path names;
    then the root of what it sees is its own.
    """
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        for root in [GROUPS / controller, GROUPS / names] if names else [GROUPS, GROUPS / "unified"]:
            inside = root / path.lstrip("/")
            if ".." in inside.parts:
                inside = root
            yield from [inside, *(folder for folder in inside.parents if folder.is_relative_to(root))]


def _limits() -> Iterator[tuple[float, float]]:
    """Limit and use of memory, in bytes, of each control group that has a limit."""
    for group in _groups("memory"):
        for limit, use, prefix in (
            ("memory.max", "memory.current", ""),
            ("memory.high", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            number = _numbers(group / limit)
            if number and number[0] < 2**60:  # version 1 writes 2**63 for none
                gives_way = re.findall(
                    rf"^{prefix}(?:inactive_file|active_file|slab_reclaimable) (\d+)$",
                    _text(group / "memory.stat"), re.MULTILINE,
                )  # fmt: skip
                used = (_numbers(group / use) or [0])[0] - sum(map(float, gives_way))
                yield number[0], max(0, used)


def _shares() -> Iterator[float]:
    """Cores' worth of time that each control group allows, where it limits it."""
    for group in _groups("cpu"):
        first_version = _numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us")
        shares = [_numbers(group / "cpu.max"), first_version]
        yield from (share[0] / share[1] for share in shares if len(share) == 2 and min(share) > 0)


def _numbers(path: Path) -> list[float]:
    return [float(word) for word in _text(path).split() if re.fullmatch(r"-?\d+", word)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
