"""Run a notebook in a kernel of its own, as a student would, and watch its time and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Result:
    """What came of one notebook.

    Attributes:
        seconds: wall-clock time, the kernel's start included.
        cells: wall-clock seconds of each code cell that ended well, in order.
        peak_mib: largest resident memory of the kernel and its children, sampled five times a second.
        failed_cell: number of the code cell that failed, counted from 1; None if none did.
        source: text of that cell.
        error: its error, in one line.
        traceback: the whole of it.
    """

    seconds: float
    peak_mib: float
    cells: tuple[float, ...] = ()
    failed_cell: int | None = None
    source: str = ""
    error: str = ""
    traceback: str = ""

    @property
    def ok(self) -> bool:
        """Did every cell run?"""
        return self.failed_cell is None


def execute(
    notebook: nbformat.NotebookNode,
    folder: Path,
    environment: dict[str, str] | None = None,
    on_cell: Callable[[int], None] = lambda number: None,
    timeout: float | None = None,
) -> Result:
    """Execute a notebook's cells in place, in order, until one fails.

    Args:
        notebook: outputs and counts are written into it.
        folder: working folder of the kernel.
        environment: variables to set in the kernel, beside this process's own.
        on_cell: called with the number of each finished code cell, from 1.
        timeout: seconds that one cell may take; None for no limit.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    place = {cell.id: number for number, cell in enumerate(code, 1)}
    started: list[tuple[int, float]] = []  # number of the code cell (0 for text), and when
    cells: list[float] = []

    def finished(cell, cell_index, execute_reply) -> None:
        if execute_reply["content"]["status"] == "ok":
            cells.append(time.monotonic() - started[-1][1])
        on_cell(place[cell.id])

    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # kernels warn about local connections
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=lambda cell, cell_index: started.append((place.get(cell.id, 0), time.monotonic())),
        on_cell_executed=finished,
    )
    begun = time.monotonic()
    memory = _PeakMemory(client)
    failure: dict = {}
    try:
        with memory:
            client.execute(env={**os.environ, **(environment or {})})
    except CellExecutionError as error:
        failure = {"error": f"{error.ename}: {error.evalue}", "traceback": error.traceback}
    except CellTimeoutError:
        failure = {"error": f"TimeoutError: the cell took more than {timeout:.0f} s", "traceback": ""}
    except OSError as error:  # the kernel could not be started
        failure = {"error": f"{type(error).__name__}: {error}", "traceback": ""}
    except DeadKernelError:
        failure = {"error": "the kernel died; was it killed for want of memory?", "traceback": ""}
    if failure:
        number = max(started[-1][0] if started else 1, 1)
        failure |= {"failed_cell": number, "source": code[number - 1].source}
    return Result(time.monotonic() - begun, memory.peak / 2**20, tuple(cells), **failure)


class _PeakMemory:
    def __init__(self, client: NotebookClient) -> None:
        self.client, self.peak, self.stopped = client, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.stopped.wait(SAMPLE_SECONDS):
            pid = getattr(getattr(self.client.km, "provisioner", None), "pid", None)
            if pid is None:
                continue
            try:
                kernel = psutil.Process(pid)
                family = [kernel, *kernel.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in family))
            except psutil.Error:
                continue
