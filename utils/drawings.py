"""Drawings of the three architectures, made of boxes and arrows, with the standard names of their parts."""

from __future__ import annotations

from utils import plots
from utils.palette import BLACK, BLUE, GREEN, GREY, ORANGE

WIDTH, STEP, APART = 2.3, 0.62, 3.1  # of a box, from one box to the next, and from column to column
PARTS = {  # from the bottom up
    "encoder": ["self-attention", "add & norm", "feed-forward", "add & norm"],
    "decoder": ["masked self-attention", "add & norm", "feed-forward", "add & norm"],
    "decoder that looks at an encoder": [
        "masked self-attention", "add & norm", "cross-attention", "add & norm", "feed-forward", "add & norm"
    ],
}  # fmt: skip
COLORS = {
    "self-attention": BLUE, "cross-attention": BLUE, "masked self-attention": ORANGE, "feed-forward": GREEN,
    "add & norm": "white",
}  # fmt: skip
ALT = (
    "Three drawings, each read from the bottom up. BERT is an encoder: tokens, embeddings of tokens and positions, "
    "layers of self-attention, add and norm, feed-forward, add and norm, and an output layer that guesses the hidden "
    "token. GPT is a decoder: the same, but with masked self-attention, which looks to the left only, and an output "
    "layer for the next token. T5 has both: an encoder, and beside it a decoder with one more part in each layer, "
    "cross-attention, to which an arrow leads from the top of the encoder: keys and values."
)


def families() -> None:
    """Show BERT, GPT and T5 as parts of the Transformer of 2017: encoder, decoder, both."""
    fig, (above, below) = plots.figure(9.4, rows=2, height_ratios=(6.2, 7.5))
    _stack(above, 0, "encoder", "BERT: the encoder", "The [MASK] was good", "output layer: the hidden token", BLUE)
    _stack(above, APART, "decoder", "GPT: the decoder", "The film was", "output layer: the next token", ORANGE)
    _stack(below, 0, "encoder", "", "…German: Tuesday", None, BLUE, below="embeddings: token")
    _stack(
        below, APART, "decoder that looks at an encoder", "", "(start) Dienstag", "output layer: the next token",
        ORANGE, below="embeddings: token",
    )  # fmt: skip
    below.text(APART / 2, 6.5, "T5: both", ha="center", va="bottom", fontsize=15, weight="bold", color=BLACK)
    top, across, middle = 1.6 + 4 * STEP, 1.25 + 2.55 * STEP, APART / 2
    below.plot([0, 0, middle, middle], [top - 0.28, top, top, across], color=BLACK, linewidth=1.4)
    below.text(middle / 2, top + 0.04, "keys, values", ha="center", va="bottom", fontsize=12, color=BLACK)
    below.annotate("", (APART - WIDTH / 2, across), (middle, across), arrowprops={"arrowstyle": "-|>", "lw": 1.4})
    for ax, height in ((above, 5.8), (below, 7.1)):
        ax.axis("off")
        ax.set(xlim=(-WIDTH / 2 - 0.2, APART + WIDTH / 2 + 0.2), ylim=(-0.4, height))
    plots.show(fig, ALT)


def _stack(
    ax,
    x: float,
    kind: str,
    title: str,
    tokens: str,
    head: str | None,
    color: str,
    below: str = "embeddings:\ntoken + position",
) -> None:
    """One column, from the bottom up: tokens, embeddings, a framed layer, a head, a title."""
    from matplotlib.patches import FancyBboxPatch

    parts = PARTS[kind]
    ax.text(x, -0.2, tokens, ha="center", va="center", fontsize=13, family="monospace", color=BLACK)
    _box(ax, x, 0.62, below, GREY, tall=True)
    frame = FancyBboxPatch(
        (x - WIDTH / 2 - 0.1, 1.25), WIDTH + 0.2, len(parts) * STEP + 0.05, boxstyle="round,pad=0.02",
        facecolor="none", edgecolor=color, linewidth=1.8,
    )  # fmt: skip
    ax.add_patch(frame)
    ax.text(x + WIDTH / 2 + 0.02, 1.3 + len(parts) * STEP, "× N", ha="right", va="bottom", fontsize=13, color=BLACK)
    for place, part in enumerate(parts):
        _box(ax, x, 1.25 + (place + 0.55) * STEP, part, COLORS[part])
    top = 1.25 + len(parts) * STEP
    ax.text(x, top + (1.4 if head else 0.6), title, ha="center", va="bottom", fontsize=15, weight="bold", color=BLACK)
    if head:
        _box(ax, x, 1.25 + len(parts) * STEP + 0.9, head.replace(": ", ":\n"), GREY, tall=True)
    heights = [0.0, 0.28], [0.96, 1.25], [1.32 + len(parts) * STEP, 1.25 + len(parts) * STEP + 0.54]
    for low, high in heights if head else heights[:2]:
        ax.annotate("", (x, high), (x, low), arrowprops={"arrowstyle": "-|>", "lw": 1.2, "color": BLACK})


def _box(ax, x: float, y: float, text: str, color: str, tall: bool = False) -> None:
    from matplotlib.patches import FancyBboxPatch

    height = 0.68 if tall else 0.42
    face = color if color == "white" else (color, 0.25)
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - height / 2), WIDTH, height, boxstyle="round,pad=0.01,rounding_size=0.08",
        facecolor=face, edgecolor=GREY, linewidth=0.8,
    )  # fmt: skip
    ax.add_patch(box)
    ax.text(x, y, text, ha="center", va="center", fontsize=12 if tall else 13, color=BLACK)
