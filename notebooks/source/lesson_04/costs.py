"""What a training step costs, for each method of lesson 04: time, memory and what is stored for the task."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save

SENTENCES, TOKENS = 16, 32
STEPS, WARMING = 12, 2
MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """One method's cost; sizes in MiB, numbers of 4 bytes.

    Attributes:
        trained, weights: how many are trained, and how many there are.
        step: seconds of a step of 16 sentences of 32 tokens, the fastest of ten: what else runs only adds to it.
        held: all weights.
        gradients: one number for each trained weight.
        optimizer: AdamW's two running means for each trained weight.
        activations: what the forward pass keeps for the backward pass.
        stored: a safetensors file of the trained weights, for each task.
    """

    trained: int
    weights: int
    step: float
    held: float
    gradients: float
    optimizer: float
    activations: float
    stored: float

    @property
    def memory(self) -> float:
        """For training, in MiB."""
        return self.held + self.gradients + self.optimizer + self.activations


def measured(models: dict, tokenizer, device: str, reading: tuple[str, ...] = ()) -> dict[str, Cost]:
    """Measure a step of each method; the weights of those that train move a little.

    The methods take turns, one step each, and the fastest counts: whatever else the machine does hits all alike.

    Args:
        models: by method: a classifier that trains, or, of a method in `reading`, an encoder.
        tokenizer: its `unk_token_id` fills the sentences.
        device: where to measure.
        reading: methods whose encoder is frozen and reads once, for a linear classifier on its vectors.
    """
    ids = torch.full((SENTENCES, TOKENS), tokenizer.unk_token_id, device=device)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    labels = {"labels": ids[:, 0] % 2}
    prepared = {
        method: _reading(model.to(device), batch) if method in reading else _training(model.to(device), batch | labels)
        for method, model in models.items()
    }
    seconds: dict[str, list[float]] = {method: [] for method in models}
    for _ in range(STEPS):
        for method, (step, _) in prepared.items():
            started = time.perf_counter()
            step()
            seconds[method].append(time.perf_counter() - started)
    return {method: Cost(step=min(seconds[method][WARMING:]), **sizes) for method, (_, sizes) in prepared.items()}


def _reading(body, batch) -> tuple[Callable[[], object], dict[str, float]]:
    """A frozen encoder: its step, and its sizes; nothing is kept."""
    body.eval()

    @torch.inference_mode()
    def step() -> float:
        return body(**batch).last_hidden_state.sum().item()

    size, of_all = body.config.hidden_size + 1, sum(weights.numel() for weights in body.parameters())
    stored = len(save({"head": torch.zeros(size)})) / MIB
    return step, {
        "trained": size, "weights": of_all, "held": 4 * of_all / MIB, "gradients": 0, "optimizer": 0,
        "activations": 0, "stored": stored,
    }  # fmt: skip


def _training(model, batch) -> tuple[Callable[[], object], dict[str, float]]:
    """A classifier: its training step, and its sizes."""
    model.train()
    named = {name: weights for name, weights in model.named_parameters() if weights.requires_grad}
    optimizer = torch.optim.AdamW(named.values(), lr=1e-6)

    def step() -> float:
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()  # waits for a GPU

    size, of_all = (sum(weights.numel() for weights in some) for some in (named.values(), model.parameters()))
    mib = 4 * size / MIB
    stored = len(save({name: weights.detach().cpu().contiguous() for name, weights in named.items()})) / MIB
    return step, {
        "trained": size, "weights": of_all, "held": 4 * of_all / MIB, "gradients": mib, "optimizer": 2 * mib,
        "activations": kept_for_backward(model, batch) / MIB, "stored": stored,
    }  # fmt: skip


def kept_for_backward(model, batch) -> int:
    """Bytes that a forward pass keeps for the backward pass; parameters are left out."""
    own, kept = {weights.untyped_storage().data_ptr() for weights in model.parameters()}, {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(**batch)
    return sum(kept.values())


def show(costs: dict[str, Cost], accuracies: dict, rates: dict[str, float] | None = None) -> None:
    """The table: a column for each method, with its accuracy (`utils.intervals.Number`) and learning rate."""
    from IPython.display import display

    def trained(cost):
        share = 100 * cost.trained / cost.weights
        return f"{cost.trained:,} ({share:.2g}%)" if share < 100 else f"{cost.trained:,} (all)"

    rows = {
        "weights trained": trained,
        "time of a step": lambda cost: f"{1000 * cost.step:.0f} ms",
        "memory: the weights": lambda cost: written(cost.held),
        "their gradients": lambda cost: written(cost.gradients),
        "AdamW's two means": lambda cost: written(cost.optimizer),
        "activations": lambda cost: written(cost.activations),
        "**memory for training**": lambda cost: f"**{written(cost.memory)}**",
        "stored for each task": lambda cost: written(cost.stored),
    }
    lines = [f"| | {' | '.join(costs)} |", "|---" * (1 + len(costs)) + "|"]
    lines += [f"| {name} | {' | '.join(map(cell, costs.values()))} |" for name, cell in rows.items()]
    if rates:
        lines += [f"| best learning rate | {' | '.join(_rate(rates.get(method)) for method in costs)} |"]
    lines += [f"| right | {' | '.join(str(accuracies[method]) for method in costs)} |"]
    text = "\n".join(lines)
    display({"text/markdown": text, "text/plain": text}, raw=True)


def _rate(rate: float | None) -> str:
    return "none" if rate is None else np.format_float_positional(rate, trim="-")


def written(mib: float) -> str:
    """A size in words: 87 MiB, 0.28 MiB, 3 KiB."""
    if not mib:
        return "none"
    return f"{mib:.0f} MiB" if mib >= 10 else f"{mib:.2g} MiB" if mib >= 0.01 else f"{1024 * mib:.1g} KiB"
