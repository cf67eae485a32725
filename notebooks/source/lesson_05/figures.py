"""The figures of lesson 05."""

from __future__ import annotations

import numpy as np

from notebooks.source.lesson_05.cards import LEAST
from notebooks.source.lesson_05.runs import LARGER
from utils import plots
from utils.intervals import over_seeds


def schedules(factors: dict[str, list[float]]) -> None:
    """Show the factors of several schedules; the title says how far the first two are apart.

    Args:
        factors: name -> shape (steps,).
    """
    first, second = list(factors)[:2]
    apart = float(np.abs(np.subtract(factors[first], factors[second])).max())
    fig, ax = plots.figure(2.6)
    styles = (("-", plots.BLUE), ("--", plots.ORANGE), (":", plots.BLACK))
    for (name, values), (style, color) in zip(factors.items(), styles, strict=False):
        ax.plot(values, style, color=color, label=name)
    ax.set(xlabel="step", ylabel="share of the peak rate", ylim=(0, 1.08))
    ax.legend(fontsize=8)
    title = f"{first[0].upper()}{first[1:]} and {second}: never more than {np.ceil(1000 * apart) / 1000:.3f} apart"
    fig.suptitle(title)
    plots.show(fig, f"{title}. Both rise over the first tenth of the steps and fall to the end in a straight line; a "
                    "constant rate stays at 1.")  # fmt: skip


def stairs(shared, staged, parts: list[str]) -> None:
    """Show the rate of each part at each step, under one schedule and under one for each stage; white is frozen.

    Args:
        shared, staged: shape (parts, steps), shares of the peak rate, 0 where a part is frozen.
        parts: names, from the bottom up.
    """
    fig, axes = plots.figure(3.0, columns=2, sharey=True)
    titles = {"one schedule for all": np.asarray(shared), "a triangle for each stage": np.asarray(staged)}
    for ax, (title, rates) in zip(axes, titles.items(), strict=True):
        image = ax.imshow(
            np.ma.masked_equal(rates, 0), cmap="Blues", vmin=-0.25, vmax=1, origin="lower", aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        ax.set(title=title, xlabel="step", yticks=range(len(parts)), yticklabels=parts)
        for part in range(1, len(parts)):
            ax.axhline(part - 0.5, color="white", linewidth=1)
    bar = fig.colorbar(image, ax=axes, label="share of the peak rate", ticks=(0, 0.5, 1))
    bar.ax.set_ylim(0, 1)
    lowest, own = (100 * rates[0].max() for rates in titles.values())
    title = f"The embeddings learn at up to {lowest:.0f}% of the peak, or up to {own:.0f}% with triangles of their own"
    fig.suptitle(title, fontsize=10)
    alt = "Two staircases: the head learns from the first step, lower parts join in three later epochs."
    plots.show(fig, f"{title}. {alt} On the left the colour fades from left to right; on the right it starts anew.")


def gains(results: dict[str, dict], counted, controls: dict[str, str]) -> None:
    """Show what each recipe gains over the same training without it, and what counting words does; a dot is a seed.

    Args:
        results: arm -> "right", outcomes of shape (seeds, test sentences); "plain" among them.
        counted: outcomes of counting words, of the same shape.
        controls: arm -> the arm that lacks its recipe.
    """
    right = {arm: 100.0 * found["right"] for arm, found in results.items()} | {"counting words": 100.0 * counted}
    pairs = controls | {"counting words": "plain"}
    values = {f"{arm}\nminus {control}": right[arm] - right[control] for arm, control in pairs.items()}
    sure = [arm for arm, found in zip(pairs, values.values(), strict=True) if over_seeds(found).low > LEAST]
    title = f"Surely {LEAST} points better: {', '.join(sure)}" if sure else f"No recipe is surely {LEAST} points better"
    _rows(values, title, f"right, difference in points; dashed: {LEAST} points", at=LEAST, height=0.48)


def forgetting(results: dict[str, dict], before) -> None:
    """Show how many of the topics that were found before fine-tuning each arm has lost; a dot is a seed.

    Args:
        results: arm -> "topics", outcomes of shape (seeds, headlines).
        before: topics found before fine-tuning, shape (headlines,).
    """
    lost = {arm: 100.0 * found["topics"] - 100.0 * before for arm, found in results.items()}
    means = {arm: values.mean() for arm, values in lost.items()}
    least, most = max(means, key=means.get), min(means, key=means.get)
    title = f"Forgotten: from {-means[least]:.0f} points ({least}) to {-means[most]:.0f} ({most})"
    _rows(lost, title, "topics found, minus before fine-tuning (points)")


COLORS = {"counting words": plots.GREY, "plain": plots.BLACK, LARGER: plots.ORANGE}


def _rows(values: dict[str, np.ndarray], title: str, label: str, at: float = 0, height: float = 0.32) -> None:
    """A row of dots and an interval for each name, over (seeds, items); a dashed line `at` a value."""
    fig, ax = plots.figure(0.8 + height * len(values))
    for place, name in enumerate(list(values)[::-1]):
        _seeds(ax, place, values[name], COLORS.get(name.partition("\n")[0], plots.BLUE))
    ax.axvline(0, color=plots.BLACK, linewidth=0.8, linestyle=":")
    if at:
        ax.axvline(at, color=plots.BLACK, linewidth=0.8, linestyle="--")
    ax.set(yticks=range(len(values)), yticklabels=list(values)[::-1], xlabel=label)
    fig.suptitle(title, fontsize=10)
    said = "; ".join(f"{name} {over_seeds(found, ' points')}" for name, found in values.items()).replace("\n", " ")
    plots.show(fig, f"{title}. {label[0].upper()}{label[1:]}: {said}.")


def _seeds(ax, place: int, values: np.ndarray, color: str) -> None:
    """A dot for each seed, and the mean with its interval below."""
    mean = over_seeds(values)
    by_seed = values.mean(axis=1)
    ax.plot(by_seed, np.full(len(by_seed), place + 0.18), "o", color=color, markersize=3, alpha=0.45)
    arms = [[mean.value - mean.low], [mean.high - mean.value]]
    ax.errorbar(mean.value, place - 0.12, xerr=arms, fmt="D", color=color, markersize=5, capsize=3)
