"""How fast this machine multiplies matrices, and how many multiplications a training step needs."""

from __future__ import annotations

import time

import torch


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The fastest of some products of two large square matrices, in floating-point operations a second."""
    size, best = 8192 if device.type == "cuda" else 1024, 0.0
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    for _ in range(10):
        seconds = timed(lambda: left @ right, device)
        best = max(best, 2 * size**3 / seconds)
    return best


def flops(model, batch: int, length: int) -> float:
    """Floating-point operations of the matrix products of one training step: three times those of a forward pass.

    Args:
        model: a BERT with its head, `model.config` tells its shape.
        batch: texts.
        length: tokens of each.
    """
    layers = model.config.num_hidden_layers
    weights = sum(p.numel() for name, p in model.named_parameters() if "encoder" in name and p.dim() == 2)
    attention = 4 * length * model.config.hidden_size * layers
    return 3 * batch * length * (2 * weights + attention)


def timed(call, device: torch.device) -> float:
    """Seconds that a call takes, until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
