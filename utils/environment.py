"""The first cell of every lesson ends here: is this kernel fit for the course, and which profile runs?

Imports nothing but the standard library until the packages are known to be there.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable

from utils import files, machine
from utils.console import print_anywhere
from utils.errors import CourseError, show_errors_in_one_line
from utils.requirements import require_packages

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


def begin(profile_name: str | None = None, uses: Iterable[str] | None = None, show: bool = True):
    """Check the kernel, choose the profile, prepare its files, print the banner.

    Args:
        profile_name: "embedded" or "full"; by default COURSE_PROFILE or the machine decides.
        uses: what a notebook reads under `full`, see `utils.profiles.detect`; by default all there is.
        show: print the banner?

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
    from utils.memory import give_back_after_each_cell, give_back_freed_memory, keep_freed_memory
    from utils.profiles import banner, detect, prepare_gpu

    if machine.is_small():
        give_back_freed_memory()
    else:
        keep_freed_memory()
        give_back_after_each_cell()
    profile = detect(profile_name, uses)
    if profile.device == "cuda":
        prepare_gpu()
    if show:
        print(banner(profile, uses))
    return profile


def require_memory(uses: Iterable[str] | None) -> None:
    """Raise one clear line where a notebook would run out of memory: the system would end its kernel without a word.

    Args:
        uses: as in `begin`; those that read the reviews compute much with them.
    """
    needed = LESSON_GIB if uses is None or "imdb" in uses else LITTLE_GIB
    free, total = machine.available(), machine.memory()
    if free >= needed:
        return
    if total < needed + 0.3:  # for the system and the notebook server
        raise CourseError(
            f"There are {machine.gib(total)} of memory here; this notebook needs {needed} GiB for itself. Use a "
            "larger machine."
        )
    raise CourseError(
        f"Only {machine.gib(free)} of {machine.gib(total)} of memory are free; this notebook needs {needed} GiB. "
        "Shut down the kernels of other notebooks (Kernel > Shut Down All Kernels), then restart this one."
    )


def within_container() -> dict[str, str]:
    """Variables that keep threads and worker processes within what a container may use; none where nothing limits."""
    cores, present = machine.cores(), machine.present_cores()
    variables = {}
    if cores < present:
        variables["OMP_NUM_THREADS"] = str(cores)
    workers = max(1, min(cores, int((machine.available() - LESSON_GIB) / WORKER_GIB) + 1))
    if workers < present:
        variables["LOKY_MAX_CPU_COUNT"] = str(workers)
    return variables
