"""Figures of the lessons: one style, alt text on every picture, and a curve that grows while a model trains."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import time

import numpy as np
from IPython import get_ipython
from matplotlib import colormaps, rc_context, rcdefaults, rcParams
from matplotlib.figure import Figure
from transformers import TrainerCallback

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
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    ax.set_yticks(range(len(rows)), rows, fontsize=7)


def token_bars(ax, tokens: list[str], values, color: str = BLUE) -> None:
    """A bar over each token that has a value; NaN leaves its place empty.

    Args:
        ax: the axes.
        tokens: n names, written below their bars; they may repeat.
        values: shape (n,).
        color: of the bars.
    """
    ax.bar(range(len(tokens)), np.nan_to_num(np.asarray(values, dtype=float)), color=color)
    ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
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
        ax.annotate(text.format(value), (end, row), xytext=(4, 0), textcoords="offset points", va="center")
    ax.margins(x=0.12)


def number_bars(ax, numbers: dict, colors=None, text: str = "{:.1f}") -> None:
    """`bars` of measured numbers with their 95% intervals.

    Args:
        ax: the axes.
        numbers: label -> `utils.intervals.Number`.
        colors, text: as in `bars`.
    """
    bars(ax, list(numbers), [number.value for number in numbers.values()], _arms(numbers.values()), colors, text)


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


class LiveCurve(TrainerCallback):
    """Draws the training loss while the `Trainer` works: every step, its running mean, the validation loss.

    It reads the losses that the Trainer logs, so set `logging_steps` small; it changes nothing.

    Args:
        baseline: loss of guessing, drawn as a line; ln 2 for two labels.
        every_seconds: how often the picture is renewed.
    """

    def __init__(self, baseline: float, every_seconds: float = 5.0) -> None:
        self.baseline, self.every_seconds = baseline, every_seconds
        self.handle, self.drawn_at = None, 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.handle, self.drawn_at, self.began, self.first = None, 0.0, time.monotonic(), state.global_step

    def on_log(self, args, state, control, **kwargs):
        if time.monotonic() - self.drawn_at > self.every_seconds:
            self._draw(state)

    def on_train_end(self, args, state, control, **kwargs):
        self._draw(state, ended=True)

    def _draw(self, state, ended: bool = False) -> None:
        from IPython.display import display

        train = np.array([(row["step"], row["loss"]) for row in state.log_history if "loss" in row])
        if len(train) == 0:
            return
        validation = [(row["step"], row["eval_loss"]) for row in state.log_history if row.get("eval_loss")]
        fig, ax = figure(2.8)
        ax.plot(*train.T, color=GREY, linewidth=1, label="training loss of the logged steps")
        ax.plot(train[:, 0], _running_mean(train[:, 1]), color=BLUE, linewidth=2, label="its running mean")
        if validation:
            ax.plot(*np.array(validation).T, "D", color=RED, label="validation loss", clip_on=False, zorder=5)
        ax.axhline(self.baseline, color=BLACK, linestyle=":", linewidth=1, label="guessing: ln 2")
        last = _running_mean(train[:, 1])[-1]
        ax.set(xlabel="training step (batches)", ylabel="loss (nats)", xlim=(0, state.max_steps), ylim=(0, None))
        fig.suptitle(
            f"Training loss: running mean {last:.2f} after {state.global_step} steps"
            + ("" if ended else self._left(state))
        )
        ax.legend(loc="lower left", fontsize=8, ncols=2)
        alt = (
            f"Line chart of the training loss over {state.global_step} of {state.max_steps} steps: it starts at "
            f"{train[0, 1]:.2f}, near ln 2 = {self.baseline:.2f}, and its running mean ends at {last:.2f}."
        )
        bundle, metadata = _picture(fig, alt)
        if self.handle is None:
            self.handle = display(bundle, raw=True, metadata=metadata, display_id=True)
        else:
            self.handle.update(bundle, raw=True, metadata=metadata)
        self.drawn_at = time.monotonic()

    def _left(self, state) -> str:
        done = max(state.global_step - self.first, 1)
        seconds = (time.monotonic() - self.began) / done * (state.max_steps - state.global_step)
        return f" of {state.max_steps}, about {seconds:.0f} s left"


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
    fig.savefig(buffer, format="png")
    return {"image/png": buffer.getvalue(), "text/plain": alt}, {"image/png": {"alt": alt}}


def _running_mean(values: np.ndarray, weight: float = 0.8) -> np.ndarray:
    means, mean, total = [], 0.0, 0.0
    for value in values:
        mean, total = weight * mean + value, weight * total + 1
        means.append(mean / total)
    return np.array(means)
