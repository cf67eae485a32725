"""All lessons, exercises and scripts under `full`, against a hub on this machine, with the real loading code."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests import hub_stand_ins
from tests.loopback_hub import LoopbackHub
from tools.notebooks.execute import execute
from tools.notebooks.files import NOTEBOOKS
from tools.notebooks.source import exercises, lessons, load_checks
from utils import assets, files, hub, profiles
from utils.checks import exercises as registered

ROOT = Path(__file__).parent.parent
load_checks()
# A cell behind the first one: models write few tokens.
SMALL = """
from transformers import GenerationMixin

def generate(model, *inputs, max_new_tokens, write=GenerationMixin.generate, **options):
    return write(model, *inputs, max_new_tokens=min(8, max_new_tokens), **options)

GenerationMixin.generate = generate
"""


@pytest.fixture(scope="module")
def full(hub_files, tmp_path_factory):
    """Variables for a new process: `full`, the hub on this machine, a cache that holds the packages' files only."""
    assets.imdb(), assets.rotten_tomatoes(), assets.bbc(), assets.small_encoder(), assets.gpt2_tokenizer()
    cache, prepared = tmp_path_factory.mktemp("full"), f"assets-{assets.LAYOUT}"
    (cache / prepared).symlink_to(files.cache_folder() / prepared)
    with LoopbackHub(hub_files) as hub:
        yield {
            "COURSE_PROFILE": "full",
            "COURSE_CACHE": str(cache),
            "HF_HOME": str(cache / "home"),
            "HF_ENDPOINT": hub.address,
            "HF_HUB_OFFLINE": "0",
            "COURSE_SIZES": "quick",
        }


def test_the_ordinary_calls_load_the_real_models_and_reviews(full, monkeypatch):
    from datasets import load_dataset
    from transformers import AutoModel, AutoTokenizer

    for name in ("COURSE_CACHE", "HF_ENDPOINT"):
        monkeypatch.setenv(name, full[name])
    monkeypatch.setitem(hub._SETTINGS, "HF_HUB_OFFLINE", "")
    profile = profiles.detect("full")
    for folder, name in ((profile.bert, "bert-base-uncased"), (profile.gpt, "gpt2"), (profile.t5, "t5-small")):
        assert Path(folder).name == name
        model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert type(model).__name__.removesuffix("Model").lower() in name.replace("-", "")
        assert not [key for key in report["missing_keys"] if "pooler" not in key]
    assert len(AutoTokenizer.from_pretrained(profile.bert)) == 30522
    assert len(AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)) == 50257
    reviews = load_dataset(profile.imdb)
    sizes = {"train": hub_stand_ins.TRAIN, "test": hub_stand_ins.TEST}
    assert {split: len(rows) for split, rows in reviews.items()} == sizes
    assert reviews["train"].features["label"].names == ["neg", "pos"]


WATCHED = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {"transformers", "datasets", "huggingface_hub", "tokenizers", "accelerate", "peft"}:
            print("imported", name, os.environ.get("HF_HUB_OFFLINE"))

sys.meta_path.insert(0, Watch())
from utils.environment import begin
begin()
import accelerate, datasets, huggingface_hub, peft, transformers
"""


def imports_at_start(environment: dict) -> list[list[str]]:
    """Each Hugging Face library that a new process imports, and what HF_HUB_OFFLINE is then."""
    command = [sys.executable, "-c", WATCHED]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("imported ")]


@pytest.fixture(scope="module")
def imports_under_full(full):
    """What the first process imports; it fetches all files from the hub."""
    return imports_at_start(full)


def test_no_hugging_face_library_is_imported_before_the_profile_is_set(full, imports_under_full, tmp_path):
    """They read HF_HUB_OFFLINE when they are imported. With an empty cache, so that all is fetched or prepared."""
    embedded = imports_at_start(full | {"COURSE_PROFILE": "embedded", "COURSE_CACHE": str(tmp_path)})
    for imports in (embedded, imports_under_full):
        assert {name for name, _ in imports} >= {"transformers", "datasets", "huggingface_hub"}
        assert {offline for _, offline in imports} == {"1"}


def code_cells(path: Path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def run(lesson: str, environment: dict):
    """Run a lesson, then its exercises in the same kernel, emptied; returns the code cells of both and the result."""
    cells, solutions = code_cells(NOTEBOOKS / f"{lesson}.ipynb"), NOTEBOOKS / "solutions" / f"{lesson}.ipynb"
    solved = code_cells(solutions) if lesson in exercises() else []
    notebook = new_notebook(cells=[cells[0], new_code_cell(SMALL), *cells[1:], new_code_cell("%reset -f"), *solved])
    return cells, solved, execute(notebook, NOTEBOOKS, environment)


@pytest.mark.parametrize("lesson", lessons())
def test_a_lesson_and_its_exercises_run(full, imports_under_full, lesson):
    cells, solved, result = run(lesson, full)
    assert result.ok, f"code cell {result.failed_cell}:\n{result.source}\n{result.error}"
    banner = texts(cells[:1])  # a slow fetch shows a bar too
    assert "profile    full" in banner
    assert "google-bert/bert-base-uncased at 86b5e09" in banner
    assert texts(solved).count("✓ Right.") == (len(registered(lesson[:2])) if solved else 0)


def texts(cells) -> str:
    return "".join(output.get("text", "") for cell in cells for output in cell.outputs)


def test_the_script_runs(full, imports_under_full, tmp_path):
    command = [sys.executable, "scripts/finetune.py", "--output", str(tmp_path / "model")]
    command += ["--train-size", "96", "--test-size", "32", "--max-length", "64"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | full, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "on 32 test texts" in done.stdout
    assert (tmp_path / "model" / "model.safetensors").is_file()
