import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from utils.errors import CourseError
from utils.memory import keep_freed_memory, within_memory
from utils.resume import unfinished

TWICE = """
import resource, torch
from utils.memory import keep_freed_memory
assert keep_freed_memory()
faults = []
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 * 2**20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
assert max(faults[-3:]) * 100 < faults[0], faults
"""


CELLS = """
import torch
from IPython.core.interactiveshell import InteractiveShell
from utils.memory import give_back_after_each_cell, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

shell = InteractiveShell.instance()
shell.push({"resident": resident, "torch": torch})
assert keep_freed_memory()
for _ in range(2):
    give_back_after_each_cell()
assert len([f for f in shell.events.callbacks["post_run_cell"] if f.__name__ == "_give_back"]) == 1
shell.run_cell("blocks = [torch.ones(2**18) for _ in range(512)]; end = torch.ones(9); del blocks; kept = resident()")
assert shell.user_ns["kept"] - resident() > 400, (shell.user_ns["kept"], resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
@pytest.mark.parametrize("program", [TWICE, CELLS], ids=["a large block is used again", "and given back after a cell"])
def test_freed_memory(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


def trainer_with_little_memory(model, folder, rows_that_fit, from_step=0):
    """A trainer on which training with more rows at once than fit ends as on a GPU that is full."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 12, (48,), generator=generator).tolist()
    ids = [torch.randint(5, 50, (length,), generator=generator).tolist() for length in lengths]
    rows = Dataset.from_dict({"input_ids": ids, "labels": [0, 1] * 24, "length": lengths})
    args = TrainingArguments(
        folder, learning_rate=1e-3, per_device_train_batch_size=16, num_train_epochs=2, seed=0, logging_steps=1,
        save_strategy="steps", save_steps=2, train_sampling_strategy="group_by_length", report_to="none", use_cpu=True,
        disable_tqdm=True, max_grad_norm=0.0,
    )  # fmt: skip

    class OnASmallGpu(Trainer):
        sizes: ClassVar = []

        def training_step(self, model, inputs, *others, **more):
            rows = len(inputs["labels"])
            if rows > rows_that_fit and self.state.global_step >= from_step:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            self.sizes.append(rows)
            return super().training_step(model, inputs, *others, **more)

    return OnASmallGpu(model, args, padded, rows)


def padded(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    ids = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]
    mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
    batch = {"input_ids": ids, "attention_mask": mask, "labels": [row["labels"] for row in rows]}
    return {name: torch.tensor(values) for name, values in batch.items()}


def trained(model, folder, *limits):
    trainer = trainer_with_little_memory(model, folder, *limits)
    result = within_memory(trainer, lambda: trainer.train(resume_from_checkpoint=unfinished(trainer)))
    return trainer, result, [row["loss"] for row in trainer.state.log_history if "loss" in row]


@pytest.mark.parametrize("from_step", [0, 3])
def test_out_of_memory_halves_the_batch_and_gives_the_same_training(tiny_model, tmp_path, capsys, from_step):
    """From the beginning, or in the middle, where the last checkpoint is taken up."""
    start = {name: values.clone() for name, values in tiny_model.state_dict().items()}
    tiny_model.config.hidden_dropout_prob = tiny_model.config.attention_probs_dropout_prob = 0.0
    for module in tiny_model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    _, _, roomy = trained(tiny_model, tmp_path / "roomy", 16)
    after = {name: values.clone() for name, values in tiny_model.state_dict().items()}
    capsys.readouterr()

    tiny_model.load_state_dict(start)
    trainer, result, losses = trained(tiny_model, tmp_path / "small", 4, from_step)
    said = capsys.readouterr().out
    assert "Out of memory. Going on with 8 reviews at once, 2 times for each step.\n" in said
    assert "Out of memory. Going on with 4 reviews at once, 4 times for each step.\n" in said
    assert ("Going on after step 2 of 6." in said) == (from_step == 3)
    assert set(trainer.sizes[-8:]) == {4}
    assert result.global_step == 6
    torch.testing.assert_close(losses[-6:], roomy, rtol=1e-3, atol=1e-4)
    for name, values in tiny_model.state_dict().items():
        torch.testing.assert_close(values, after[name], rtol=1e-3, atol=1e-3)


def test_without_room_for_one_review_it_tries_checkpointing_and_then_says_so(tiny_model, tmp_path, capsys):
    with pytest.raises(CourseError, match=r"too small for one review at a time.*nvidia-smi") as caught:
        trained(tiny_model, tmp_path, 0)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out.splitlines()[-1].startswith("Out of memory. Going on with gradient checkpointing")


def test_the_last_resort_computes_each_layer_twice(tiny_model, tmp_path):
    trainer, calls, full = trainer_with_little_memory(tiny_model, tmp_path, 1), [], [True]
    tiny_model.base_model.encoder.layer[0].attention.register_forward_hook(lambda *what: calls.append(what[0].training))
    step = type(trainer).training_step

    def once_full(self, *inputs, **more):
        if self.args.per_device_train_batch_size == 1 and full.pop(0) if full else False:
            raise RuntimeError("CUDA error: out of memory")
        calls.clear()
        return step(self, *inputs, **more)

    type(trainer).training_step = once_full
    within_memory(trainer, trainer.train)
    assert len(calls) == 2  # forward, and once more on the way back


def test_any_other_error_is_left_alone(tiny_model, tmp_path):
    trainer = trainer_with_little_memory(tiny_model, tmp_path, 16)

    def train():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        within_memory(trainer, train)
    assert trainer.args.per_device_train_batch_size == 16
