"""All lessons, exercises and scripts under `full`, against a hub on this machine, with the real loading code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback_hub import LoopbackHub
from tools.notebooks.execute import execute
from tools.notebooks.files import NOTEBOOKS
from tools.notebooks.source import exercises, lessons, read_exercises, read_source
from utils import assets, files
from utils.checks import exercises as registered

ROOT = Path(__file__).parent.parent
SMALLER = {
    "03": {"(100, 500), (0, 1, 2), 4": "(100, 500), (0, 1, 2), 1"},
    "05": {"epochs=4, labels=320": "epochs=1, labels=64"},
    "04": {
        "= 50, 200, 1000, 4000": "= 8, 16, 24, 32",
        "(10, 5, 3, 2)": "(2, 2, 2, 2)",
        "(0.01, 0.1, 1, 3, 10, 1000)": "(0.1, 1, 1000)",
    },
}


@pytest.fixture(scope="module")
def full(hub_files, tmp_path_factory):
    """Variables for a new kernel: `full`, the hub on this machine, a cache that holds the packages' files only."""
    assets.imdb(), assets.rotten_tomatoes(), assets.bbc(), assets.encoder(), assets.gpt2_tokenizer()
    cache, prepared = tmp_path_factory.mktemp("full"), f"assets-{assets.LAYOUT}"
    (cache / prepared).symlink_to(files.cache_folder() / prepared)
    with LoopbackHub(hub_files) as hub:
        yield {
            "COURSE_PROFILE": "full",
            "COURSE_CACHE": str(cache),
            "HF_HOME": str(cache / "home"),
            "HF_ENDPOINT": hub.address,
            "HF_HUB_OFFLINE": "0",
        }


def run(notebook, folder, full):
    result = execute(notebook, folder, full)
    assert result.ok, f"code cell {result.failed_cell}:\n{result.source}\n{result.error}"


@pytest.mark.parametrize("lesson", lessons())
def test_a_lesson_runs(full, lesson):
    notebook = read_source(NOTEBOOKS / "source" / f"{lesson}.py")
    for old, new in SMALLER.get(lesson[:2], {}).items():
        (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source)
        cell.source = cell.source.replace(old, new)
    run(notebook, NOTEBOOKS, full)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    banner = "".join(output.get("text", "") for output in first.outputs)  # a slow fetch shows a bar too
    assert "profile    full" in banner
    assert "google-bert/bert-base-uncased at 86b5e09" in banner


@pytest.mark.parametrize("lesson", exercises())
def test_the_exercises_are_solved(full, lesson):
    notebook = read_exercises(NOTEBOOKS / "source" / "exercises" / f"{lesson}.py", solved=True)
    run(notebook, NOTEBOOKS / "solutions", full)
    said = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum(text.count("✓ Right.") for text in said) == len(registered(lesson[:2]))


def test_the_script_runs(full, tmp_path):
    command = [sys.executable, "scripts/day4_ex.py", "--output", str(tmp_path / "model"), "--max-length", "64"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | full, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "on 1,000 test reviews" in done.stdout
    assert (tmp_path / "model" / "model.safetensors").is_file()


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


@pytest.mark.parametrize("profile", ["embedded", "full"])
def test_nothing_imports_a_hugging_face_library_before_the_profile_is_set(full, tmp_path, profile):
    """They read HF_HUB_OFFLINE when they are imported. With an empty cache, so that all is prepared or fetched."""
    environment = os.environ | full | {"COURSE_PROFILE": profile, "COURSE_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", WATCHED], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("imported ")]
    assert {name for name, _ in imported} >= {"transformers", "datasets", "huggingface_hub"}
    assert {offline for _, offline in imported} == {"1"}
