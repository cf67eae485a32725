"""Figures of the lessons: one style, and alt text on every picture."""

from __future__ import annotations

import base64
import contextlib
import html
import io

import numpy as np
from IPython import get_ipython
from matplotlib import colormaps, rc_context, rcdefaults, rcParams
from matplotlib.figure import Figure

from utils.palette import BLACK, BLUE, EMPTY, GREEN, GREY, ORANGE, RED

__all__ = ["BLACK", "BLUE", "GREEN", "GREY", "ORANGE", "RED"]  # lessons write `plots.BLUE`

STYLE = {
    "figure.facecolor": "white",  # opaque, so that labels stay readable on a dark page
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 10,
    "font.size": 10,
    "legend.frameon": False,
}
_BLUES = colormaps["Blues"].with_extremes(bad=EMPTY)
CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # behind a number that stands on a line
WIDTH = 7.0  # inches; fits a notebook's column and, scaled, a phone


def figure(height: float = 3.0, columns: int = 1, rows: int = 1, **grid):
    """A figure in the course's style that is shown only by `show`; returns what `Figure.subplots` returns.

    The style, and Matplotlib's defaults for the rest, hold until the end of the cell, whatever style is in use: labels
    and legends take their colours when they are made.
    """
    _begin_style()
    fig = Figure(figsize=(WIDTH, height), layout="constrained", dpi=110)
    return fig, fig.subplots(rows, columns, **grid)


def show(fig: Figure, alt: str) -> None:
    """Display a figure as a PNG with alternative text, which screen readers and the site read.

    Args:
        fig: the figure.
        alt: what it shows, in a sentence or two, with the numbers that matter.
    """
    from IPython.display import display

    bundle, metadata = _picture(fig, alt)
    display(bundle, raw=True, metadata=metadata)


def as_html(fig: Figure, alt: str) -> str:
    """The figure as an `<img>` with alternative text, for a widget that replaces its picture."""
    picture = base64.b64encode(_picture(fig, alt)[0]["image/png"]).decode()
    _end_style()  # a widget draws when no cell runs
    return f'<img style="max-width: 100%" alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{picture}">'


def attention(ax, weights, rows: list[str], columns: list[str]) -> None:
    """Attention weights as a grid; a weight of exactly 0 is grey with a cross, because nothing can pass there.

    Args:
        ax: the axes.
        weights: shape (rows, columns); each row looks at the columns and adds up to 1.
        rows: the tokens that look.
        columns: the tokens that are looked at.
    """
    weights = np.asarray(weights)
    ax.imshow(np.ma.masked_equal(weights, 0), cmap=_BLUES, vmin=0, vmax=max(0.3, float(weights.max())), aspect="auto")
    crossed = np.argwhere(weights == 0)
    ax.plot(crossed[:, 1], crossed[:, 0], "x", color=GREY, markersize=3, markeredgewidth=0.8)
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=9)
    ax.set_yticks(range(len(rows)), rows, fontsize=9)


def token_bars(ax, tokens: list[str], values, color: str = BLUE) -> None:
    """A bar over each token that has a value; NaN leaves its place empty.

    Args:
        ax: the axes.
        tokens: n names, written below their bars; they may repeat.
        values: shape (n,).
        color: of the bars.
    """
    ax.bar(range(len(tokens)), np.nan_to_num(np.asarray(values, dtype=float)), color=color)
    ax.set_xticks(range(len(tokens)), tokens, rotation=50, ha="right", rotation_mode="anchor", fontsize=9)
    ax.set_xlim(-0.6, len(tokens) - 0.4)


def bars(ax, labels: list[str], values, errors=None, colors=None, text: str = "{:.0f}") -> None:
    """Horizontal bars, the first on top, each with its value written at its end.

    Args:
        ax: the axes.
        labels: n names.
        values: shape (n,).
        errors: optional shape (2, n), distances to the lower and upper end of each interval.
        colors: one colour or n of them.
        text: how a value is written.
    """
    rows = np.arange(len(labels))[::-1]
    ax.barh(rows, values, xerr=errors, color=colors or BLUE, height=0.62, error_kw={"ecolor": BLACK, "capsize": 3})
    ax.set_yticks(rows, labels)
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        end = value if errors is None else value + errors[1][i]
        ax.annotate(text.format(value), (end, row), xytext=(4, 0), textcoords="offset points", va="center", bbox=CLEAR)
    ax.margins(x=0.12)


def number_bars(ax, numbers: dict, colors=None, text: str = "{:.1f}") -> None:
    """`bars` of measured numbers with their 95% intervals.

    Args:
        ax: the axes.
        numbers: label -> `utils.intervals.Number`.
        colors, text: as in `bars`.
    """
    bars(ax, list(numbers), [number.value for number in numbers.values()], _arms(numbers.values()), colors, text)


def number_figure(numbers: dict, title: str, xlabel: str, colors=None, text: str = "{:.1f}", baseline=None) -> None:
    """Show measured numbers as bars with their 95% intervals; the alt text lists them.

    Args:
        numbers: label -> `utils.intervals.Number`.
        title: the finding.
        xlabel: what is measured, with its unit.
        colors, text: as in `bars`.
        baseline: where a dotted line stands; the axis then goes from 0 to 100.
    """
    fig, ax = figure(0.8 + 0.3 * len(numbers))
    number_bars(ax, numbers, colors, text)
    ax.set_xlabel(xlabel)
    if baseline is not None:
        ax.axvline(baseline, color=BLACK, linestyle=":")
        ax.set_xlim(0, 100)
    fig.suptitle(title)
    show(fig, f"{title}. {xlabel}: " + "; ".join(f"{name} {number}" for name, number in numbers.items()))


def grouped_bars(ax, groups: list[str], series: dict[str, list], hatch_label: str) -> None:
    """Upright bars of measured numbers, side by side in each group; a hatched one is to be read with care.

    Args:
        ax: the axes.
        groups: names below the bars.
        series: name -> for each group a `utils.intervals.Number` and whether its bar is hatched; at most five series.
        hatch_label: what hatching means, for the legend; the entry appears only if some bar is hatched.
    """
    width = 0.8 / len(series)
    hatched = None
    for place, (name, values) in enumerate(series.items()):
        at = np.arange(len(groups)) + (place - (len(series) - 1) / 2) * width
        numbers = [number for number, _ in values]
        container = ax.bar(
            at, [number.value for number in numbers], 0.92 * width, yerr=_arms(numbers), label=name,
            color=(BLUE, ORANGE, GREEN, RED, GREY)[place], error_kw={"ecolor": BLACK, "elinewidth": 1},
        )  # fmt: skip
        for bar, (_, is_hatched) in zip(container, values, strict=True):
            if is_hatched:
                bar.set(hatch="///", facecolor="white", edgecolor=bar.get_facecolor())
                hatched = bar
    if hatched is not None:
        ax.bar([0], [0], hatch="///", facecolor="white", edgecolor=GREY, label=hatch_label)
    ax.set_xticks(range(len(groups)), groups)


def number_line(ax, places, numbers: list, **style) -> None:
    """Measured numbers as points with their 95% intervals, joined by a line.

    Args:
        ax: the axes.
        places: shape (n,), on the horizontal axis.
        numbers: n of `utils.intervals.Number`.
        style: colour, marker, label and the like, for `Axes.errorbar`.
    """
    values = [number.value for number in numbers]
    ax.errorbar(places, values, _arms(numbers), **({"capsize": 2, "elinewidth": 1} | style))


def _arms(numbers) -> list[list[float]]:
    """Distances to the lower and upper ends of the intervals; 0 for exact numbers. Shape (2, n)."""
    below, above = [], []
    for number in numbers:
        low, high = (number.value, number.value) if number.low is None else (number.low, number.high)
        below.append(number.value - low)
        above.append(high - number.value)
    return [below, above]


def with_palette(picture: np.ndarray, colors: int = 16, width: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """A picture as numbers of colours, and its palette.

    Args:
        picture: shape (height, width, 3), uint8.
        colors: in the palette.
        width: of the result, in pixels.

    Returns:
        Numbers of shape (height, width) and the palette of shape (colors, 3), uint8.
    """
    from PIL import Image

    image = Image.fromarray(picture)
    image = image.resize((width, width * image.height // image.width)).quantize(colors)
    return np.array(image), np.array(image.getpalette()[: 3 * colors], dtype=np.uint8).reshape(-1, 3)


def groups_of_vectors(ax, vectors, groups: dict[str, range]) -> None:
    """Vectors as points, in the two directions in which they differ most; a mark and a colour for each group.

    Args:
        ax: the axes.
        vectors: shape (n, width).
        groups: name -> rows; at most three.
    """
    centred = np.asarray(vectors) - np.mean(vectors, axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    places = centred @ directions.T
    for (name, rows), mark, color in zip(groups.items(), "o^s", (BLUE, ORANGE, GREEN), strict=False):
        ax.plot(*places[list(rows)].T, mark, color=color, markersize=9, label=name)
    ax.set(xticks=[], yticks=[])
    ax.margins(0.15)


def training(trainer, baseline: float) -> None:
    """Show the losses that a `transformers.Trainer` logged, and the loss on held-out texts.

    Args:
        trainer: after its training.
        baseline: loss of guessing, drawn as a line; ln 2 for two labels.
    """
    history = trainer.state.log_history
    logged = [(row["step"], row["loss"]) for row in history if "loss" in row]
    if not logged:
        raise ValueError(f"No loss was logged in {trainer.state.max_steps} steps; set logging_steps to fewer.")
    steps, losses = np.array(logged).T
    held_out = [(row["step"], row["eval_loss"]) for row in history if "eval_loss" in row]
    fig, ax = figure(2.4)
    ax.plot(steps, losses, "o-", color=BLUE, markersize=4, label="training, mean since the last point")
    if held_out:
        ax.plot(*np.array(held_out).T, "D", color=RED, label="eval_dataset", clip_on=False, zorder=5)
    ax.axhline(baseline, color=BLACK, linestyle=":", linewidth=1, label="guessing")
    ax.set(xlabel="training step", ylabel="loss", xlim=(0, trainer.state.max_steps), ylim=(0, None))
    fig.suptitle(
        f"The training loss begins near {losses[0]:.2f} and ends near {losses[-1]:.2f}; guessing has {baseline:.2f}"
    )
    ax.legend(loc="lower left", fontsize=8, ncols=3)
    show(fig, f"Line chart of the training loss over {trainer.state.max_steps} steps: it starts at {losses[0]:.2f} and "
              f"ends at {losses[-1]:.2f}; guessing has {baseline:.2f}.")  # fmt: skip


_users_style = contextlib.ExitStack()  # brings it back
_styled = False


def _begin_style() -> None:
    """Set the course's style, in a notebook until the cell ends; a script keeps it."""
    global _styled
    if not _styled:
        _users_style.enter_context(rc_context())
        shell = get_ipython()
        if shell is not None:
            shell.events.register("post_run_cell", _end_style)
            _users_style.callback(shell.events.unregister, "post_run_cell", _end_style)
        _styled = True
    rcdefaults()
    rcParams.update(STYLE)


def _end_style(*_) -> None:
    global _styled
    _users_style.close()
    _styled = False


def _picture(fig: Figure, alt: str) -> tuple[dict, dict]:
    buffer = io.BytesIO()
    _begin_style()
    _keep_inside(fig)
    fig.savefig(buffer, format="png")
    return {"image/png": buffer.getvalue(), "text/plain": alt}, {"image/png": {"alt": alt}}


def _keep_inside(fig: Figure) -> None:
    """Put titles and axis labels that are wider than their place into two lines."""
    fig.draw_without_rendering()  # the layout is known after that
    for text in (fig._suptitle, *(label for ax in fig.axes for label in (ax.xaxis.label, ax.title))):
        if text is None or not text.get_text() or "\n" in text.get_text():
            continue
        box = text.get_window_extent()
        if box.x0 < 0 or box.x1 > fig.bbox.width:
            words = text.get_text().split(" ")
            middle = min(range(1, len(words)), key=lambda n: abs(len(" ".join(words[:n])) - len(" ".join(words[n:]))))
            text.set_text(" ".join(words[:middle]) + "\n" + " ".join(words[middle:]))
