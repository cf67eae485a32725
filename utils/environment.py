"""The first cell of every lesson ends here: is this kernel fit for the course, and which profile runs?

Imports nothing but the standard library until the packages are known to be there.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from utils import files, machine
from utils.console import print_anywhere
from utils.errors import CourseError, show_errors_in_one_line

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
NOT_IN_A_KERNEL = {"jupyterlab"}  # the server may live in another environment, and Colab has its own
LESSON_GIB, LITTLE_GIB = 1.5, 0.7  # what lesson 04 takes with the small sizes, and what exercises take
WORKER_GIB = 1.0  # of one more worker process of lessons 03 to 05
OLD_NAME = "`is_gradient_checkpointing` is deprecated"
QUIET = {
    # Bars for waits of a second, and notes that the lessons explain in their own words.
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
    # peft calls transformers by a name that is on its way out; processes that a lesson starts read this.
    "PYTHONWARNINGS": f"ignore:{OLD_NAME}:FutureWarning",
}


def begin(profile_name: str | None = None, uses: Iterable[str] | None = None):
    """Check the kernel, choose the profile, prepare its files, print the banner.

    Args:
        profile_name: "embedded" or "full"; by default COURSE_PROFILE or the machine decides.
        uses: what a notebook reads under `full`, see `utils.profiles.detect`; by default all there is.

    Returns:
        The `utils.profiles.Profile` in use.

    Raises:
        CourseError: packages are missing or too old, the cache cannot be written, memory is too small, or the profile
            that was asked for cannot run.
    """
    show_errors_in_one_line()
    print_anywhere()
    if "LOCAL_RANK" not in os.environ:  # several GPUs would share each step of a notebook, and make it larger
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    if "google.colab" in sys.modules:
        from utils.colab import complete

        complete()
    require_packages()
    files.check_cache()
    require_memory(uses)
    for name, value in (QUIET | files.library_folders() | within_container()).items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", OLD_NAME, FutureWarning)
    from utils.memory import give_back_freed_memory, keep_freed_memory
    from utils.profiles import banner, detect, prepare_gpu

    if machine.is_small():
        give_back_freed_memory()
    else:
        keep_freed_memory()
    profile = detect(profile_name, uses)
    if profile.device == "cuda":
        prepare_gpu()
    print(banner(profile))
    return profile


def require_memory(uses: Iterable[str] | None) -> None:
    """Raise one clear line where a notebook would run out of memory: the system would end its kernel without a word.

    Args:
        uses: as in `begin`; those that read the reviews compute much with them.
    """
    needed = LESSON_GIB if uses is None or "imdb" in uses else LITTLE_GIB
    free, all_of_it = machine.available(), machine.memory()
    if free >= needed:
        return
    if all_of_it < needed + 0.3:  # for the system and the notebook server
        raise CourseError(
            f"There are {machine.gib(all_of_it)} of memory here; this notebook needs {needed} GiB for itself. Use a "
            "larger machine."
        )
    raise CourseError(
        f"Only {machine.gib(free)} of {machine.gib(all_of_it)} of memory are free; this notebook needs {needed} GiB. "
        "Shut down the kernels of other notebooks (Kernel > Shut Down All Kernels), then restart this one."
    )


def within_container() -> dict[str, str]:
    """Variables that keep threads and worker processes within what a container may use; none where nothing limits."""
    cores = machine.cores()
    found = {"OMP_NUM_THREADS": str(cores)} if cores < machine.present_cores() else {}
    workers = max(1, min(cores, int((machine.available() - LESSON_GIB) / WORKER_GIB) + 1))
    return found | ({"LOKY_MAX_CPU_COUNT": str(workers)} if workers < machine.present_cores() else {})


def require_packages(requirements: Path = REQUIREMENTS) -> None:
    """Raise one clear line if this kernel lacks a package of requirements.txt or has too old a release."""
    problems = lacking(requirements)
    if problems:
        raise CourseError(
            f"This kernel ({Path(sys.prefix).name}) lacks {', '.join(map(_with_found, problems.values()))}. "
            f'Run: "{sys.executable}" -m pip install -r "{requirements}"  then restart the kernel. '
            "After `make setup`, choose the kernel of the course's folder .venv."
        )


def lacking(requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """Package -> its requirement, such as "peft>=0.18", for each that is missing or older than that."""
    found = {}
    for name, floor in read_requirements(requirements).items():
        if name in NOT_IN_A_KERNEL:
            continue
        try:
            fits = _numbers(importlib.metadata.version(name)) >= _numbers(floor)
        except importlib.metadata.PackageNotFoundError:
            fits = False
        if not fits:
            found[name] = _lines(requirements)[name][0]
    return found


def read_requirements(path: Path) -> dict[str, str]:
    """Package -> lowest version, from the lines `name>=version` or `name==version` of a requirements file."""
    return {name: match[2] for name, match in _lines(path).items()}


def _lines(path: Path) -> dict[str, re.Match]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([A-Za-z0-9_.-]+)[>=]=([0-9][0-9a-z.]*)", line) for line in lines)
    return {match[1].lower(): match for match in found if match}


def _with_found(requirement: str) -> str:
    name = re.split(r"[>=]=", requirement)[0]
    try:
        return f"{requirement} (found {importlib.metadata.version(name)})"
    except importlib.metadata.PackageNotFoundError:
        return name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])
