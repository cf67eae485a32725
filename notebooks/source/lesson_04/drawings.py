"""The drawing of LoRA: a frozen matrix, and beside it two thin ones that are trained."""

from __future__ import annotations

from utils import plots
from utils.palette import BLACK, GREY, ORANGE

ALT = (
    "Drawing, read from the bottom up, in two parts. While training: the input x, 384 numbers, goes two ways. On the "
    "left through the pretrained matrix W, 384 by 384, grey and frozen. On the right through A, which makes 8 numbers "
    "of it, and B, which makes 384 numbers of these, both orange and trained; the result is multiplied by alpha over "
    "r. Both ways are added to the output. Afterwards: one matrix W plus alpha over r times B times A, so that nothing "
    "is slower."
)


def lora(width: int = 384, rank: int = 8) -> None:
    """Show a matrix of attention with LoRA beside it, and the one matrix that is left after merging."""
    from matplotlib.patches import Polygon, Rectangle

    fig, ax = plots.figure(4.3)
    ax.axis("off")
    ax.set(xlim=(0, 10), ylim=(-0.2, 6.6))

    def text(x, y, words, **style):
        ax.text(x, y, words, va="center", color=BLACK, **({"fontsize": 13, "ha": "center"} | style))

    def arrow(start, end):
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "lw": 1.4, "color": BLACK})

    def frozen(x, y, words):
        ax.add_patch(Rectangle((x - 1.05, y - 0.9), 2.1, 1.8, facecolor=(GREY, 0.3), edgecolor=GREY, linewidth=1.5))
        text(x, y, words)

    def thin(corners, words, x, y):
        ax.add_patch(Polygon(corners, facecolor=(ORANGE, 0.45), edgecolor=ORANGE, linewidth=2))
        text(x, y, words, fontsize=11)

    text(3, 6.4, "while training", weight="bold", fontsize=14)
    text(3, 0.1, f"x: {width} numbers")
    arrow((2.6, 0.4), (1.3, 1.85))
    arrow((3.4, 0.4), (4.6, 1.25))
    frozen(1.3, 2.8, f"W\n{width} × {width}\nfrozen")
    thin([(3.6, 1.3), (5.8, 1.3), (4.95, 2.35), (4.45, 2.35)], f"A: {rank} × {width}", 4.7, 1.6)
    text(4.7, 2.72, f"{rank} numbers", fontsize=12)
    thin([(4.45, 3.1), (4.95, 3.1), (5.8, 4.15), (3.6, 4.15)], f"B: {width} × {rank}", 4.7, 3.85)
    text(4.15, 4.85, "× α / r", fontsize=13, ha="left")
    text(5.9, 3.55, "trained;\n0 at first", fontsize=10.5, ha="left")
    text(5.9, 1.9, "trained;\nrandom\nat first", fontsize=10.5, ha="left")
    arrow((1.3, 3.75), (2.7, 5.0))
    arrow((4.7, 4.2), (3.3, 5.0))
    text(3, 5.15, "+", fontsize=18, weight="bold")
    arrow((3, 5.4), (3, 5.75))
    text(3, 5.95, f"{width} numbers")
    ax.plot([6.9, 6.9], [0.2, 6.2], color=GREY, linestyle=":")
    text(8.5, 6.4, "afterwards", weight="bold", fontsize=14)
    text(8.5, 0.1, "x")
    arrow((8.5, 0.4), (8.5, 1.85))
    frozen(8.5, 2.8, "W + (α/r)·B·A")
    ax.patches[-1].set_width(2.9)
    ax.patches[-1].set_x(8.5 - 1.45)
    arrow((8.5, 3.75), (8.5, 5.7))
    text(8.5, 5.95, f"{width} numbers")
    plots.show(fig, ALT)
