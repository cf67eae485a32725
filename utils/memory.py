"""Memory: kept for reuse on a CPU, where that is much faster; made do with on a GPU, where it may run out."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

from utils.errors import CourseError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4  # names and numbers of glibc's malloc.h
KEEP = 2**31 - 1  # bytes
FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")  # the same, raised as other errors


def peak_mib() -> float | None:
    """The largest resident memory of this process so far, in MiB; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def keep_freed_memory() -> bool:
    """Tell glibc to reuse large blocks; returns whether it could be told (Linux with glibc).

    By default each tensor of more than 32 MiB is a new mapping, and the system clears its pages anew on every step.
    """
    return _set_allocator((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP), (M_TOP_PAD, 2**28))


def give_back_freed_memory() -> bool:
    """Tell glibc to return blocks of a mebibyte and more to the system when they are freed: slower, and much smaller.

    By default the limit grows with the blocks that were freed, up to 32 MiB, and what lies between stays.
    """
    return _set_allocator((M_MMAP_THRESHOLD, 2**20), (M_TRIM_THRESHOLD, 2**20))


def give_back_after_each_cell() -> None:
    """Return what is free after each cell to the system; within a cell it is kept. Does nothing outside a notebook.

    After a training some 1.5 GiB are free, which other processes can use while the student reads on.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and sys.platform.startswith("linux"):
        shell.events.register("post_run_cell", _give_back)  # once, however often it is asked for


def _give_back(*_) -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)


def _set_allocator(*settings: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return all(mallopt(name, value) == 1 for name, value in settings)


def within_memory(trainer, train: Callable[[], object]):
    """`train()`; where a GPU's memory runs out, again with half as many reviews on it at once, and a line that says so.

    The gradients of the smaller batches are added up, so that a step has as many reviews as before. The last resort is
    to compute intermediate values a second time instead of keeping them (gradient checkpointing). The training goes on
    from its last checkpoint if `train` looks for one, else from the weights with which it began.

    Args:
        trainer: a `transformers.Trainer`; its arguments are changed in place.
        train: calls `trainer.train(…)`.

    Returns:
        What `train` returns.

    Raises:
        CourseError: not even one review at a time has room.
    """
    import torch
    from transformers import set_seed

    args, model = trainer.args, trainer.model
    # Classifiers take arguments for their loss and ignore them, so that sums of batches would come out too large:
    # https://github.com/huggingface/transformers/issues/47688
    trainer.model_accepts_loss_kwargs = False
    start = {name: values.detach().cpu().clone() for name, values in model.state_dict().items()}
    saving = False
    while True:
        try:
            return train()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not isinstance(error, torch.OutOfMemoryError) and not any(words in str(error) for words in FULL):
                raise
        # Here the error is gone, and with it the tensors that its frames held.
        if args.per_device_train_batch_size > 1:
            args.per_device_train_batch_size //= 2
            args.gradient_accumulation_steps *= 2
            args.per_device_eval_batch_size = max(1, args.per_device_eval_batch_size // 2)
            size, times = args.per_device_train_batch_size, args.gradient_accumulation_steps
            print(f"Out of memory. Going on with {size} reviews at once, {times} times for each step.")
        elif not saving:
            saving = True
            old_name = model.gradient_checkpointing_enable
            getattr(model, "activation_checkpointing_enable", old_name)({"use_reentrant": False})
            print("Out of memory. Going on with gradient checkpointing: less memory, about a third more time.")
        else:
            raise CourseError(
                "The GPU's memory is too small for one review at a time. Is another program using it (nvidia-smi)? "
                "Restart the kernel, or set COURSE_PROFILE=embedded for a smaller model."
            )
        _as_new(trainer)
        model.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        model.load_state_dict(start)
        set_seed(args.seed)


def _as_new(trainer) -> None:
    """Undo what a training that broke off did to its trainer; `train` makes the rest anew, or reads the checkpoint."""
    import torch

    trainer._train_batch_size = trainer.args.train_batch_size  # the Trainer reads it from here
    trainer.optimizer = trainer.lr_scheduler = None
    accelerator = trainer.accelerator
    accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # takes off what it put around `forward`
    trainer.model._is_accelerate_prepared = False
    if getattr(accelerator, "scaler", None) is not None:  # it may have stopped between two of its calls
        accelerator.scaler = torch.amp.GradScaler(trainer.args.device.type)
