"""What a student hands in, as plain values and functions of plain values.

A check sees the same whether the answer lives beside it, in the student's kernel, or in another process, as in
`tools.grade`: numbers, texts, lists, dicts and NumPy arrays, and functions that take and give these.
"""

from __future__ import annotations

import contextlib
import copy
import dis
import inspect
import math
import reprlib
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

import numpy as np

LARGEST = 1_000_000  # numbers in one answer
DEEPEST = 10
LONGEST = 20.0  # seconds of one call; nothing asked for takes one


class Hint(Exception):
    """What is off with an answer, in a line or two that lead on and do not give the answer away."""


def require(met: bool, hint: str) -> None:
    """Raise a `Hint` unless what is asked for is met."""
    if not met:
        raise Hint(hint)


def hint_if(wrong: bool, hint: str) -> None:
    """Raise a `Hint` where a mistake is recognised."""
    if wrong:
        raise Hint(hint)


class TimeUp(BaseException):
    """A student's code took too long; no `except Exception` in it catches this."""


@contextlib.contextmanager
def limited(seconds: float | None):
    """Raise `TimeUp` in the block after so many seconds, where the system can: in a main thread, not on Windows."""
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TimeUp(f"took more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Function:
    """A student's function, called with copies; gives plain values, and a `Hint` where it stops or returns nothing."""

    def __init__(self, call: Callable, seconds: float | None = LONGEST) -> None:
        self.call, self.seconds = call, seconds
        try:
            self.names = list(inspect.signature(call).parameters)
        except (TypeError, ValueError):  # some that are not written in Python
            self.names = []

    def __call__(self, *arguments):
        """The function's result as a plain value.

        Raises:
            Hint: the function raised an error, took too long, returned None, or what is no plain value.
        """
        named = zip_longest(self.names, arguments, fillvalue="?")
        given = ", ".join(f"{name} = {shown(argument)}" for name, argument in named)
        try:
            with limited(self.seconds):
                result = plain(self.call(*copy.deepcopy(arguments)))
        except Hint:
            raise
        except TimeUp as late:
            raise Hint(f"Called with {given}, your function {late}. Does a loop in it never end?") from None
        except (Exception, SystemExit) as error:
            lines = str(error).strip().splitlines() or [""]
            what = f"{type(error).__name__}: {lines[0][:150]}"
            raise Hint(f"Called with {given}, your function stops with {what}") from None
        if result is None:
            raise Hint(
                f"Called with {given}, your function returns None. Is a `return` missing, or at the wrong place?"
            )
        return result


def is_blank(answer) -> bool:
    """Was nothing written yet: `...`, None, something empty, or a function without a line of its own?"""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, dict | list | tuple | str):
        return not answer or (isinstance(answer, dict) and all(map(is_blank, answer.values())))
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    empty = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = list(dis.get_instructions(code))
    return all(step.opname in empty for step in steps) and all(step.argval in (None, ...) for step in steps[1:])


def as_answer(answer) -> Function | object:
    """A function wrapped, anything else as a plain value.

    Raises:
        Hint: it is neither.
    """
    return Function(answer) if callable(answer) and not isinstance(answer, type) else plain(answer)


def plain(value, depth: int = 0):
    """Numbers, texts, lists, dicts, NumPy arrays and None; tensors become arrays, tuples and sets lists.

    Raises:
        Hint: there is something else in it, or too much.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return bool(value) if isinstance(value, np.bool_) else int(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return float(value)
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        if value.size > LARGEST:
            raise Hint(f"Your answer has {value.size:,} numbers; expected fewer than {LARGEST:,}.")
        return value.item() if value.ndim == 0 else value
    if isinstance(value, Mapping | list | tuple | set | frozenset | range | np.ndarray):
        if depth == DEEPEST or len(value) > LARGEST:
            raise Hint("Your answer is nested too deeply or too long to be checked.")
        if isinstance(value, Mapping):
            return {key if isinstance(key, int) else str(key): plain(item, depth + 1) for key, item in value.items()}
        items = value if isinstance(value, Sequence | np.ndarray) else sorted(value, key=repr)
        return [plain(item, depth + 1) for item in items]
    raise Hint(f"Your answer has {a(type(value).__name__)} in it; expected numbers, texts, lists, dicts or tensors.")


def encoded(value):
    """A plain value or tensors in lists as what JSON can carry; `decoded` turns it back."""
    if hasattr(value, "detach") or isinstance(value, np.ndarray):
        is_tensor = hasattr(value, "detach")
        value = value.detach().cpu().numpy() if is_tensor else value
        return {"tensor" if is_tensor else "array": [str(value.dtype), list(value.shape), value.ravel().tolist()]}
    if isinstance(value, dict):
        return {"dict": [[key, encoded(item)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [encoded(item) for item in value]}
    if isinstance(value, list):
        return [encoded(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def decoded(value, tensors: bool = False):
    """What `encoded` was given; arrays that were tensors become tensors again only if asked for.

    Raises:
        ValueError: it is of another form.
    """
    if isinstance(value, list):
        return [decoded(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((form, content),) = value.items()
    if form == "dict":
        return {key: decoded(item, tensors) for key, item in content}
    if form == "tuple":
        return tuple(decoded(item, tensors) for item in content)
    dtype, shape, items = content
    if form not in ("array", "tensor") or np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"Expected an array or a tensor of numbers, got {form!r}.")
    array = np.array(items, dtype=dtype).reshape(shape)
    if tensors and form == "tensor":
        import torch

        return torch.from_numpy(array)
    return array


def shown(*values) -> str:
    """The values as a student would write them, long ones shortened; of a tensor or an array the shape."""
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxdict = 3
    short.maxstring = short.maxother = 50
    short.maxlevel = 3
    texts = []
    for value in values:
        if hasattr(value, "shape"):
            noun = "a tensor" if hasattr(value, "detach") else "an array"
            texts.append(f"{noun} of shape {tuple(value.shape)}")
        else:
            texts.append(short.repr(value))
    return ", ".join(texts)


def number(value, what: str = "your answer") -> float:
    """A finite number.

    Raises:
        Hint: it is none.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    require(value is not None, f"{what[0].upper()}{what[1:]} is still empty.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = " Write it without quotes." if isinstance(value, str) else ""
        raise Hint(f"Expected {what} to be a number, got {kind(value)}.{text}")
    if not math.isfinite(value):
        raise Hint(f"Expected {what} to be a finite number, got {value}.")
    return value


def numbers(value, what: str = "your answer", shape: tuple[int, ...] | None = None) -> np.ndarray:
    """An array of finite numbers, of a shape if one is given.

    Raises:
        Hint: it is none.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise Hint(f"Expected {what} to hold numbers, got {kind(value)}.")
    if not np.isfinite(array).all():
        raise Hint(f"Expected {what} to hold finite numbers; some are not (NaN or infinite).")
    if shape is not None and array.shape != shape:
        raise Hint(f"Expected {what} to have the shape {shape}, got {array.shape}.")
    return array


def listed(value, what: str = "your answer", length: int | None = None) -> list:
    """A list, of a length if one is given.

    Raises:
        Hint: it is none.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list):
        raise Hint(f"Expected {what} to be a list, got {kind(value)}.")
    if length is not None and len(value) != length:
        raise Hint(f"Expected {what} to have {length} items, got {len(value)}.")
    return value


def entries(value, keys, what: str = "your answer") -> dict:
    """A dict with exactly these keys.

    Raises:
        Hint: it is none.
    """
    if not isinstance(value, dict):
        raise Hint(f"Expected {what} to be a dict, got {kind(value)}.")
    if set(value) != set(keys):
        raise Hint(f"Expected {what} to have the entries {', '.join(map(repr, keys))}, got {shown(*value) or 'none'}.")
    return value


def kind(value) -> str:
    """A value's type in words, with the value where it is short."""
    name = "a function" if isinstance(value, Function) or callable(value) else a(type(value).__name__)
    text = "" if isinstance(value, Function) or callable(value) else repr(value)
    return f"{name} ({text})" if 0 < len(text) <= 40 else name


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
