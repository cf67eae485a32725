"""The machine, in words: what a report of measured times must say to be worth reading."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """Memory of the machine, in GiB."""
    import psutil

    return psutil.virtual_memory().total / 2**30


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

    from utils.profiles import fast_precision

    gpu = torch.cuda.is_available()
    precision, why = fast_precision("cuda" if gpu else "cpu")
    return {
        "processor": processor(),
        "cores": str(cores()),
        "memory": f"{memory():.0f} GiB",
        "GPU": torch.cuda.get_device_name() if gpu else "none",
        "precision": f"{precision}: {why}",
        "system": platform.platform(),
        "Python": platform.python_version(),
    }
