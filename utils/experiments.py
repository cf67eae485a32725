"""Results of small experiments, kept by everything that they depend on: a second run is instant.

Each result is a file of its own, written beside its final name and then renamed. So an interrupt or a kill loses at
most the runs that were going on, and results of other data, code, profile or library releases are never read. What
takes longer than a lesson may come with the course: results measured beforehand by the same code on the same data.
"""

from __future__ import annotations

import ast
import functools
import gc
import hashlib
import importlib.metadata
import inspect
import json
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from utils.files import cache_folder, write_atomically

QUICK = {"labels": 24, "seed": 0}  # where a function takes these
LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy", "scikit-learn")


class Experiments:
    """Runs a function over configurations, once each.

    Args:
        name: folder name below the cache.
        profile: the `utils.profiles.Profile` in use; all of it but its explanations decides. With its quick sizes, runs
            that must be made are made small.
        data: what the function reads besides its configuration: texts, labels, anything that `repr` shows whole.
        code: the functions that the experiment consists of. A change in what any of them does starts afresh, also when
            a notebook's cell defines one of them anew: the newest of that name is what will run. Comments, docstrings
            and the way a line is broken do not count.
        jobs: runs that go on side by side, each in a process of its own on one core. With 1, this process runs them.
        beforehand: a file that `write_beforehand` wrote. A result in it is taken if code, data, name of the profile and
            configuration are the same; machine and releases of the libraries may differ.
    """

    def __init__(
        self, name: str, profile, data, code: list[Callable], jobs: int = 1, beforehand: Path | None = None
    ) -> None:
        import torch

        self.folder = cache_folder() / "experiments" / name
        self.code, self.jobs = code, jobs
        self.quick = getattr(profile, "quick", False)
        self.data = [profile.name, hashlib.sha256(repr(data).encode("utf-8", "surrogatepass")).hexdigest()]
        self.machine = {
            "profile": {key: value for key, value in asdict(profile).items() if key != "why"},
            "libraries": {name: _release(name) for name in LIBRARIES},
            "cores": 1 if jobs > 1 else torch.get_num_threads(),  # sums in another order differ in their last digits
        }
        self.beforehand = {}
        if beforehand is not None and beforehand.exists():
            self.beforehand = json.loads(beforehand.read_text(encoding="utf-8"))["results"]

    def run(self, function: Callable[..., dict], configurations: list[dict], title: str) -> list[dict]:
        """The results of `function(**configuration)`, in order; a bar shows what is left.

        Args:
            function: returns a dict of numbers, texts and lists of them, as JSON can hold.
            configurations: keyword arguments, of plain values.
            title: for the bar.
        """
        from tqdm.auto import tqdm

        missing = {}  # each configuration once, although it may stand in the list twice
        for configuration in configurations:
            if self.read(function, configuration) is None:
                missing[json.dumps(configuration, sort_keys=True)] = configuration
        # With the quick sizes many become the same small run, whose result stands for all of them.
        made = {key: self._sized(function, configuration) for key, configuration in missing.items()}
        runs = list({json.dumps(run, sort_keys=True): run for run in made.values()}.values())
        for run, result in tqdm(self._new(function, runs), title, len(runs), leave=False, disable=not runs):
            for key, configuration in missing.items():
                if made[key] == run:
                    self._write(function, configuration, result)
        return [self.read(function, configuration) for configuration in configurations]

    def read(self, function: Callable[..., dict], configuration: dict) -> dict | None:
        """The kept result of one configuration, or the one measured beforehand; None if there is none to be read."""
        try:
            content = json.loads(self._path(function, configuration).read_text(encoding="utf-8"))
            if content["configuration"] == configuration:
                return content["result"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        content = self.beforehand.get(self._key(function, configuration))
        return None if content is None else _unpacked(content["result"])

    def is_beforehand(self, function: Callable[..., dict], configuration: dict) -> bool:
        """Does the result come with the course, not from this machine?"""
        return not self._path(function, configuration).exists() and self.read(function, configuration) is not None

    def write_beforehand(self, wanted: dict[Callable[..., dict], list[dict]], path: Path, machine: list[str]) -> None:
        """Write kept results of functions and their configurations as a file for the argument `beforehand`.

        Args:
            wanted: function -> configurations.
            path: the file; an earlier one is replaced.
            machine: a description of the machine, line by line.

        Raises:
            ValueError: the profile has the quick sizes, with which nothing is learned.
        """
        if self.quick:
            raise ValueError("Expected runs in their whole size, got those of COURSE_SIZES=quick. Unset it.")
        results = {}
        for function, configurations in wanted.items():
            for configuration in configurations:
                result = _packed(self.read(function, configuration))
                content = {"function": function.__name__, "configuration": configuration, "result": result}
                results[self._key(function, configuration)] = content
        write_atomically(path, json.dumps({"machine": machine, "results": results}, indent=1) + "\n")

    def _sized(self, function: Callable[..., dict], configuration: dict) -> dict:
        if not self.quick:
            return configuration
        parameters = inspect.signature(function).parameters
        return configuration | {name: size for name, size in QUICK.items() if name in parameters}

    def _new(self, function: Callable[..., dict], configurations: list[dict]) -> Iterator[tuple[dict, dict]]:
        if self.jobs == 1 or not configurations:
            for configuration in configurations:
                yield configuration, function(**configuration)
            return
        from joblib import Parallel, delayed, parallel_config

        # Processes that have nothing to do give their memory back soon; new ones need seconds to start.
        with (
            warnings.catch_warnings(),
            parallel_config("loky", n_jobs=self.jobs, inner_max_num_threads=1, idle_worker_timeout=20),
        ):
            warnings.filterwarnings("ignore", "A worker stopped while some jobs")  # one that had nothing to do
            parallel = Parallel(return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
            yield from parallel(delayed(_run)(function, configuration) for configuration in configurations)

    def _write(self, function: Callable[..., dict], configuration: dict, result: dict) -> None:
        content = {"configuration": configuration, "result": result}
        write_atomically(self._path(function, configuration), json.dumps(content))

    def _path(self, function: Callable[..., dict], configuration: dict) -> Path:
        return self.folder / f"{self._key(function, configuration, self.machine)}.json"

    def _key(self, function: Callable[..., dict], configuration: dict, machine: dict | None = None) -> str:
        newest = [function.__globals__.get(part.__name__, part) for part in self.code]
        code = [_syntax(part) for part in (function, *newest)]
        everything = json.dumps([self.data, machine, code, configuration], sort_keys=True, default=str)
        return hashlib.sha256(everything.encode()).hexdigest()[:32]


def _run(function: Callable[..., dict], configuration: dict) -> tuple[dict, dict]:
    if not gc.get_freeze_count():
        gc.freeze()  # the Trainer looks for garbage in each run; it need not look at the libraries
    return configuration, function(**configuration)


def _packed(value):
    """Lists of 0 and 1 as one text each, so that a file of many outcomes stays small and readable."""
    if isinstance(value, dict):
        return {name: _packed(part) for name, part in value.items()}
    if isinstance(value, list) and value and all(type(part) is int and part in (0, 1) for part in value):
        return "bits:" + "".join(map(str, value))
    return [_packed(part) for part in value] if isinstance(value, list) else value


def _unpacked(value):
    if isinstance(value, dict):
        return {name: _unpacked(part) for name, part in value.items()}
    if isinstance(value, str) and value.startswith("bits:"):
        return [int(bit) for bit in value.removeprefix("bits:")]
    return [_unpacked(part) for part in value] if isinstance(value, list) else value


@functools.cache  # for hundreds of configurations, a second and not forty; a function that is defined anew is another
def _syntax(function: Callable) -> list:
    """What a function's source says to Python, as nested lists; the same for every release of Python."""
    return _as_lists(ast.parse(textwrap.dedent(inspect.getsource(function))))


def _as_lists(node):
    if isinstance(node, list):
        return [_as_lists(part) for part in node if not _is_text_alone(part)]
    if not isinstance(node, ast.AST):
        return repr(node)
    # Releases differ in fields that say nothing here: they are empty.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([name, _as_lists(value)] for name, value in fields)]


def _is_text_alone(node) -> bool:
    """Is it a docstring, or another text that is only there for who reads?"""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _release(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
