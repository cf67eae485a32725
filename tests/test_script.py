import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from scripts import day4_ex
from utils import assets, profiles
from utils.errors import CourseError

ROOT = Path(__file__).parent.parent


def test_the_script_fine_tunes_measures_and_saves(tmp_path):
    command = [sys.executable, "scripts/day4_ex.py", "--profile", "embedded", "--train-size", "32"]
    command += [
        "--validation-size",
        "16",
        "--test-size",
        "16",
        "--max-length",
        "16",
        "--output",
        str(tmp_path / "model"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "profile    embedded" in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("accuracy 0.")
    assert "95% interval" in last
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {
        path.name for path in (tmp_path / "model").iterdir()
    }
    before, after = (load_file(folder / "model.safetensors") for folder in (assets.encoder(), tmp_path / "model"))
    names = ["embeddings.word_embeddings.weight", *(f"encoder.layer.{of}.output.dense.weight" for of in range(6))]
    stayed = [torch.equal(before[name], after[f"bert.{name}"]) for name in names]
    assert stayed == [number < profiles.detect("embedded").frozen_parts for number in range(7)]


def test_a_folder_with_files_of_others_is_refused_before_the_training(tmp_path):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(CourseError, match=r"holds config\.json.*Give --output another folder\."):
        day4_ex.fine_tune(SimpleNamespace(imdb="nothing is read"), epochs=1, seed=0, output=tmp_path)
    assert (tmp_path / "config.json").read_text() == "mine"


def test_help_names_every_option():
    done = subprocess.run([sys.executable, "scripts/day4_ex.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for option in ("--profile", "--train-size", "--test-size", "--max-length", "--learning-rate", "--epochs", "--seed"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "0"], "expected a number above 0"),
        (["--learning-rate", "nan"], "expected a number above 0"),
        (["--learning-rate", "inf"], "expected a number above 0"),
        (["--max-length", "1000"], "expected 8 to 512"),
        (["--train-size", "many"], "invalid"),
        (["--profile", "fast"], "invalid choice"),
    ],
)
def test_bad_options_get_one_clear_line(capsys, arguments, said):
    with pytest.raises(SystemExit):
        day4_ex.parse(arguments)
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_too_many_reviews_get_one_clear_line(tmp_path, capsys):
    command = ["--profile", "embedded", "--train-size", "99999", "--output", str(tmp_path / "model")]
    assert day4_ex.main(command) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("99999 train reviews were asked for, but there are")


def test_the_result_line_has_the_wilson_interval(tmp_path):
    assert "accuracy 0.500 (95% interval 0.404 to 0.596) on 100 test reviews" in day4_ex.result_line(50, 100, tmp_path)


@pytest.mark.parametrize("label", [{"names": ["pos", "neg"]}, {"names": ["0", "1"]}, None])
def test_reviews_with_other_labels_than_the_lessons_take_for_granted_are_refused(monkeypatch, tmp_path, label):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    columns = Features({"text": Value("string"), "label": ClassLabel(**label) if label else Value("int64")})
    reviews = Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=columns)
    monkeypatch.setattr("datasets.load_dataset", lambda path: DatasetDict(train=reviews, validation=reviews))
    with pytest.raises(CourseError, match="the lessons take"):
        day4_ex.fine_tune(SimpleNamespace(imdb="here"), epochs=1, seed=0, output=tmp_path)
