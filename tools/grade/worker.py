"""The process in which one submission runs. It computes; what is right is decided in the other process.

It reads one JSON object a line from the other process and answers each with one: first the cells to run and the names
to hand in, then calls of functions that the submission made. See `tools.grade.submission`.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import gc
import json
import os
import signal
import sys

import utils.checks
from utils.checks.answers import Function, Hint, decoded, encoded, is_blank, limited, plain

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def limit_memory(mib: float) -> None:
    """Allow so much more address space than now; beyond it, allocations raise MemoryError."""
    import resource

    import psutil

    most = psutil.Process().memory_info().vms + int(mib * 2**20)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def give_back_memory() -> None:
    """Return what is free to the system; the lessons' first cell has asked the allocator to keep it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)


def run(shell, order: dict) -> dict:
    """Run the cells, go on after an error, and say what each name stands for at the end."""
    limit_memory(order["mib"])
    remarks = []
    for number, source in enumerate(order["cells"], 1):
        before = set(shell.user_ns)
        try:
            with limited(order["seconds"]):
                result = shell.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:
            error = raised
        if error is not None:
            remarks.append(f"cell {number}: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
        if isinstance(error, MemoryError):  # let go of what the cell has made, so that the others have room
            for name in set(shell.user_ns) - before:
                del shell.user_ns[name]
            result = error = None
            give_back_memory()
    for id, name in order["names"].items():  # to its last check, and what its name stands for at the end
        value, given = shell.user_ns.get(name), handed_in.setdefault(id, [])
        if not any(one is value for one in given):
            given.append(value)
    return {"answers": {id: [said(one) for one in handed_in[id]] for id in order["names"]}, "remarks": remarks}


handed_in: dict[str, list] = {}  # exercise id -> objects


def note(id: str, answer) -> None:
    """What `check` does here: note the answer. It is judged in the other process."""
    with contextlib.suppress(Hint):  # as it is now, whatever becomes of it; a function stays one
        answer = answer if callable(answer) else plain(answer)
    handed_in[id] = [answer]


def said(value) -> dict:
    """A value for the other process: {"blank"}, {"function"}, {"value": …} or {"hint": …}."""
    if is_blank(value):
        return {"blank": True}
    if callable(value) and not isinstance(value, type):
        return {"function": True}
    try:
        return {"value": encoded(plain(value))}
    except Hint as hint:
        return {"hint": str(hint)}
    except Exception as error:
        return {"hint": f"Your answer cannot be read: {type(error).__name__}."}


def called(order: dict) -> dict:
    """Call a function of the submission."""
    try:
        id, place = order["call"]
        function = Function(handed_in[id][place], order["seconds"])
        return {"value": encoded(function(*decoded(order["arguments"], tensors=True)))}
    except Hint as hint:
        return {"hint": str(hint)}
    except BaseException as error:
        return {"hint": f"Your function stops with {type(error).__name__}."}


def main() -> None:
    """Serve until the other process hangs up, or is gone: nobody would hold this one's limits then."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    orders, answers = os.fdopen(os.dup(0), "r", encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):  # a submission's own prints go nowhere
        os.dup2(os.open(os.devnull, mode), number)
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.enable_gui = lambda *_: None  # for `%matplotlib inline`
    shell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None  # nobody reads it, and it takes memory
    order = json.loads(orders.readline())
    shell.run_cell(order["first"], store_history=False)
    # Also for those who import it again, or reset the kernel's names.
    builtins.check = utils.checks.check = shell.user_ns["check"] = note
    while order:
        answer = called(order) if "call" in order else run(shell, order)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        order = json.loads(orders.readline() or "null")
    os._exit(0)  # whatever the submission left running


if __name__ == "__main__":
    sys.exit(main())
