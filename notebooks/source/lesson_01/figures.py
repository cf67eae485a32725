"""The figures of lesson 01."""

from __future__ import annotations

import numpy as np

from notebooks.source.lesson_01.measures import CONTEXTS
from utils import plots
from utils.intervals import Number, share

SENSES_MEANT = {"bank": ("money", "river"), "bat": ("sports", "animal"), "spring": ("season", "metal")}


def who_notices(before: dict, after: dict, left: dict, right: dict) -> None:
    """Bars: how much each position's vector changes when a word does.

    Args:
        before, after: of `measures.last_vectors`.
        left, right: of `measures.changes`.
    """
    fig, axes = plots.figure(6.4, rows=len(before), sharey=True)
    for ax, (name, (tokens, _)) in zip(axes, before.items(), strict=True):
        change = np.concatenate([left[name], right[name]])
        plots.token_bars(ax, tokens[: len(change)], change)
        ax.axvline(len(left[name]) - 0.5, color=plots.BLACK, linestyle=":")
        ax.set_title(f"{name}: left of the changed word, {_range(left[name])}", fontsize=10)
    fig.supylabel("change of the vector, % of its norm")
    place = len(left["BERT"])
    old, new = (found["BERT"][0][place] for found in (before, after))
    fig.suptitle(f"At the dotted line, “{old}” becomes “{new}”: who notices before it?")
    largest = "; ".join(f"{name} {change.max():.2g}%" for name, change in left.items())
    plots.show(fig, f"Bars: how much each position's vector changes. Largest change on the left: {largest}")


def _range(change) -> str:
    return "0%" if not change.any() else f"{change.min():.2g} to {change.max():.2g}%"


def attention_means(attentions: dict) -> None:
    """Grids of attention weights, mean over layers and heads.

    Args:
        attentions: network -> weights of shape (layers, heads, positions, positions), tokens, tokens.
    """
    fig, axes = plots.figure(3.7, columns=len(attentions))
    for ax, (name, (weights, rows, columns)) in zip(axes, attentions.items(), strict=True):
        plots.attention(ax, weights.mean(axis=(0, 1)), rows, columns)
        zeros = f"{(weights == 0).mean():.0%} of the attention weights are 0"
        ax.set(title=f"{name}, mean of layers and heads:\n{zeros}", xlabel="looked at", ylabel="looks")
        ax.title.set_fontsize(10)
    plots.show(fig, "Two grids of attention weights; in GPT's, all weights to the right are 0.")


def cross_attention(weights, written: list[str], read: list[str]) -> None:
    """A grid: for each token that is written, where the decoder looks in what was read. Shape (written, read)."""
    fig, ax = plots.figure(3.6)
    plots.attention(ax, weights, written, read)
    ax.set(ylabel="being written", xlabel="read", title="Cross-attention of the last layer, mean of its heads")
    plots.show(fig, "For each token that is written, where in the English date the decoder looks.")


def senses(vectors: dict) -> None:
    """Above, some words' vectors before the first layer; below, after the last, on the same scale.

    Args:
        vectors: word -> shape (layers, 8, width), of length 1, four of each sense.
    """
    fig, axes = plots.figure(4.4, rows=2, columns=len(vectors), sharex=True, sharey=True)
    for column, (word, layers) in enumerate(vectors.items()):
        for row, layer in enumerate((0, -1)):
            groups = dict(zip(SENSES_MEANT[word], (range(4), range(4, 8)), strict=True))
            plots.groups_of_vectors(axes[row, column], layers[layer], groups)
        axes[0, column].set_title("“{}”: ● {}, ▲ {}".format(word, *SENSES_MEANT[word]), fontsize=10)
    axes[0, 0].set_ylabel("before the first layer", fontsize=10)
    axes[1, 0].set_ylabel("after the last layer", fontsize=10)
    axes[1, len(vectors) // 2].set_xlabel("two main directions of the vectors (PCA)", fontsize=9)
    plots.show(fig, f"Vectors of {', '.join(vectors)} as points: in a heap before any layer, apart after the last.")


def senses_by_layer(same_sense: dict) -> None:
    """Lines: how often the nearest vector is one of the same sense, layer by layer.

    Args:
        same_sense: of `measures.nearest_of_same_sense`.
    """
    fig, ax = plots.figure(2.8)
    for (name, shares), line in zip(same_sense.items(), ("-", "--"), strict=True):
        ax.plot(100 * np.mean(shares, axis=0), line, color=plots.BLACK, label=name)
    ax.axhline(300 / 7, color=plots.GREY, linestyle=":", label="by chance")
    ax.set(xlabel="layer", ylabel="nearest of the same sense (%)", ylim=(0, 100))
    ax.legend(fontsize=8)
    last = ", ".join(f"{name} {100 * np.mean(shares, axis=0)[-1]:.0f}%" for name, shares in same_sense.items())
    plots.show(fig, f"Nearest vector of the same sense, by layer; in the last: {last}; by chance 43%.")


def agreement(found: dict[str, list[bool]]) -> None:
    """Bars: pairs of sentences in which the right form is the likelier, of each network and kind."""
    numbers = {f"{name} ({sum(right)} of {len(right)})": share(right) for name, right in found.items()}
    title = "The right form of the verb is the likelier one; dotted: a coin"
    plots.number_figure(numbers, title, "% of the pairs, with 95% interval", text="{:.0f}", baseline=50)


def blanks(filled: dict) -> None:
    """Bars: hidden tokens that were the first guess, from each context."""
    rates: dict[str, Number] = {name: share(filled[name]) for name in CONTEXTS}
    best = max((name for name in rates if name != "both sides"), key=lambda name: rates[name].value)
    title = f"From both sides {rates['both sides'].value:.1f}%; best from one side: {best}, {rates[best].value:.1f}%"
    label = f"first guess right (% of {len(filled['both sides'])} tokens)"
    plots.number_figure(rates, title, label, [plots.BLUE] + [plots.GREY] * (len(rates) - 1))
