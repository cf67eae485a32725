"""Muon: momentum whose singular values are all brought near 1 (Jordan et al. 2024; Liu et al. 2025, arXiv 2502.16982).

`torch.optim.Muon` always computes in bfloat16, which a processor without it imitates: 11 s a step for a model of these
sizes, where float32 takes 0.3. Here matrices of one shape go through the iteration together, which a GPU likes too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic; its slope at 0 is steep, so five steps are enough
STEPS = 5
SCALE = 0.2  # AdamW's usual root mean square of an update, so that both can share a learning rate


class Muon(torch.optim.Optimizer):
    """For the matrices between layers; embeddings and vectors are another optimizer's.

    Args:
        params: matrices of shape (out, in), or groups of them.
        lr: learning rate, as for AdamW.
        weight_decay: decoupled.
        momentum: Nesterov's.
        dtype: format of the iteration; the weights and the momentum keep theirs.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.dtype = dtype
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            if any(parameter.ndim != 2 for parameter in group["params"]):
                raise ValueError("Muon takes matrices; give vectors and tables to AdamW.")

    @torch.no_grad()
    def step(self) -> None:
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            shapes = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                directions = []
                for parameter in parameters:
                    state = self.state[parameter]
                    if not state:
                        state["momentum"] = torch.zeros_like(parameter)
                    state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                    directions.append(parameter.grad.lerp(state["momentum"], group["momentum"]))
                updates = orthogonal(torch.stack(directions).to(self.dtype)).to(parameters[0].dtype)
                rate = SCALE * max(shape) ** 0.5 * group["lr"]
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values between about 0.7 and 1.2.

    Args:
        matrices: shape (n, rows, columns).
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
