"""Lesson 02's script, and the program beside it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from scripts import finetune
from tests.conftest import cells_of
from utils import assets, machine
from utils.profiles import ENCODER_GIB

ROOT = Path(__file__).parent.parent
SMALL = ["--profile", "embedded", "--max-length", "16"]


def test_the_notebook_runs_the_lines_of_the_script():
    cells = [cell.source for cell in cells_of("02") if "script" in cell.metadata.get("tags", [])]
    _, lines = (ROOT / "scripts" / "day4_ex.py").read_text(encoding="utf-8").split("lines from here on.\n")
    assert len(cells) == 3
    assert "\n\n\n".join(cells) == lines.strip()


def test_the_script_has_at_most_forty_lines_of_code():
    text = (ROOT / "scripts" / "day4_ex.py").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith(("#", '"""'))]) <= 40


def test_the_script_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_SIZES", "quick")
    done = subprocess.run([sys.executable, "scripts/day4_ex.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "profile    embedded" in done.stdout
    assert re.search(r"'eval_accuracy': '0\.\d+'", done.stdout)


@pytest.fixture
def run(monkeypatch, capsys):
    """The program in this process, with the small encoder, as on a machine of little memory: status, output, errors."""

    def run(*arguments):
        monkeypatch.setattr(machine, "memory", lambda: ENCODER_GIB - 1)
        status = finetune.main([*SMALL, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def test_the_program_fine_tunes_on_reviews_measures_and_saves(run, tmp_path):
    status, out, err = run("--train-size", 16, "--test-size", 16, "--output", tmp_path / "model")
    assert status == 0, err
    last = out.strip().splitlines()[-1]
    number = r"\d+\.\d% \(\d+\.\d to \d+\.\d\)"
    gap = r"-?\d+(\.\d)? points \(-?\d+(\.\d)? to -?\d+(\.\d)?\) more"
    assert re.fullmatch(
        rf"accuracy {number} on 16 test texts after 16 labelled ones; counting words {number}, so {gap}; always "
        rf"'(neg|pos)' {number}; model in .*model", last,
    )  # fmt: skip
    after = load_file(tmp_path / "model" / "model.safetensors")
    before, name = load_file(assets.small_encoder() / "model.safetensors"), "encoder.layer.5.output.dense.weight"
    assert not torch.equal(before[name], after[f"bert.{name}"])


def test_a_file_of_ones_own_gives_a_model_that_pipeline_reads(run, tmp_path):
    from transformers import pipeline

    own, words = tmp_path / "own.csv", {"bad": "dull and far too long", "good": "bright and moving", "so": "average"}
    rows = [(f"film {row} was {words[name]}", name) for row, name in enumerate([*words] * 10)]
    pd.DataFrame(rows, columns=["opinion", "verdict"]).to_csv(own, index=False)
    before = own.read_bytes()
    status, out, err = run("--data", own, "--text", "opinion", "--label", "verdict", "--output", tmp_path / "model")
    assert status == 0, err
    assert "on 6 test texts after 24 labelled ones" in out
    assert own.read_bytes() == before
    judge = pipeline("text-classification", model=str(tmp_path / "model"))
    (answers,) = judge(["film 3 was bright"], top_k=None)
    assert {answer["label"] for answer in answers} == set(words)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["id2label"] == {
        "0": "bad",
        "1": "good",
        "2": "so",
    }


def test_a_fault_of_the_file_is_told_before_anything_is_loaded(tmp_path, capsys):
    own = tmp_path / "own.csv"
    own.write_text("text,label\na,1\n")
    assert finetune.main(["--data", str(own), "--output", str(tmp_path / "model")]) == 2
    said = capsys.readouterr()
    assert said.err.strip() == f"{own} has 1 different texts; expected at least 20."
    assert said.out == ""
    assert not (tmp_path / "model" / "config.json").exists()


def test_a_folder_with_files_of_others_is_refused_before_the_training(tmp_path, capsys):
    (tmp_path / "config.json").write_text("mine")
    assert finetune.main(["--output", str(tmp_path)]) == 2
    assert re.search(r"holds config\.json.*Give --output another folder\.", capsys.readouterr().err)
    assert (tmp_path / "config.json").read_text() == "mine"


def test_help_names_every_option():
    done = subprocess.run([sys.executable, "scripts/finetune.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for option in ("--data", "--text", "--label", "--group", "--profile", "--train-size", "--epochs", "--seed"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "0"], "expected a number above 0"),
        (["--learning-rate", "nan"], "expected a number above 0"),
        (["--max-length", "1000"], "expected 8 to 512"),
        (["--train-size", "many"], "invalid"),
        (["--profile", "fast"], "invalid choice"),
    ],
)
def test_bad_options_get_one_clear_line(capsys, arguments, said):
    with pytest.raises(SystemExit):
        finetune.parse(arguments)
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_too_many_texts_get_one_clear_line(tmp_path, capsys):
    command = ["--profile", "embedded", "--train-size", "99999", "--output", str(tmp_path / "model")]
    assert finetune.main(command) == 2
    assert "99999 texts were asked for, but there are" in capsys.readouterr().err.strip().splitlines()[-1]
