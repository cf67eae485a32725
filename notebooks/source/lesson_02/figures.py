"""The figure of what came with lesson 02: accuracy against labels, each run a dot."""

from __future__ import annotations

import numpy as np

from notebooks.source.lesson_02.beforehand import LABELS, SEEDS, right_beforehand
from utils import plots

STYLES = {  # as drawn: name, colour, line, mark
    "fine-tuning": ("base encoder, fine-tuned", plots.BLUE, "-", "o"),
    "feature extraction": ("base encoder, frozen", plots.GREEN, "--", "s"),
    "small encoder": ("small encoder, fine-tuned", plots.RED, "-.", "P"),
    "counting words": ("counting words", plots.BLACK, ":", "D"),
    "random start": ("random start", plots.ORANGE, "-", "v"),
}


def _range(rights) -> str:
    low, high = f"{min(rights):.0f}", f"{max(rights):.0f}"
    return low if low == high else f"{low} to {high}"


def accuracy_by_labels() -> None:
    """Accuracy on the same 1,000 test reviews against the number of labels, where all draws were measured.

    Three runs are too few for an interval of their mean that one would draw; the runs themselves show how they vary.
    """
    fig, ax = plots.figure(3.6)
    found: dict[str, dict[int, np.ndarray]] = {}
    for shift, (start, (name, color, line, mark)) in enumerate(STYLES.items()):
        judged = {labels: right_beforehand(start, labels) for labels in LABELS}
        runs = {labels: 100 * right.mean(axis=1) for labels, right in judged.items() if len(right) == len(SEEDS)}
        if not runs:
            continue
        found[start] = runs
        places = [labels * 1.04 ** (shift - 2) for labels in runs]  # side by side, so that all can be seen
        ax.plot(places, [rights.mean() for rights in runs.values()], color=color, linestyle=line)
        for place, rights in zip(places, runs.values(), strict=True):
            ax.plot([place] * len(rights), rights, mark, color=color, markersize=6, markerfacecolor="none")
        same = f" ({len(SEEDS)} runs alike)" if all(np.ptp(rights) == 0 for rights in runs.values()) else ""
        ax.plot([], [], color=color, linestyle=line, marker=mark, markerfacecolor="none", label=name + same)
    ax.axhline(50, color=plots.GREY, linewidth=0.8)
    ax.text(LABELS[1], 50.6, "guessing", fontsize=8)
    ax.set(xscale="log", xlabel="labelled reviews to learn from", ylabel="right, of 1,000 test reviews (%)")
    ax.set_xticks(LABELS, [f"{labels:,}" for labels in LABELS])
    ax.minorticks_off()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    few, most = min(found["fine-tuning"]), max(found["counting words"])
    title = (
        f"Base encoder, fine-tuned on {few} reviews: {_range(found['fine-tuning'][few])}%; "
        f"counting words on {most:,}: {_range(found['counting words'][most])}%"
    )
    fig.suptitle(title.replace("; ", ";\n"))
    shown = [
        f"{STYLES[start][0]}, {labels:,} labels: {', '.join(f'{right:.1f}' for right in rights)}"
        for start, runs in found.items() for labels, rights in runs.items()
    ]  # fmt: skip
    plots.show(fig, f"{title}. Right in %, each of {len(SEEDS)} runs: " + "; ".join(shown) + ".")
