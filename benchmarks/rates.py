"""How fast this machine multiplies matrices, and how many multiplications a training step needs."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode


def flops(model, lengths) -> float:
    """Floating-point operations of the matrix products of training on some texts once, as PyTorch counts them.

    Parts that are frozen, or not computed, do not count. The number is a quadratic in the length (attention compares
    each token with each), so three lengths tell it.

    Args:
        model: with a `logits` output; on any device, nothing is computed.
        lengths: tokens of each text, padding left out.
    """
    model = copy.deepcopy(model).to("meta")
    sample_lengths = (8, 16, 24)
    operations = []
    for length in sample_lengths:
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros((1, length), dtype=torch.long, device="meta")).logits.sum().backward()
        operations.append(counter.get_total_flops())
    quadratic = np.polyfit(sample_lengths, operations, 2)
    return float(np.rint(np.polyval(quadratic, np.asarray(lengths))).sum())


def timed(call, device: torch.device) -> float:
    """Seconds that a call takes, until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
