"""An interrupted training goes on where it stopped; a finished one, or a changed one, starts afresh."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from utils.errors import CourseError
from utils.files import cache_folder, foreign, make_folder, one_line, write_atomically

RUN_FILE = "run.json"
ELSEWHERE = 'Give the TrainingArguments a folder of its own, for example output_dir="runs/first".'


def run_folder(name: str) -> Path:
    """Folder for the checkpoints and results of the run `name`; a second process that runs it gets its own.

    Raises:
        CourseError: the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    runs = make_folder(cache_folder() / "runs")
    folders = [runs / name, runs / f"{name}-{os.getpid()}"]
    for folder in folders:
        if folder in _locks:
            return folder
    for folder in folders:
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        try:
            with one_line(runs):
                lock.acquire(timeout=0)
        except Timeout:
            continue
        _locks[folder] = lock  # held until this process ends
        return folder
    raise RuntimeError(f"Expected a free folder for {name} in {runs}.")


def unfinished(trainer) -> str | None:
    """The last whole checkpoint of the same run if it was interrupted, for `resume_from_checkpoint`; else None.

    The same run: equal training arguments, model configuration, trained weights and training data.
    Checkpoints of any other run in the trainer's output folder are removed, and so is one that was
    being written when the run stopped; nothing else is, and only in a folder of `run_folder` or where an earlier run
    left its run.json.

    Raises:
        CourseError: the output folder is another one and holds files, or it cannot be written.
    """
    folder = Path(trainer.args.output_dir)
    record = folder / RUN_FILE
    earlier = _read(record)
    ours = folder in _locks or re.fullmatch("[0-9a-f]{64}", str(earlier.get("key")))
    if not ours and (names := foreign(folder)):
        raise CourseError(
            f"output_dir is {folder}, which holds {', '.join(names[:3])}{' and more' if names[3:] else ''}. "
            f"Training would replace checkpoints in it. {ELSEWHERE}"
        )
    key = run_key(trainer)
    checkpoint = last_checkpoint(folder) if earlier.get("key") == key else None
    if checkpoint is not None:
        state = _read(checkpoint / "trainer_state.json")
        print(f"Going on after step {state['global_step']} of {state['max_steps']}.")
        return str(checkpoint)
    for path in checkpoints(folder):
        shutil.rmtree(path, ignore_errors=True)
    write_atomically(record, json.dumps({"key": key}), ELSEWHERE)
    return None


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
    left_out = {"output_dir", "logging_dir", "disable_tqdm", "run_name"}
    left_out |= {"per_device_train_batch_size", "gradient_accumulation_steps", "per_device_eval_batch_size"}
    arguments = {name: value for name, value in args.to_dict().items() if name not in left_out}
    arguments["step"] = args.train_batch_size * args.gradient_accumulation_steps
    set_by_training = {"architectures", "dtype", "problem_type"}  # the first step and the first save write them
    config = {name: value for name, value in trainer.model.config.to_dict().items() if name not in set_by_training}
    learning = [name for name, weight in trainer.model.named_parameters() if weight.requires_grad]
    everything = json.dumps([arguments, config, learning], sort_keys=True, default=str)
    data = repr(trainer.train_dataset[:])  # a fingerprint of `datasets` would differ from kernel to kernel
    return hashlib.sha256((everything + data).encode()).hexdigest()


_locks: dict[Path, object] = {}


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
