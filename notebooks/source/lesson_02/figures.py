"""The figure of what came with lesson 02: accuracy against labels, each run a dot, means with their 95% intervals."""

from __future__ import annotations

from notebooks.source.lesson_02.beforehand import LABELS, SEEDS, right_beforehand
from utils import plots
from utils.intervals import Number, over_seeds

STYLES = {  # as drawn: name, colour, line, mark
    "fine-tuning": ("base encoder, fine-tuned", plots.BLUE, "-", "o"),
    "feature extraction": ("base encoder, frozen", plots.GREEN, "--", "s"),
    "small encoder": ("small encoder, fine-tuned", plots.BLUE, ":", "P"),
    "counting words": ("counting words", plots.BLACK, ":", "D"),
    "random start": ("random start", plots.ORANGE, "-", "v"),
}


def accuracy_by_labels() -> None:
    """Accuracy on the same 1,000 test reviews against the number of labels, where all draws were measured."""
    fig, ax = plots.figure(4.0)
    numbers: dict[str, dict[int, Number]] = {}
    for shift, (start, (name, color, line, mark)) in enumerate(STYLES.items()):
        runs = {labels: right_beforehand(start, labels) for labels in LABELS}
        runs = {labels: right for labels, right in runs.items() if len(right) == len(SEEDS)}
        if not runs:
            continue
        numbers[start] = {labels: over_seeds(100 * right, "%") for labels, right in runs.items()}
        places = [labels * 1.04 ** (shift - 2) for labels in runs]  # side by side, so that all can be seen
        for place, right in zip(places, runs.values(), strict=True):
            ax.plot([place] * len(right), 100 * right.mean(axis=1), ".", color=color, alpha=0.5, markersize=5)
        plots.number_line(
            ax, places, list(numbers[start].values()), color=color, linestyle=line, marker=mark, label=name, zorder=4,
            markerfacecolor="white",
        )  # fmt: skip
    ax.axhline(50, color=plots.GREY, linewidth=0.8)
    ax.set(xscale="log", xlabel="labelled reviews to learn from", ylabel="right, of 1,000 test reviews (%)")
    ax.set_xticks(LABELS, [f"{labels:,}" for labels in LABELS])
    ax.minorticks_off()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    few, most = min(numbers["fine-tuning"]), max(numbers["counting words"])
    title = (
        f"Fine-tuned on {few} labels: {numbers['fine-tuning'][few].value:.0f}%; "
        f"counting words on {most:,}: {numbers['counting words'][most].value:.0f}%"
    )
    fig.suptitle(title)
    shown = [
        f"{STYLES[start][0]}, {labels:,} labels: {number}"
        for start, line in numbers.items() for labels, number in line.items()
    ]  # fmt: skip
    plots.show(fig, f"{title}. Right, with 95% intervals: " + "; ".join(shown) + ".")
