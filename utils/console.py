"""Any console can show what a program prints: signs that it lacks are replaced, never an error."""

from __future__ import annotations

import argparse
import codecs
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from utils.errors import CourseError, full_disk

PLAIN = {"→": "->", "–": "-", "—": "-", "“": '"', "”": '"', "’": "'", "…": "...", "×": "x", "±": "+-", "·": ".",
         "✓": "+", "✗": "x", "◐": "o"}  # fmt: skip


def print_anywhere() -> None:
    """Let this process print everything, whatever the console's encoding; each program calls it first."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test may have put something else there
            stream.reconfigure(errors="plain")


def shown(name: str) -> str:
    r"""A file's name as text that can be printed and stored: bytes that are no UTF-8 as \xfc and the like."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def positive(kind: type) -> Callable[[str], float]:
    """A converter for argparse that takes numbers above 0 only, and finite ones."""

    def convert(text: str):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text}; expected a number above 0")
        return value

    convert.__name__ = "number"  # in argparse's message
    return convert


def seed(text: str) -> int:
    """A converter for argparse that takes what every library takes as a seed."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text}; expected 0 to {2**32 - 1}")
    return value


def stop_when_told() -> None:
    """Let the end of a terminal or a polite kill be an interrupt, so that what is done is kept; in a main thread."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run a program to its end: an error of the course is a line, an interrupt too, and a closed pipe is none."""
    print_anywhere()
    try:
        status = main()
        sys.stdout.flush()
    except CourseError as error:
        print(error, file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # `… | head`: no word about it, but the status that a shell gives
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        status = 141
    except Exception as error:
        if (line := full_disk(error)) is None:
            raise
        print(line, file=sys.stderr)
        status = 2
    sys.exit(status)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
