"""What a training step costs, for each method of lesson 04: time, memory and what is stored for the task."""

from __future__ import annotations

import time
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


def cost_of_reading(body, tokenizer, device: str) -> Cost:
    """Measure a frozen encoder that reads sentences once, for a linear classifier on its vectors; nothing is kept."""
    body = body.to(device).eval()
    ids = torch.full((SENTENCES, TOKENS), tokenizer.unk_token_id, device=device)
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        with torch.inference_mode():
            body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.sum().item()
        seconds.append(time.perf_counter() - started)
    size, of_all = body.config.hidden_size + 1, sum(weights.numel() for weights in body.parameters())
    return Cost(
        trained=size, weights=of_all, step=min(seconds[WARMING:]), held=4 * of_all / MIB, gradients=0,
        optimizer=0, activations=0, stored=len(save({"head": torch.zeros(size)})) / MIB,
    )  # fmt: skip


def cost_of(model, tokenizer, device: str) -> Cost:
    """Measure a classifier's training step; its weights move a little."""
    model = model.to(device).train()
    named = {name: weights for name, weights in model.named_parameters() if weights.requires_grad}
    trained = list(named.values())
    ids = torch.full((SENTENCES, TOKENS), tokenizer.unk_token_id, device=device)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0] % 2}
    optimizer, seconds = torch.optim.AdamW(trained, lr=1e-6), []
    activations = kept_for_backward(model, batch)
    for _ in range(STEPS):
        started = time.perf_counter()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    size, of_all = (sum(weights.numel() for weights in some) for some in (trained, list(model.parameters())))
    mib = 4 * size / MIB
    stored = len(save({name: weights.detach().cpu().contiguous() for name, weights in named.items()})) / MIB
    return Cost(
        trained=size, weights=of_all, step=min(seconds[WARMING:]), held=4 * of_all / MIB, gradients=mib,
        optimizer=2 * mib, activations=activations / MIB, stored=stored,
    )  # fmt: skip


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
