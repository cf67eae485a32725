"""The figures of lesson 05."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from notebooks.source.lesson_05.cards import PLAIN, TOGETHER, TRIANGLE, UNFREEZING
from notebooks.source.lesson_05.runs import depth_of
from utils import plots
from utils.intervals import over_seeds


def schedules(as_printed: Callable, repaired: Callable) -> None:
    """Show where the printed formula fails, and how near its repair is to linear warm-up and decay.

    Args:
        as_printed: share of the peak rate by (step, steps), as in the paper.
        repaired: the same, never below its foot.
    """
    few, many = 16, 100
    triangle, line = [repaired(step, many) for step in range(many)], _linear(many, many // 10)
    apart = np.ceil(1000 * np.abs(np.subtract(triangle, line)).max()) / 1000
    fig, (left, right) = plots.figure(3.0, columns=2)
    left.axhline(0, color=plots.BLACK, linewidth=0.8)
    left.plot([as_printed(step, few) for step in range(few)], "o-", color=plots.RED, markersize=4, label="as printed")
    left.plot([repaired(step, few) for step in range(few)], "s-", color=plots.BLUE, markersize=4, label="repaired")
    right.plot(triangle, "-", color=plots.BLUE, label="repaired")
    right.plot(line, "--", color=plots.ORANGE, label="linear warm-up and decay")
    for ax, steps in ((left, few), (right, many)):
        ax.set(xlabel="step")
        ax.set_title(f"{steps} steps", fontsize=10)
        ax.legend(fontsize=8)
    left.set_ylabel("share of the peak rate")
    lowest = min(as_printed(step, few) for step in range(few))
    title = f"As printed, {few} steps end at {lowest:.2f}; repaired, {many} are within {apart:.3f} of warm-up and decay"
    fig.suptitle(title, fontsize=10)
    plots.show(fig, f"{title}. Left: both rise in one step, then the printed one falls through 0, the repaired one "
                    "stays above. Right: both rise over ten steps and fall in a straight line.")  # fmt: skip


def _linear(steps: int, warmup_steps: int) -> list[float]:
    """The factors of the library's schedule with linear warm-up and decay."""
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    (factor,) = get_linear_schedule_with_warmup(optimizer, warmup_steps, steps).lr_lambdas
    return [factor(step) for step in range(steps)]


def stairs(model, unfreeze: Callable, schedules: dict[str, list[float]], epochs: int = 4) -> None:
    """Show the rate of each part at each step of gradual unfreezing, under two schedules; white is frozen.

    Args:
        model: all of its weights learn afterwards.
        unfreeze: sets which weights of a model learn, by (model, epoch, epochs).
        schedules: name -> share of the peak rate at each step of all epochs.
        epochs: of equally many steps.
    """
    layers = model.config.num_hidden_layers
    parts = ["embeddings", *(f"layer {layer}" for layer in range(1, layers + 1)), "head"]
    grids = {name: np.zeros((len(parts), len(factors))) for name, factors in schedules.items()}
    for epoch in range(epochs):
        unfreeze(model, epoch, epochs)
        free = sorted({depth_of(name, layers) for name, weight in model.named_parameters() if weight.requires_grad})
        for name, factors in schedules.items():
            stage = slice(epoch * len(factors) // epochs, (epoch + 1) * len(factors) // epochs)
            grids[name][free, stage] = factors[stage]
    fig, axes = plots.figure(3.0, columns=len(grids), sharey=True)
    for ax, (title, rates) in zip(axes, grids.items(), strict=True):
        image = ax.imshow(
            np.ma.masked_equal(rates, 0), cmap="Blues", vmin=-0.25, vmax=1, origin="lower", aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        ax.set_title(title, fontsize=10)
        ax.set(xlabel="step", yticks=range(len(parts)), yticklabels=parts)
        for part in range(1, len(parts)):
            ax.axhline(part - 0.5, color="white", linewidth=1)
    bar = fig.colorbar(image, ax=axes, label="share of the peak rate", ticks=(0, 0.5, 1))
    bar.ax.set_ylim(0, 1)
    left, right = (f"{rates[0].max():.0%}" for rates in grids.values())
    title = f"The embeddings get up to {left} of the peak rate on the left, up to {right} on the right"
    fig.suptitle(title, fontsize=10)
    alt = "Two staircases: the head learns from the first step, lower parts join in three later epochs."
    plots.show(fig, f"{title}. {alt} On the left the colour fades from left to right; on the right it starts anew.")


def gains(results: dict[str, dict], controls: dict[str, str] | None = None, counted=None) -> None:
    """Show what each way of training gains over another, and what counting words does; a dot is a seed.

    Args:
        results: way -> "right", outcomes of shape (seeds, test sentences); "plain" among them.
        controls: way -> the one to subtract; None subtracts plain from all others.
        counted: outcomes of counting words, of the same shape; None leaves it out.
    """
    right = {way: 100.0 * found["right"] for way, found in results.items()}
    pairs = {way: PLAIN for way in right if way != PLAIN} if controls is None else dict(controls)
    if counted is not None:
        right["counting words"], pairs["counting words"] = 100.0 * counted, PLAIN
    values = {
        way if controls is None else f"{way}\nminus {control}": right[way] - right[control]
        for way, control in pairs.items()
    }
    sure = [way for way, found in zip(pairs, values.values(), strict=True) if over_seeds(found).low > 0]
    title = f"Whole interval above 0: {', '.join(sure)}" if sure else "No whole interval above 0"
    fig, ax = plots.figure(0.8 + 0.45 * len(values))
    _rows(ax, values)
    ax.axvline(0, color=plots.BLACK, linewidth=0.8, linestyle=":")
    label = f"test sentences right, {'minus plain' if controls is None else 'difference'} (points)"
    ax.set_xlabel(label)
    fig.suptitle(title, fontsize=10)
    plots.show(fig, f"{title}. {label[0].upper()}{label[1:]}: {_said(values, ' points')}.")


def forgetting(curves: dict[str, dict[float, dict]], before, rates: dict[str, float]) -> None:
    """A line for each way of training, a mark for each of its learning rates: topics lost against right answers.

    Args:
        curves: way -> rate, the lowest first -> "right" and "topics", outcomes of shape (seeds, items).
        before: topics found before fine-tuning, shape (headlines,).
        rates: way -> the rate that validation chose; it gets a ring.
    """
    fig, ax = plots.figure(3.8)
    told, more = [], True
    for way, by_rate in curves.items():
        color, line, mark = STYLES[way]
        lost = [100 * (before.mean() - found["topics"].mean()) for found in by_rate.values()]
        right = [100 * found["right"].mean() for found in by_rate.values()]
        ax.plot(lost, right, color=color, linestyle=line, marker=mark, markersize=5, label=way)
        if way == PLAIN:
            for rate, x, y in zip(by_rate, lost, right, strict=True):
                ax.annotate(
                    _plain(rate), (x, y), (12, -20), textcoords="offset points", fontsize=8, zorder=5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                )  # fmt: skip
        own = list(by_rate).index(rates[way])
        ax.plot(lost[own], right[own], "o", color=color, markersize=13, markerfacecolor="none", markeredgewidth=1.2)
        if way in BESIDE:
            ax.annotate(
                _plain(rates[way]), (lost[own], right[own]), BESIDE[way], textcoords="offset points", fontsize=8
            )
        marks = zip(by_rate, right, lost, strict=True)
        told += [f"{way} " + ", ".join(f"at {_plain(rate)} {hits:.0f}% and {gone:.0f}" for rate, hits, gone in marks)]
        more = more and lost == sorted(lost)
    title = f"Higher rates {'' if more else 'do not always '}forget more. Ring: the rate that validation chose"
    ax.set(xlabel="topics lost (points)", ylabel="test sentences right (%)")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    fig.suptitle(title, fontsize=10)
    plots.show(fig, f"{title}. Right, and points of topics lost: {'; '.join(told)}.")


BESIDE = {  # where a ring's rate stands, in points from its middle; plain's marks all have theirs
    "discriminative rates": (-40, 4), TRIANGLE: (-14, 10), UNFREEZING: (10, 2), TOGETHER: (-44, -14),
}  # fmt: skip


def _plain(rate: float) -> str:
    return np.format_float_positional(rate, trim="-")


STYLES = {
    PLAIN: (plots.BLACK, "-", "o"),
    "discriminative rates": (plots.ORANGE, "--", "s"),
    TRIANGLE: (plots.GREEN, "-.", "^"),
    UNFREEZING: (plots.BLUE, "-", "D"),
    TOGETHER: (plots.RED, ":", "v"),
}
COLORS = {"counting words": plots.GREY}


def _rows(ax, values: dict[str, np.ndarray]) -> None:
    """A row of dots and an interval for each name, over (seeds, items), the first on top."""
    for place, name in enumerate(list(values)[::-1]):
        _seeds(ax, place, values[name], COLORS.get(name.partition("\n")[0], plots.BLUE))
    ax.set(yticks=range(len(values)), yticklabels=list(values)[::-1])


def _said(values: dict[str, np.ndarray], unit: str) -> str:
    """The rows in words, for the alternative text."""
    return "; ".join(f"{name} {over_seeds(found, unit)}" for name, found in values.items()).replace("\n", " ")


def _seeds(ax, place: int, values: np.ndarray, color: str) -> None:
    """A dot for each seed, and the mean with its interval below."""
    mean = over_seeds(values)
    by_seed = values.mean(axis=1)
    ax.plot(by_seed, np.full(len(by_seed), place + 0.18), "o", color=color, markersize=3, alpha=0.45)
    arms = [[mean.value - mean.low], [mean.high - mean.value]]
    ax.errorbar(mean.value, place - 0.12, xerr=arms, fmt="D", color=color, markersize=5, capsize=3)
