"""Results of small experiments, kept by everything that they depend on: a second run is instant.

Each result is a file of its own, written beside its final name and then renamed. So an interrupt or a kill loses at
most the runs that were going on, and results of other data, code, profile or library releases are never read. What
takes longer than a lesson may come with the course: results measured beforehand by the same code on the same data.
"""

from __future__ import annotations

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

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"  # what was measured beforehand
LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy", "scikit-learn")


class Experiments:
    """Runs a function over configurations, once each.

    Args:
        name: folder name below the cache.
        profile: the `utils.profiles.Profile` in use; all of it but its explanations decides.
        data: what the function reads besides its configuration: texts, labels, anything that `repr` shows whole.
        code: the functions that the experiment consists of. A change in the source of any of them starts afresh, also
            when a notebook's cell defines one of them anew: the newest of that name is what will run.
        jobs: runs that go on side by side, each in a process of its own on one core. With 1, this process runs them.
        beforehand: a file that `write_beforehand` wrote. A result in it is taken if code, data, name of the profile and
            configuration are the same; machine and releases of the libraries may differ.
    """

    def __init__(
        self, name: str, profile, data, code: list[Callable], jobs: int = 1, beforehand: Path | None = None
    ) -> None:
        import torch

        self.folder, self.code, self.jobs = cache_folder() / "experiments" / name, code, jobs
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

        # Each missing configuration once, although it may stand in the list twice.
        missing = {json.dumps(one, sort_keys=True): one for one in configurations if self.read(function, one) is None}
        new = self._new(function, list(missing.values()))
        for one, result in tqdm(new, title, len(missing), leave=False, disable=not missing):
            self._write(function, one, result)
        return [self.read(function, one) for one in configurations]

    def read(self, function: Callable[..., dict], configuration: dict) -> dict | None:
        """The kept result of one configuration, or the one measured beforehand; None if there is none to be read."""
        try:
            kept = json.loads(self._path(function, configuration).read_text(encoding="utf-8"))
            if kept["configuration"] == configuration:
                return kept["result"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        found = self.beforehand.get(self._key(function, configuration))
        return None if found is None else _unpacked(found["result"])

    def is_beforehand(self, function: Callable[..., dict], configuration: dict) -> bool:
        """Does the result come with the course, not from this machine?"""
        return not self._path(function, configuration).exists() and self.read(function, configuration) is not None

    def write_beforehand(self, wanted: dict[Callable[..., dict], list[dict]], path: Path, machine: list[str]) -> None:
        """Write kept results of functions and their configurations as a file for the argument `beforehand`.

        Args:
            wanted: function -> configurations.
            path: the file; an earlier one is replaced.
            machine: a description of the machine, line by line.
        """
        results = {
            self._key(function, one): {"function": function.__name__, "configuration": one,
                                       "result": _packed(self.read(function, one))}
            for function, configurations in wanted.items() for one in configurations
        }  # fmt: skip
        write_atomically(path, json.dumps({"machine": machine, "results": results}, indent=1) + "\n")

    def _new(self, function: Callable[..., dict], configurations: list[dict]) -> Iterator[tuple[dict, dict]]:
        if self.jobs == 1 or not configurations:
            yield from ((one, function(**one)) for one in configurations)
            return
        from joblib import Parallel, delayed, parallel_config

        # Processes that have nothing to do give their memory back soon; new ones need seconds to start.
        with (
            warnings.catch_warnings(),
            parallel_config("loky", n_jobs=self.jobs, inner_max_num_threads=1, idle_worker_timeout=20),
        ):
            warnings.filterwarnings("ignore", "A worker stopped while some jobs")  # one that had nothing to do
            parallel = Parallel(return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
            yield from parallel(delayed(_one)(function, one) for one in configurations)

    def _write(self, function: Callable[..., dict], configuration: dict, result: dict) -> None:
        content = {"configuration": configuration, "result": result}
        write_atomically(self._path(function, configuration), json.dumps(content))

    def _path(self, function: Callable[..., dict], configuration: dict) -> Path:
        return self.folder / f"{self._key(function, configuration, self.machine)}.json"

    def _key(self, function: Callable[..., dict], configuration: dict, machine: dict | None = None) -> str:
        newest = [function.__globals__.get(one.__name__, one) for one in self.code]
        sources = [_source(one) for one in (function, *newest)]
        everything = json.dumps([self.data, machine, sources, configuration], sort_keys=True, default=str)
        return hashlib.sha256(everything.encode()).hexdigest()[:32]


def _one(function: Callable[..., dict], configuration: dict) -> tuple[dict, dict]:
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


def _source(function: Callable) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _release(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
