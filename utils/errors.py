"""What a student reads when something goes wrong: a line to act on instead of a page of traceback."""

from __future__ import annotations

import contextlib


class CourseError(RuntimeError):
    """What was given, what was expected and what to do, in one or two lines.

    IPython asks an exception how it wants to be shown; this one shows its message only.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"CourseError: {self}"]


def one_line(error: BaseException) -> str | None:
    """The line for a mistake that everybody makes in a notebook; None for any other error."""
    if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
        return f"NameError: {error}. Was a cell skipped? Choose Run > Run All Above Selected Cell, then run this one."
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted. Run this cell again when you are ready; training goes on from its last checkpoint."
    return full_disk(error)


def full_disk(error: BaseException) -> str | None:
    """The line for a disk that is full, which libraries raise as errors of several kinds; None for any other error."""
    if isinstance(error, CourseError):  # it says itself what to do
        return None
    text = str(error)
    by_torch = isinstance(error, RuntimeError) and "inline_container" in text and "unexpected pos" in text
    if "No space left on device" not in text and "Disk quota exceeded" not in text and not by_torch:
        return None
    return "The disk is full. Make room, then run this again; or set COURSE_CACHE to another folder before you start."


def show_errors_in_one_line() -> None:
    """In a notebook, show a skipped cell, an interrupt and a full disk as one line. Elsewhere, do nothing."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return

    def show(shell, kind, error, traceback, tb_offset=None):
        line = one_line(error)
        # Only what the student's own cell raised: the same error from inside a library keeps its traceback.
        own = traceback.tb_next is None or traceback.tb_next.tb_next is None
        if line is None or (isinstance(error, NameError) and not own):
            return shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
        shell._showtraceback(kind, error, [line])
        return [line]

    kinds = [NameError, KeyboardInterrupt, OSError, RuntimeError]
    with contextlib.suppress(ImportError):
        from safetensors import SafetensorError

        kinds.append(SafetensorError)
    shell.set_custom_exc(tuple(kinds), show)
