"""Results of small experiments, kept by everything that they depend on: a second run is instant.

Each result is a file of its own, written beside its final name and then renamed. So an interrupt or a kill loses at
most the run that was going on, and results of other data, code, profile or library releases are never read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import os
import textwrap
from collections.abc import Callable
from dataclasses import asdict

from utils.assets import cache_folder

LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy", "scikit-learn")


class Experiments:
    """Runs a function over configurations, once each.

    Args:
        name: folder name below the cache.
        profile: the `utils.profiles.Profile` in use; all of it but its explanations decides.
        data: what the function reads besides its configuration: texts, labels, anything that `repr` shows whole.
        code: the functions that the experiment consists of. A change in the source of any of them starts afresh, also
            when a notebook's cell defines one of them anew: the newest of that name is what will run.
    """

    def __init__(self, name: str, profile, data, code: list[Callable]) -> None:
        self.folder, self.code = cache_folder() / "experiments" / name, code
        decides = {
            "profile": {key: value for key, value in asdict(profile).items() if key != "why"},
            "data": hashlib.sha256(repr(data).encode("utf-8", "surrogatepass")).hexdigest(),
            "libraries": {name: _release(name) for name in LIBRARIES},
        }
        self.decides = json.dumps(decides, sort_keys=True, default=str)

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
        for one in tqdm(missing.values(), desc=title, leave=False, disable=not missing):
            self._write(function, one, function(**one))
        return [self.read(function, one) for one in configurations]

    def read(self, function: Callable[..., dict], configuration: dict) -> dict | None:
        """The kept result of one configuration; None if there is none, or none that can be read."""
        try:
            kept = json.loads(self._path(function, configuration).read_text(encoding="utf-8"))
            return kept["result"] if kept["configuration"] == configuration else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, function: Callable[..., dict], configuration: dict, result: dict) -> None:
        path = self._path(function, configuration)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
        unfinished.write_text(json.dumps({"configuration": configuration, "result": result}), encoding="utf-8")
        unfinished.replace(path)

    def _path(self, function: Callable[..., dict], configuration: dict):
        newest = [function.__globals__.get(one.__name__, one) for one in self.code]
        sources = [_source(one) for one in (function, *newest)]
        everything = json.dumps([self.decides, sources, configuration], sort_keys=True)
        return self.folder / f"{hashlib.sha256(everything.encode()).hexdigest()[:32]}.json"


def _source(function: Callable) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _release(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
