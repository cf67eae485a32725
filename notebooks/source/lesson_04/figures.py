"""The figures of lesson 04: every seed is a dot, the mean has its 95% interval."""

from __future__ import annotations

import numpy as np

from notebooks.source.lesson_04.runs import (
    BASE_FROZEN,
    BASE_TUNED,
    FEW,
    LABELS,
    MANY,
    MINI_FROZEN,
    MOST,
    RANDOM,
    SMALL_FROZEN,
    SMALL_TUNED,
    WORDS,
)
from utils import plots
from utils.intervals import over_seeds

STYLES = {  # colour, line, mark
    SMALL_TUNED: (plots.BLUE, "--", "o"),
    BASE_FROZEN: (plots.GREEN, "-", "<"), SMALL_FROZEN: (plots.GREEN, "--", "s"),
    MINI_FROZEN: (plots.GREEN, ":", "P"), RANDOM: (plots.ORANGE, "--", "v"), WORDS: (plots.BLACK, ":", "D"),
}  # fmt: skip
NAMED = {  # at which of a line's marks its name stands, and how many points above
    SMALL_TUNED: (-1, 4), BASE_FROZEN: (-1, 0), SMALL_FROZEN: (-1, 3), MINI_FROZEN: (-1, 2), RANDOM: (-1, -10),
    WORDS: (0, -12),
}  # fmt: skip


def labels_saved(right: dict[str, dict[int, np.ndarray]]) -> None:
    """Accuracy against the number of labels; the base encoder, all trained, comes in a later section.

    Args:
        right: name of a line -> labels -> which test sentences were right, in %, shape (seeds, sentences).
    """
    right = {name: line for name, line in right.items() if name != BASE_TUNED}
    numbers = {(name, n): over_seeds(of, "%") for name, line in right.items() for n, of in line.items()}
    fig, ax = plots.figure(3.8)
    for shift, (name, line) in enumerate(right.items()):
        color, style, mark = STYLES[name]
        at = np.array(list(line)) * 1.05 ** (shift - 3)  # side by side, so that all can be seen
        for place, of_seeds in zip(at, line.values(), strict=True):
            ax.plot([place] * len(of_seeds), of_seeds.mean(axis=1), ".", color=color, alpha=0.4, markersize=5)
        plots.number_line(
            ax, at, [numbers[name, n] for n in line], color=color, linestyle=style, marker=mark, zorder=4,
            markerfacecolor=color if name == WORDS else "white",
        )  # fmt: skip
        mark, above = NAMED[name]
        end = at[mark], numbers[name, list(line)[mark]].value
        ax.annotate(name, end, (9, above), textcoords="offset points", fontsize=8, va="center")
    most = numbers[WORDS, MOST].value
    ax.axhline(50, color=plots.GREY, linewidth=0.8)
    ax.axhline(most, color=plots.BLACK, linewidth=0.8, zorder=0)
    ax.text(MOST, 50.4, "guessing", fontsize=8, ha="center")
    ax.text(1.1 * MANY, most + 0.5, f"counting words with {MOST:,}", fontsize=8)
    ax.set(xscale="log", xlabel="labelled sentences", ylabel="right (%)")
    budgets = (FEW, LABELS, MANY, MOST)
    ax.set_xticks(budgets, [f"{labels:,}" for labels in budgets])
    ax.minorticks_off()
    title = (f"Base encoder, frozen, {LABELS} labels: {numbers[BASE_FROZEN, LABELS].value:.0f}%; "
             f"counting words, {MOST:,}: {numbers[WORDS, MOST].value:.0f}%")  # fmt: skip
    fig.suptitle(title)
    plots.show(fig, f"{title}. Right, with 95% intervals: " + "; ".join(
        f"{name}, {n:,} labels: {number}" for (name, n), number in numbers.items()) + ".")  # fmt: skip


def rates(runs, before: dict[str, list[int]]) -> None:
    """What is learned and what is forgotten, against the learning rate.

    Args:
        runs: `notebooks.source.lesson_04.runs.Runs`.
        before: what `Runs.headlines_told` finds in the pretrained network.
    """
    task = runs.shown("all", "validation")
    told = {key: runs.shown("all", key) for key in ("neighbours", "topics")}
    untouched = {key: 100 * np.mean(before[key]) for key in told}
    fig, (above, below) = plots.figure(5.2, rows=2, sharex=True)
    for ax, found, color, mark, name in (
        (above, task, plots.BLUE, "o", f"small encoder, all trained, {LABELS} labels"),
        (below, told["topics"], plots.RED, "^", "linear classifier: topic readable"),
        (below, told["neighbours"], plots.GREEN, "s", "neighbours: same topic"),
    ):
        for rate, of_seeds in found.items():
            ax.plot([rate] * len(of_seeds), of_seeds, mark, color=color, alpha=0.6, markersize=5)
        ax.plot(list(found), [np.mean(of_seeds) for of_seeds in found.values()], color=color, marker=mark, markersize=0,
                label=name)  # fmt: skip
    above.axhline(50, color=plots.GREY, linewidth=0.8)
    above.text(runs.best_rate("all"), 50.3, "guessing", fontsize=8, ha="center")
    below.axhline(untouched["topics"], color=plots.RED, linestyle="--", linewidth=1)
    below.axhline(untouched["neighbours"], color=plots.GREEN, linestyle="--", linewidth=1)
    below.plot([], [], color=plots.BLACK, linestyle="--", linewidth=1, label="each before fine-tuning")
    below.axhline(runs.neighbours_by_chance(), color=plots.BLACK, linestyle=":", label="neighbours, by chance")
    above.set(xscale="log", ylabel="task: right (%)", ylim=(47, None))
    below.set(xlabel="learning rate", ylabel="headlines: right (%)", ylim=(0, None))
    above.legend(fontsize=9, loc="upper left")
    below.legend(fontsize=9, loc="center left")
    best = runs.best_rate("all")
    title = (f"At {best:.0e}, good for the task, neighbours fall from {untouched['neighbours']:.0f}% "
             f"to {np.mean(told['neighbours'][best]):.0f}%")  # fmt: skip
    fig.suptitle(title)
    shown = "; ".join(
        f"{rate:.0e}: task {np.mean(task[rate]):.1f}, neighbours {np.mean(told['neighbours'][rate]):.1f}, "
        f"topics readable {np.mean(told['topics'][rate]):.1f}" for rate in task)  # fmt: skip
    plots.show(fig, f"{title}. Means over seeds in %, by rate: {shown}.")
