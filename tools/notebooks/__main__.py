"""Command line: build, check, run, compare."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial

import nbformat
import psutil
from tqdm import tqdm

from tools.notebooks import house, readme
from tools.notebooks.build import build, is_current, sources, wanted
from tools.notebooks.check import check_all
from tools.notebooks.execute import Result, execute
from tools.notebooks.files import NOTEBOOKS, README, ROOT
from tools.notebooks.source import lessons
from utils import assets, machine
from utils.console import positive, run_program, stop_when_told
from utils.environment import QUIET
from utils.errors import CourseError
from utils.files import claim, is_ours, library_folders, own_output, user_path, write_atomically, write_ours
from utils.notebooks import of_course
from utils.profiles import PROFILE_VARIABLE, PROFILES

INSTEAD = "Give --out another folder."
LESSON_GIB, MOST_JOBS = 4, 4  # memory that a lesson may take; more jobs than that wait for the longest lesson anyway


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    building = commands.add_parser("build", help="generate and execute the notebooks whose source changed")
    building.add_argument(
        "names", nargs="*", metavar="NAME", help="for example 02, exercises or exercises/02; all by default"
    )
    building.add_argument("--force", action="store_true", help="execute also what did not change")

    commands.add_parser("check", help="find faults in the committed notebooks without running them")

    running = commands.add_parser("run", help="execute the notebooks as students get them, and report")
    running.add_argument("names", nargs="*", metavar="NAME", help="lessons, for example 02; all by default")
    running.add_argument("--profile", choices=PROFILES, help="instead of the one that the machine suggests")
    running.add_argument(
        "--out", type=user_path, default=own_output("run", ROOT), help="folder of the report (%(default)s)"
    )
    running.add_argument(
        "--timeout", type=positive(float), default=3600, help="seconds that one cell may take (%(default).0f)"
    )
    running.add_argument(
        "--jobs", type=int, choices=range(1, 17), metavar="N",
        help="notebooks side by side, each with its share of the cores; by default as cores and memory allow",
    )  # fmt: skip

    comparing = commands.add_parser("compare", help="two runs beside each other: times, memory, versions, verdicts")
    comparing.add_argument("before", type=user_path, help="folder that `run --out` wrote, or its report.json")
    comparing.add_argument("now", type=user_path, help="the same of the later run; the page is put there, if it can be")

    options = parser.parse_args(arguments)
    stop_when_told()
    try:
        return {"build": _build, "check": _check, "run": _run, "compare": _compare}[options.command](options)
    except (CourseError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _build(options) -> int:
    failed = 0
    for name in sorted(chosen(options.names, sources()), key=reads_others):  # these last: they show what the others say
        if not options.force and is_current(name):
            print(f"{name}: unchanged")
            continue
        with tqdm(desc=name, unit="cell", bar_format="{desc}: cell {n_fmt}, {elapsed}") as bar:
            result = build(name, options.force, on_cell=lambda number, bar=bar: bar.update())
        if result is None:
            print(f"{name}: only text changed, outputs kept")
        elif result.ok:
            print(f"{name}: built in {result.seconds:.0f} s, peak memory {result.peak_mib:.0f} MiB")
        else:
            failed += 1
            print(f"{name}: cell {result.failed_cell} failed, notebook left as it was\n{result.traceback}")
    if not readme.is_current():
        write_atomically(README, readme.with_blocks(README.read_text(encoding="utf-8")))
    return 1 if failed else 0


def _check(options) -> int:
    faults = [*check_all(), *house.faults()]
    if not readme.is_current():
        faults.append("README.md: its tables are not the generated ones; run: make notebooks")
    print("\n".join(faults) or f"{len(sources())} source(s): no fault")
    return 1 if faults else 0


def _run(options) -> int:
    from tools.notebooks.report import PAGE, table, write_copies, write_report

    claim(options.out, INSTEAD)
    if options.profile:
        os.environ[PROFILE_VARIABLE] = options.profile
    os.environ.update(QUIET | library_folders() | os.environ)
    # Now, because of their imports: an interrupt can break an import for good.
    jobs = options.jobs or fitting_jobs()
    where = machine.describe()
    present = of_course(NOTEBOOKS, others=bool(options.names))
    names = chosen(options.names, [path.stem for path in present])
    lacking = [] if options.names else [name for name in lessons(NOTEBOOKS) if name not in names]
    notebooks = {name: nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4) for name in names}
    # The number of threads and of worker processes of each kernel, so that together they take the cores that there are.
    share = str(max(1, machine.cores() // jobs))
    threads = {"OMP_NUM_THREADS": share, "LOKY_MAX_CPU_COUNT": share} if jobs > 1 else {}
    total = sum(cell.cell_type == "code" for notebook in notebooks.values() for cell in notebook.cells)
    last = [name for name in names if reads_the_ledger(notebooks[name])]  # they want what the others record
    others = [name for name in names if name not in last]
    parts = [(part, jobs, threads) for part in (others, last)]
    if jobs > 1:
        others.sort(key=lambda name: -expected_seconds(notebooks[name]))  # so that none is left over at the end
        if is_longest_by_far([expected_seconds(notebooks[name]) for name in others]):  # sooner done on all cores
            parts[:1] = [(others[:1], 1, {}), (others[1:], jobs, threads)]
    begun = time.monotonic()
    results, saved = {}, set()
    if jobs > 1 and os.environ.get(PROFILE_VARIABLE) != "full":  # once, not by several kernels that wait for each other
        for prepare in (assets.encoder, assets.small_encoder, assets.gpt2_tokenizer, assets.imdb):
            prepare()

    def save() -> dict:
        """Write what has run so far, and give its report."""
        for name in [name for name in results if name not in saved]:
            write_copies(options.out, name, notebooks[name], INSTEAD)
            saved.add(name)
        executed = {name: (notebooks[name], results[name]) for name in names if name in results}
        left = [name for name in names if name not in results]
        return write_report(options.out, executed, time.monotonic() - begun, jobs, where, left, INSTEAD)

    with tqdm(total=total, unit="cell") as bar:

        def run(name: str, environment: dict[str, str]) -> tuple[str, Result]:
            bar.set_description(name)
            return name, execute(notebooks[name], NOTEBOOKS, environment, lambda number: bar.update(), options.timeout)

        try:
            for part, at_once, environment in parts:
                for name, result in side_by_side(partial(run, environment=environment), part, at_once):
                    results[name] = result
                    report = save()
        except KeyboardInterrupt:
            bar.close()
            if results:
                save()
            rest = " ".join(name for name in names if name not in results)
            print(
                f"Interrupted; {len(results)} of {len(names)} notebooks are in {options.out}. The others: "
                f"python -m tools.notebooks run {rest} --out '{options.out}-2'", file=sys.stderr,
            )  # fmt: skip
            return 130
    print(table(report))
    for row in report["notebooks"]:
        if row["status"] != "passed":
            print(f"\n{row['notebook']}, code cell {row['failed_cell']}:\n{row['source']}\n\n{row['error']}")
    for name in lacking:
        print(f"\n{name}.ipynb is missing or cannot be read; `make notebooks` makes it from its source.")
    print(f"\nReport: {options.out / PAGE}, with a copy of each notebook beside it")
    return 0 if not lacking and all(result.ok for result in results.values()) else 1


def side_by_side(run: Callable[[str], tuple[str, Result]], names: list[str], jobs: int) -> Iterator[tuple[str, Result]]:
    """Name and result of each notebook as it ends; an interrupt stops those that are running.

    In threads also where it is one at a time: in the main one, nbclient takes the interrupt for itself.
    """
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for done in as_completed([pool.submit(run, name) for name in names]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for kernel in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    kernel.kill()
            raise


def fitting_jobs() -> int:
    """Notebooks that this machine runs side by side: one for each core, as far as memory reaches; one on a GPU."""
    import torch

    if torch.cuda.is_available():
        return 1
    return max(1, min(machine.cores(), int(machine.available() / LESSON_GIB), MOST_JOBS))


def _compare(options) -> int:
    from tools.notebooks.report import COMPARISON, as_page, changes, read_report, table

    before, now = read_report(options.before), read_report(options.now)
    print("\n".join([table(now, before), *changes(before, now)]))
    folder = options.now if options.now.is_dir() else options.now.parent
    if not (is_ours(folder) and os.access(folder, os.W_OK)):
        folder = own_output("compare", ROOT)
        claim(folder, "")
    write_ours(folder, COMPARISON, as_page(now, "Two runs of the course", before), "")
    print(f"\nAs a page: {folder / COMPARISON}")
    return 0


def reads_others(name: str) -> bool:
    """Does the first notebook of a source show the cards or the headers of other notebooks?"""
    first = next(iter(wanted(name).values()))
    return any(call in cell.source for cell in first.cells for call in ("claims.ledger(", "notebooks.table("))


def reads_the_ledger(notebook: nbformat.NotebookNode) -> bool:
    """Does it show what other lessons record?"""
    return any("claims.ledger(" in cell.source for cell in notebook.cells if cell.cell_type == "code")


def expected_seconds(notebook: nbformat.NotebookNode) -> float:
    """How long it took when it was built; 0 where that is not known."""
    return notebook.metadata.get("measured", {}).get("seconds", 0)


def is_longest_by_far(seconds: list[float]) -> bool:
    """Does the first take longer than all others together?"""
    return len(seconds) > 1 and seconds[0] > sum(seconds[1:])


def chosen(asked: list[str], present: list[str]) -> list[str]:
    """The lessons whose names begin with what was asked for, in order; all if nothing was.

    Raises:
        ValueError: a name that fits no lesson, or no lesson at all.
    """
    for name in asked or [""]:
        if not any(lesson.startswith(name) for lesson in present):
            raise ValueError(f"No lesson is called {name!r}; there are: {', '.join(present) or 'none yet'}.")
    return [lesson for lesson in present if lesson.startswith(tuple(asked) or "")]


if __name__ == "__main__":
    run_program(main)
