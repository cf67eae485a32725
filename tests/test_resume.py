import json
import multiprocessing
import os
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from utils import files
from utils.errors import CourseError
from utils.resume import last_checkpoint, run_folder, run_key, unfinished


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


class StopAfter(TrainerCallback):
    """Interrupts the training as a student does, at the end of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def make_trainer(model, folder, stop=None, **changes):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 50, (48, 8), generator=generator).tolist()
    rows = Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * 8] * 48, "labels": [0, 1] * 24})
    settings = {"learning_rate": 1e-3, "per_device_train_batch_size": 4, "num_train_epochs": 1, "seed": 0}
    settings |= {"save_strategy": "steps", "save_steps": 3, "save_total_limit": 1, "logging_steps": 1}
    args = TrainingArguments(folder, report_to="none", use_cpu=True, disable_tqdm=True, **(settings | changes))
    return Trainer(model, args, train_dataset=rows, callbacks=[StopAfter(stop)] if stop else None)


def losses(trainer):
    return {row["step"]: row["loss"] for row in trainer.state.log_history if "loss" in row}


def test_an_interrupted_training_gives_the_losses_of_an_uninterrupted_one(tiny_model, tmp_path, capsys):
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    whole = make_trainer(tiny_model, tmp_path / "whole")
    assert unfinished(whole) is None
    whole.train()

    tiny_model.load_state_dict(start)
    broken = make_trainer(tiny_model, tmp_path / "broken", stop=8)
    with pytest.raises(KeyboardInterrupt):
        broken.train(resume_from_checkpoint=unfinished(broken))

    tiny_model.load_state_dict(start)
    resumed = make_trainer(tiny_model, tmp_path / "broken")
    checkpoint = unfinished(resumed)
    assert checkpoint.endswith("checkpoint-6")
    assert "Going on after step 6 of 12." in capsys.readouterr().out
    resumed.train(resume_from_checkpoint=checkpoint)
    assert losses(resumed) == losses(whole)


def interrupted(tiny_model, folder):
    trainer = make_trainer(tiny_model, folder, stop=8)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(resume_from_checkpoint=unfinished(trainer))
    assert last_checkpoint(folder).name == "checkpoint-6"


def test_a_finished_training_starts_afresh(tiny_model, tmp_path):
    trainer = make_trainer(tiny_model, tmp_path / "run")
    trainer.train(resume_from_checkpoint=unfinished(trainer))
    again = make_trainer(tiny_model, tmp_path / "run", stop=1)
    assert unfinished(again) is None
    assert len(list((tmp_path / "run").glob("checkpoint-*"))) == 1  # a look costs nothing
    with pytest.raises(KeyboardInterrupt):
        again.train()
    assert not list((tmp_path / "run").glob("checkpoint-*"))


@pytest.mark.parametrize("change", [{"learning_rate": 1e-4}, {"seed": 1}, {"per_device_train_batch_size": 8}])
def test_a_changed_training_starts_afresh(tiny_model, tmp_path, change):
    interrupted(tiny_model, tmp_path / "run")
    assert unfinished(make_trainer(tiny_model, tmp_path / "run", **change)) is None


@pytest.mark.parametrize("change", [{"logging_steps": 5}, {"save_steps": 4}, {"save_total_limit": 3}])
def test_what_is_logged_and_saved_changes_no_training(tiny_model, tmp_path, change):
    interrupted(tiny_model, tmp_path / "run")
    assert unfinished(make_trainer(tiny_model, tmp_path / "run", **change)).endswith("checkpoint-6")


class Rows(torch.utils.data.Dataset):
    """A usual dataset of PyTorch: a row for a number, no slices; labels differ in the middle only."""

    def __init__(self, flipped):
        self.labels = torch.zeros(3000, dtype=torch.long)
        self.labels[1500] = flipped

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        return {"input_ids": torch.full((8,), int(range(3000)[number]) % 40), "labels": self.labels[number]}


@pytest.mark.parametrize("kind", ["of PyTorch", "of datasets, as tensors", "a part", "a list"])
def test_every_row_counts_whatever_holds_the_data(tiny_model, tmp_path, kind):
    keys = set()
    for flipped in (0, 1, 1):
        rows = Rows(flipped)
        trainer = make_trainer(tiny_model, tmp_path / "run")
        trainer.train_dataset = {
            "of PyTorch": lambda rows=rows: rows,
            "of datasets, as tensors": lambda rows=rows: Dataset.from_dict({"labels": rows.labels}).with_format(
                "torch"
            ),
            "a part": lambda rows=rows: torch.utils.data.Subset(rows, range(1400, 1600)),
            "a list": lambda rows=rows: [rows[number] for number in range(1400, 1600)],
        }[kind]()
        keys.add(run_key(trainer))
    assert len(keys) == 2


def test_another_training_says_that_it_takes_the_place(tiny_model, tmp_path, capsys):
    interrupted(tiny_model, tmp_path / "run")
    trainer = make_trainer(tiny_model, tmp_path / "run", seed=1)
    assert unfinished(trainer) is None
    assert "This is another training than the last one in run: it begins anew" in capsys.readouterr().out
    assert last_checkpoint(tmp_path / "run") is not None
    assert unfinished(make_trainer(tiny_model, tmp_path / "run")).endswith(
        "checkpoint-6"
    )  # nothing was lost by looking


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp/drive"])
def test_a_run_has_a_name_not_a_path(name):
    with pytest.raises(CourseError, match="takes the name of a run"):
        run_folder(name)


def test_other_data_start_afresh(tiny_model, tmp_path):
    interrupted(tiny_model, tmp_path / "run")
    trainer = make_trainer(tiny_model, tmp_path / "run")
    trainer.train_dataset = trainer.train_dataset.select(range(40))
    assert unfinished(trainer) is None


def test_other_trained_weights_start_afresh(tiny_model, tmp_path):
    interrupted(tiny_model, tmp_path / "run")
    trainer = make_trainer(tiny_model, tmp_path / "run")
    trainer.model.base_model.embeddings.requires_grad_(False)
    assert unfinished(trainer) is None


@pytest.mark.parametrize("cut", ["no state", "half a state"])
def test_a_half_written_checkpoint_is_removed_not_read(tiny_model, tmp_path, cut):
    folder = tmp_path / "run"
    interrupted(tiny_model, folder)
    (folder / "checkpoint-9").mkdir()
    if cut == "half a state":
        state = (folder / "checkpoint-6" / "trainer_state.json").read_text()
        (folder / "checkpoint-9" / "trainer_state.json").write_text(state[: len(state) // 2])
    assert unfinished(make_trainer(tiny_model, folder)).endswith("checkpoint-6")
    assert not (folder / "checkpoint-9").exists()


def test_a_damaged_record_in_a_folder_of_the_course_starts_afresh(tiny_model):
    folder = run_folder("lesson")
    interrupted(tiny_model, folder)
    (folder / "run.json").write_text("{")
    trainer = make_trainer(tiny_model, folder)
    assert unfinished(trainer) is None
    trainer.train()
    assert json.loads((folder / "run.json").read_text())["key"]


@pytest.mark.parametrize("theirs", ["thesis.txt", "checkpoint-3/model.safetensors", "run.json"])
@pytest.mark.parametrize("output_dir", [".", "out"])
def test_a_folder_with_files_of_others_is_refused_and_left_as_it_was(
    tiny_model, tmp_path, monkeypatch, theirs, output_dir
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / output_dir / theirs
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"mine": 1}')
    with pytest.raises(CourseError, match=theirs.split("/")[0]) as refused:
        unfinished(make_trainer(tiny_model, output_dir))
    assert len(str(refused.value).splitlines()) == 1
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]
    assert path.read_text() == '{"mine": 1}'


def test_what_others_put_beside_the_checkpoints_stays(tiny_model, tmp_path):
    folder = tmp_path / "run"
    interrupted(tiny_model, folder)
    for name in ("plot.png", "checkpoint-mine", "checkpoint-notes.md"):
        (folder / name).write_text("mine")
    other = make_trainer(tiny_model, folder, seed=1, save_strategy="no")
    assert unfinished(other) is None
    other.train()
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint-mine", "checkpoint-notes.md", "plot.png", "run.json"
    ]  # fmt: skip


def _hold(folder, ready, done):
    os.environ[files.CACHE_VARIABLE] = folder
    ready.put(str(run_folder("lesson")))
    done.wait()


@pytest.mark.parametrize("name", ["MainProcess", "LokyProcess-1"])
def test_two_processes_get_two_folders(cache, monkeypatch, capsys, name):
    """A kernel says so; the workers of one kernel do not."""
    monkeypatch.setattr("utils.resume.current_process", lambda: SimpleNamespace(name=name))
    context = multiprocessing.get_context("spawn")
    ready, done = context.Queue(), context.Event()
    other = context.Process(target=_hold, args=(str(cache), ready, done))
    other.start()
    theirs = ready.get(timeout=60)
    mine = run_folder("lesson")
    done.set()
    other.join()
    assert theirs != str(mine)
    assert run_folder("lesson") == mine
    assert ("Another kernel has the run lesson" in capsys.readouterr().out) == (name == "MainProcess")
