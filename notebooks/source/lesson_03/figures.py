"""The figures of lesson 03."""

from __future__ import annotations

from utils import plots
from utils.intervals import Number, share

RIGHT = "right (%), with 95% interval"


def two_palettes(own, other) -> None:
    """The same numbers as two pictures. Shapes (height, width, 3), uint8."""
    fig, axes = plots.figure(2.6, columns=2)
    for ax, (title, picture) in zip(
        axes, {"its own palette": own, "another picture's palette": other}.items(), strict=True
    ):
        ax.imshow(picture)
        ax.set(title=title, xticks=[], yticks=[])
    fig.suptitle("The same numbers, two palettes")
    plots.show(fig, "A flower drawn from 16 numbered colours, with its own palette and with that of another picture.")


def shares_right(hits: dict) -> None:
    """Bars: what the classifier gets -> which sentences, half of them positive, it judged right. BERT's ids first."""
    shares = {name: share(right) for name, right in hits.items()}
    own, other = (f"{number.value:.0f}%" for number in list(shares.values())[:2])
    plots.number_figure(
        shares | {"always the same answer": Number(50, unit="%")},
        f"The same sentences: {own} right with BERT's ids, {other} with GPT-2's",
        RIGHT,
        [plots.BLUE, plots.ORANGE, plots.GREY, plots.GREY],
        baseline=50,
    )


def cut_or_ids(shares: dict[str, Number]) -> None:
    """Bars: two cuts with BERT's ids, two cuts with wrong ids, a baseline -> share right."""

    def said(kind: str) -> str:
        low, high = sorted(f"{number.value:.0f}" for name, number in shares.items() if kind in name)
        return f"{low}%" if low == high else f"{low} to {high}%"

    own, other = said("BERT's ids"), said("wrong ids")
    plots.number_figure(
        shares,
        f"BERT's ids: {own}. Wrong ids: {other}",
        f"{RIGHT}; dotted: always the same answer",
        [plots.BLUE] * 2 + [plots.ORANGE] * 2 + [plots.GREY],
        baseline=50,
    )
