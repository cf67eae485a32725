"""An interrupted training goes on where it stopped; a finished one, or a changed one, starts afresh."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
from multiprocessing import current_process
from pathlib import Path

from utils.errors import CourseError
from utils.files import (
    REMEDY,
    cache_folder,
    check_writable,
    claim,
    foreign,
    is_ours,
    make_folder,
    one_line,
    write_atomically,
)

RUN_FILE = "run.json"
ELSEWHERE = 'Give the TrainingArguments a folder of its own, for example output_dir="runs/first".'


def run_folder(name: str) -> Path:
    """Folder for the checkpoints and results of the run `name`; a second process that runs it gets its own.

    Args:
        name: of a folder in the cache, not a path.

    Raises:
        CourseError: it is a path, or the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    if not name or Path(name).name != name or name == "..":
        raise CourseError(
            f"run_folder takes the name of a run, for example 'first', got {str(name)!r}. For a folder elsewhere give "
            "its path to TrainingArguments as output_dir."
        )
    runs = make_folder(cache_folder() / "runs")
    if (runs, name) in _mine:
        return _mine[runs, name]
    for number in itertools.count(1):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        try:
            with one_line(runs):
                lock.acquire(timeout=0)
        except Timeout:
            continue  # another kernel's
        if not foreign(folder):
            claim(folder, REMEDY)
        if folder.name != name and current_process().name == "MainProcess":  # nothing for a kernel's own workers
            print(f"Another kernel has the run {name}; this one works in {folder.name}.")
        _mine[runs, name] = folder
        _locks.append(lock)  # held until this process ends
        return folder
    raise AssertionError("numbers do not end")


def unfinished(trainer) -> str | None:
    """The last whole checkpoint of the same run if it was interrupted, for `resume_from_checkpoint`; else None.

    The same run: equal training arguments (what is logged and saved when does not count), model configuration, trained
    weights and training data. When another training begins, checkpoints of the earlier one in the trainer's output
    folder are removed, and so is one that was being written when the run stopped; nothing else is, and only in a folder
    that `run_folder` made or where an earlier run left its run.json.

    Raises:
        CourseError: the output folder is another one and holds files, or it cannot be written.
    """
    folder = Path(trainer.args.output_dir)
    record = folder / RUN_FILE
    earlier = _read(record)
    ours = is_ours(folder) or re.fullmatch("[0-9a-f]{64}", str(earlier.get("key")))
    names = [] if ours else foreign(folder)
    if names:
        raise CourseError(
            f"output_dir is {folder}, which holds {', '.join(names[:3])}{' and more' if names[3:] else ''}. "
            f"Training would replace checkpoints in it. {ELSEWHERE}"
        )
    check_writable(folder, ELSEWHERE)
    key = run_key(trainer)
    checkpoint = last_checkpoint(folder) if earlier.get("key") == key else None
    if checkpoint is not None:
        state = _read(checkpoint / "trainer_state.json")
        print(f"Going on after step {state['global_step']} of {state['max_steps']}.")
        return str(checkpoint)
    if "key" in earlier and earlier["key"] != key and checkpoints(folder):
        print(f"This is another training than the last one in {folder.name}: it begins anew, in that one's place.")
    trainer.add_callback(_begin_afresh(record, key))
    return None


def _begin_afresh(record: Path, key: str):
    """A callback that clears away the earlier run when the training begins, not before: a look must cost nothing."""
    from transformers import TrainerCallback

    class BeginAfresh(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            if state.global_step == 0 and not self.begun:  # not when a checkpoint is gone on with
                for path in checkpoints(record.parent):
                    shutil.rmtree(path, ignore_errors=True)
                write_atomically(record, json.dumps({"key": key}), ELSEWHERE)
            self.begun = True

        begun = False

    return BeginAfresh()


def checkpoints(folder: Path) -> list[Path]:
    """The folders that a Trainer wrote into its output folder, whole or not: checkpoint-7 and so on."""
    return [path for path in sorted(folder.glob("checkpoint-*")) if re.fullmatch(r"checkpoint-\d+", path.name)]


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end and is not the end of its run."""
    best: tuple[int, Path] | None = None
    for path in checkpoints(folder):
        # The Trainer writes this file last, so one that cannot be read marks a write that was cut off.
        state = _read(path / "trainer_state.json")
        step = state.get("global_step")
        if step is None or path.name != f"checkpoint-{step}":
            shutil.rmtree(path, ignore_errors=True)
        elif step < state["max_steps"] and (best is None or step > best[0]):
            best = (step, path)
        elif step >= state["max_steps"]:
            return None
    return best[1] if best else None


def run_key(trainer) -> str:
    """A hash of all that decides a run's result: arguments, model configuration, which weights learn, training data.

    How a step's rows are cut into batches for the device does not, see `utils.memory.within_memory`.
    """
    args = trainer.args
    left_out = {"output_dir", "disable_tqdm", "run_name", "report_to", "eval_steps", "eval_on_start", "eval_delay"}
    left_out |= {name for name in args.to_dict() if name.startswith(("logging_", "log_", "save_", "dataloader_num_"))}
    left_out |= {"per_device_train_batch_size", "gradient_accumulation_steps", "per_device_eval_batch_size"}
    arguments = {name: value for name, value in args.to_dict().items() if name not in left_out}
    arguments["step"] = args.train_batch_size * args.gradient_accumulation_steps
    set_by_training = {"architectures", "dtype", "problem_type"}  # the first step and the first save write them
    config = {name: value for name, value in trainer.model.config.to_dict().items() if name not in set_by_training}
    learning = [name for name, weight in trainer.model.named_parameters() if weight.requires_grad]
    everything = json.dumps([arguments, config, learning], sort_keys=True, default=str)
    return hashlib.sha256((everything + _shown_whole(trainer.train_dataset)).encode()).hexdigest()


def _shown_whole(dataset) -> str:
    """All rows as text: a fingerprint of `datasets` differs between kernels, and a long tensor shows only its ends."""
    if hasattr(dataset, "with_format"):
        return repr(dataset.with_format(None)[:])
    if not hasattr(dataset, "__len__"):  # a stream, which no second look gives again
        return type(dataset).__name__
    return repr([_plain(dataset[number]) for number in range(len(dataset))])


def _plain(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


_mine: dict[tuple[Path, str], Path] = {}
_locks: list = []


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
