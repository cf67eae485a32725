"""The process in which one submission runs. It computes; what is right is decided in the grader's process.

They exchange JSON objects, one a line. The grader sends the cells; this side sends the error of a cell, an answer, or
the end, and waits: upon an answer, the grader sends arguments for it until it has judged, else null.
"""

from __future__ import annotations

import builtins
import ctypes
import gc
import json
import re
import resource
import signal
import socket
import sys
import types

from utils.checks.answers import Function, Hint, decoded, encoded, is_blank, limited, plain

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
MAGIC = re.compile(r"^([ \t]*)(%%?time\b|[%!].*)", re.MULTILINE)  # what is timed runs, and nothing else of IPython's


class Submission:
    """One notebook's cells, and the channel to the grader: a socket of that number."""

    def __init__(self, number: int) -> None:
        self.channel = socket.socket(fileno=number).makefile("rw", encoding="utf-8")
        self.order, self.tried = json.loads(self.channel.readline()), set()
        sys.modules["__main__"] = types.ModuleType("__main__")
        self.names = vars(sys.modules["__main__"])

    def ask(self, **message):
        """Send a message; the grader's answer to it."""
        self.channel.write(json.dumps(message) + "\n")
        self.channel.flush()
        return json.loads(self.channel.readline())

    def run(self) -> None:
        """Run the cells, going on after an error; then hand in, by their names, answers that no check has seen."""
        exec(self.order["first"], self.names)
        for name in [name for name in sys.modules if name.endswith(".checks")]:  # also for those who import it again
            sys.modules[name].check = self.check
        builtins.check = self.names["check"] = self.check
        builtins.display = lambda *_, **__: None  # nobody looks
        limit_memory(self.order["mib"])
        for number, source in enumerate(self.order["cells"], 1):
            before, memory_is_full = set(self.names), False
            try:
                with limited(self.order["cell_seconds"]):
                    exec(compiled(source), self.names)
            except BaseException as error:
                self.ask(remark=f"cell {number}: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
                memory_is_full = isinstance(error, MemoryError)
            if memory_is_full:  # let go of what the cell has made, so that the others have room
                for name in set(self.names) - before:
                    del self.names[name]
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)  # the first cell has asked the allocator to keep what is freed
        for exercise, name in self.order["names"].items():
            if exercise not in self.tried:
                self.check(exercise, self.names.get(name))
        self.ask(end=True)

    def check(self, exercise: str, answer) -> None:
        """Hand an answer in as it is now; while the grader judges it, the cell's clock stands still."""
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        message = said_of(answer)
        if message:
            self.tried.add(exercise)
        arguments = self.ask(exercise=exercise, **message)
        while arguments is not None:
            arguments = self.ask(**said_of(Function(answer, self.order["cell_seconds"]), arguments))
        signal.setitimer(signal.ITIMER_REAL, left)


def said_of(answer, arguments: list | None = None) -> dict:
    """An answer, or what it gives when called: {} if it is blank, {"function"}, {"value"}, or {"hint"} what is off."""
    try:
        if arguments is not None:
            return {"value": encoded(answer(*decoded(arguments, tensors=True)))}
        if is_blank(answer):
            return {}
        if callable(answer) and not isinstance(answer, type):
            return {"function": True}
        return {"value": encoded(plain(answer))}
    except BaseException as error:
        return {"hint": str(error) if isinstance(error, Hint) else f"It stops with {type(error).__name__}."}


def compiled(source: str) -> types.CodeType:
    """A cell's code. Commands to IPython are left out: they would install into the grader's environment."""
    try:
        return compile(source, "cell", "exec")
    except SyntaxError:
        return compile(MAGIC.sub(r"\1pass;", source), "cell", "exec")


def limit_memory(mib: float) -> None:
    """Allow so much more address space than now, beyond which allocations raise MemoryError; no large or core files."""
    with open("/proc/self/statm") as pages:
        most = int(pages.read().split()[0]) * resource.getpagesize() + int(mib * 2**20)
    for limit, value in {resource.RLIMIT_AS: most, resource.RLIMIT_FSIZE: 2**30, resource.RLIMIT_CORE: 0}.items():
        resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # without the grader, nobody holds the limits
    Submission(int(sys.argv[1])).run()
