"""Shared pieces of the tests: the committed lessons' own code, and a tiny encoder."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from utils.files import library_folders  # noqa: E402, needs the line above

# Read when a Hugging Face library is first imported; no test needs the hub.
os.environ["HF_HUB_OFFLINE"] = "1"
# The solutions run too; whoever runs the tests has not solved them, and keeps their own ledger.
OWN = Path(tempfile.mkdtemp(prefix="course-tests-"))
os.environ |= {"COURSE_PROGRESS": str(OWN / "progress.json"), "COURSE_CLAIMS": str(OWN / "claims")}
# Notebooks run with few reviews, each in one thread and one process: pytest runs two at a time.
os.environ |= {"COURSE_SIZES": "quick", "OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ.update(library_folders())  # nothing is written to a home that cannot be written
os.environ["TRANSFORMERS_VERBOSITY"] = "error"


def copy_course(folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """The course's files as they are now, tracked or not ignored, in a folder; without some endings."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and not name.endswith(leave_out):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


LONG = [
    "test_full.py", "test_grade.py", "test_site.py", "test_live.py", "test_hub.py", "test_exercises.py",
    "test_jupyterlab.py",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """What takes long comes first, so that none of it is left over for one process at the end."""
    places = {}
    for path in {item.path for item in items}:
        if path.suffix == ".ipynb":
            notebook = json.loads(path.read_text(encoding="utf-8"))
            places[path] = -notebook["metadata"].get("measured", {}).get("seconds", 0)
        else:
            places[path] = LONG.index(path.name) + 1 if path.name in LONG else len(LONG) + 1
    items.sort(key=lambda item: places[item.path])


@pytest.fixture(autouse=True)
def as_for_a_student(monkeypatch):
    """The sizes and the ledger that a student has; notebooks take no fixtures, so theirs stay small and apart."""
    monkeypatch.delenv("COURSE_SIZES", raising=False)
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)


@contextlib.contextmanager
def planned(lesson: str):
    """The room's `beforehand` and what its plan defines; working folder and IPython are as before then."""
    from IPython.core.interactiveshell import InteractiveShell

    from utils.beforehand import planned as plan_of

    here, beforehand = Path.cwd(), importlib.import_module(f"notebooks.source.lesson_{lesson}.beforehand")
    try:
        yield beforehand, plan_of(beforehand.HERE)
    finally:
        os.chdir(here)
        InteractiveShell.clear_instance()


@pytest.fixture
def from_lesson(take_from_lesson):
    return take_from_lesson


@pytest.fixture(scope="session")
def take_from_lesson():
    """Take functions out of a committed notebook: `from_lesson("02", "tokenize", tokenizer=…)`.

    With `edit=(before, after)`, each with that text of it replaced, as an exercise asks.
    """

    def take(lesson: str, *names: str, edit: tuple[str, str] = ("", ""), **scope):
        definitions = {
            node.name: node
            for cell in cells_of(lesson)
            for node in parsed(cell.source).body
            if isinstance(node, ast.FunctionDef)
        }
        for name in names:
            text = ast.unparse(definitions[name])
            assert edit[0] in text
            exec(compile(text.replace(*edit) if edit[0] else text, f"lesson {lesson}:{name}", "exec"), scope)
        return [scope[name] for name in names]

    return take


@pytest.fixture
def tiny_model():
    """A BERT classifier of one layer, width 16, 50 token ids; the same weights each time."""
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=32, **sizes))


def cells_of(lesson: str, uses: str = ""):
    """The code cells of a committed lesson and its deeper notebooks; those that use a name, if one is given."""
    import nbformat

    (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    paths = [path, *sorted((ROOT / "notebooks" / "deeper").glob(f"{lesson}_*.ipynb"))]
    notebooks = [nbformat.read(path, as_version=4) for path in paths]
    cells = [cell for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"]
    if not uses:
        return cells
    return [cell for cell in cells if uses in {node.id for node in names_in(cell.source)}]


def parsed(source: str) -> ast.Module:
    """The syntax tree of a cell, without IPython's commands."""
    return ast.parse("\n".join(line for line in source.splitlines() if not line.startswith("%")))


def names_in(source: str) -> list[ast.Name]:
    return [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Name)]


def texts_in(source: str) -> set[str]:
    return {node.value for node in ast.walk(parsed(source)) if isinstance(node, ast.Constant)}


@pytest.fixture
def verdict_of(monkeypatch, tmp_path):
    """The verdict that a committed lesson's own cell gives to numbers: `verdict_of("01.3", {"counted": …})`."""
    from utils import claims

    def verdict(id: str, scope: dict) -> str:
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
        monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
        (cell,) = (cell.source for cell in cells_of(id[:2]) if id in texts_in(cell.source))
        exec(cell, {"claims": claims, "profile": SimpleNamespace(name="test")} | scope)
        (claim,) = claims.ledger("test")
        assert claim.id == id
        return claim.verdict

    return verdict


@pytest.fixture
def cards_are_turned():
    """Check that the cases (id, numbers, verdict) turn each card of a committed lesson; returns the cards' ids."""
    from utils import claims

    def check(lesson: str, cases: list[tuple]) -> set[str]:
        found = set()
        for cell in cells_of(lesson):
            for output in cell.outputs:
                kept = output.get("data", {}).get(claims.MIME)
                if kept:
                    assert claims.from_json(json.loads(json.dumps(kept))).verdict == kept["verdict"]
                    found.add(kept["id"])
        assert found == {id for id, _, _ in cases if id.startswith(f"{lesson}.")}
        for id in found:
            assert len({verdict for other, _, verdict in cases if other == id}) >= 2, id
        return found

    return check


@pytest.fixture(scope="session")
def hub_files(tmp_path_factory):
    """What the loopback hub serves, see `tests/hub_stand_ins.py`."""
    from tests import hub_stand_ins

    folder = tmp_path_factory.mktemp("hub")
    hub_stand_ins.write(folder)
    return folder


@pytest.fixture(scope="session")
def real_tokenizers():
    """The three real vocabularies of lesson 03, by the name that its code gives them."""
    from transformers import AutoTokenizer

    from utils import assets

    folders = {
        "wordpiece": assets.small_encoder(), "gpt2": assets.gpt2_tokenizer(), "unigram": assets.small_model("mini-t5")
    }  # fmt: skip
    return {name: AutoTokenizer.from_pretrained(folder) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def cutters(take_from_lesson, real_tokenizers):
    """Name of the vocabulary -> lesson 03's own function from a text to its ids."""
    from itertools import pairwise

    from utils import pieces

    rules = {name: json.loads(one.backend_tokenizer.to_str())["model"] for name, one in real_tokenizers.items()}
    scores = dict(rules["unigram"]["vocab"])
    scope = real_tokenizers | {
        "pieces": pieces, "pairwise": pairwise, "scores": scores, "unknown_score": min(scores.values()) - 10,
        "longest": max(map(len, scores)),
        "ranks": {tuple(pair): rank for rank, pair in enumerate(rules["gpt2"]["merges"])},
        "gpt2_numbers": real_tokenizers["gpt2"].get_vocab(), "word_numbers": real_tokenizers["wordpiece"].get_vocab(),
        "t5_numbers": real_tokenizers["unigram"].get_vocab(),
    }  # fmt: skip
    names = ["words_of", "merge", "bpe_pieces", "wordpiece_pieces", "unigram_pieces"]
    *_, bpe, wordpiece, unigram = take_from_lesson("03", *names, "bpe_ids", "wordpiece_ids", "unigram_ids", **scope)
    return {"gpt2": bpe, "wordpiece": wordpiece, "unigram": unigram}
