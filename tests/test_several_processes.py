"""scripts/several_processes.py: two processes compute what one does, one model is saved, a death ends all."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from utils.files import foreign

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "several_processes.py"
TWO = ["-m", "accelerate.commands.launch", "--config_file", str(ROOT / "scripts" / "two_processes.yaml")]


def command(processes, output, *more):
    return [sys.executable, *(TWO if processes == 2 else []), str(SCRIPT), "--output", str(output), *more]


def test_two_processes_compute_what_one_does_and_save_one_model(tmp_path):
    from transformers import AutoModelForSequenceClassification

    losses, weights = {}, {}
    for processes in (1, 2):
        output = tmp_path / str(processes)
        done = subprocess.run(
            command(processes, output, "--sentences", "96"), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        kept = json.loads((output / "losses.json").read_text())
        assert kept["processes"] == processes
        assert done.stdout.count("last loss") == 1
        losses[processes] = kept["losses"]
        model = AutoModelForSequenceClassification.from_pretrained(output)
        weights[processes] = model.state_dict()
        assert not [path for path in tmp_path.rglob("*") if "unfinished" in path.name]
    assert len(losses[1]) == 2 * 6
    assert losses[2] == pytest.approx(losses[1], abs=1e-4)
    assert max(losses[1]) - min(losses[1]) > 0.01
    for name, values in weights[1].items():
        assert (values - weights[2][name]).abs().max() < 1e-3, name


def test_when_one_process_dies_all_end_and_nothing_is_saved(tmp_path):
    output = tmp_path / "model"
    launch = subprocess.Popen(
        command(2, output, "--sentences", "4000", "--epochs", "50"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        workers, deadline = [], time.monotonic() + 120
        while time.monotonic() < deadline and launch.poll() is None:
            family = psutil.Process(launch.pid).children(recursive=True)
            workers = [one for one in family if str(SCRIPT) in _arguments(one)]
            if len(workers) == 2 and all(_seconds(one) > 8 for one in workers):  # past the imports, in the loop
                break
            time.sleep(0.2)
        assert len(workers) == 2
        workers[1].kill()
        assert launch.wait(timeout=60) != 0
        assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)
        assert foreign(output) == []
    finally:
        launch.kill()
        launch.communicate()


def _arguments(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _seconds(process):
    try:
        return process.cpu_times().user
    except psutil.Error:
        return 0


def program():
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        from several_processes import main
    finally:
        sys.path.remove(str(SCRIPT.parent))
    return main


@pytest.mark.parametrize("output", ["d", "."])
def test_a_folder_with_files_of_others_is_refused_before_the_training(tmp_path, monkeypatch, capsys, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / output).mkdir(exist_ok=True)
    (tmp_path / output / "thesis.txt").write_text("mine")
    assert program()(["--sentences", "16", "--output", output]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"{output} holds thesis.txt, which the course did not write and does not touch. Give --output another folder.\n"
    )
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--sentences", "0"], "--sentences is 0; expected 1 to"), (["--sentences", "999999"], "expected 1 to 5,972"),
        (["--batch", "0"], "--batch is 0; expected a multiple of the 1 processes"),
        (["--sentences", "50"], "--sentences is 50, --batch 16; expected whole batches"),
        (["--learning-rate", "nan"], "--learning-rate nan; expected numbers above 0"),
        (["--learning-rate", "0"], "--learning-rate 0.0; expected numbers above 0"),
        (["--epochs", "0"], "--epochs is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_clear_line(arguments, line, tmp_path, capsys):
    assert program()([*arguments, "--output", str(tmp_path / "model")]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "model").exists()
