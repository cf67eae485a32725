from types import SimpleNamespace

import numpy as np
import pytest
from cycler import cycler
from matplotlib import pyplot, rc_context, rcParams

from utils import plots
from utils.intervals import Number


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: a list of (bundle, metadata), updates included."""
    calls = []

    class Handle:
        def update(self, bundle, raw, metadata):
            calls.append((bundle, metadata))

    def display(bundle, raw, metadata, display_id=None):
        calls.append((bundle, metadata))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return calls


def test_a_figure_is_a_picture_with_alt_text(shown):
    fig, ax = plots.figure()
    plots.bars(ax, ["one", "two"], [1, 2], np.array([[0.1, 0.1], [0.2, 0.2]]))
    plots.show(fig, "Two bars, one and two.")
    ((bundle, metadata),) = shown
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == "Two bars, one and two."


@pytest.mark.parametrize("where", ["x label", "title"])
def test_no_text_is_cut_off_at_the_edge(shown, where):
    fig, ax = plots.figure(2.0)
    plots.bars(ax, ["a name that takes a third of the width"], [1])
    long = "points by which one way is better than another on the same 200 reviews, with 95% interval"
    text = fig.suptitle(long, fontsize=12) if where == "title" else ax.set_xlabel(long) or ax.xaxis.label
    plots.show(fig, "A bar, with a long text below or above it.")
    box = text.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= fig.bbox.width
    assert text.get_text().split() == long.split()


def test_bars_write_each_value_at_its_end():
    _, ax = plots.figure()
    plots.bars(ax, ["one", "two"], [1.24, 2.0], text="{:.1f}")
    assert [text.get_text() for text in ax.texts] == ["1.2", "2.0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]


def test_the_curve_of_a_training_shows_its_losses(shown):
    history = [{"step": 5, "loss": 0.7}, {"step": 10, "loss": 0.5}, {"step": 10, "eval_loss": 0.4}]
    plots.training(SimpleNamespace(state=SimpleNamespace(log_history=history, max_steps=10)), baseline=np.log(2))
    ((_, metadata),) = shown
    alt = metadata["image/png"]["alt"]
    assert "over 10 steps: it starts at 0.70 and ends at 0.50; guessing has 0.69" in alt


def test_a_training_that_logged_nothing_is_named():
    state = SimpleNamespace(log_history=[{"step": 4, "eval_loss": 0.4}], max_steps=4)
    with pytest.raises(ValueError, match="No loss was logged in 4 steps; set logging_steps"):
        plots.training(SimpleNamespace(state=state), baseline=0.69)


def test_numbers_are_drawn_with_their_intervals():
    _, ax = plots.figure()
    plots.number_bars(ax, {"measured": Number(60, 55, 70), "exact": Number(50)})
    ends = ax.containers[1].errorbar if hasattr(ax.containers[1], "errorbar") else ax.containers[0]
    (line,) = ends.lines[2]
    assert [segment[:, 0].tolist() for segment in line.get_segments()] == [[55, 70], [50, 50]]


def test_grouped_bars_hatch_what_is_to_be_read_with_care():
    _, ax = plots.figure()
    series = {"one": [(Number(1, 0.5, 2), False), (Number(3), True)], "two": [(Number(2), False), (Number(4), False)]}
    plots.grouped_bars(ax, ["a", "b"], series, "unknown")
    hatched = [bar for bar in ax.patches if bar.get_hatch() and bar.get_height()]
    assert [bar.get_height() for bar in hatched] == [3]
    assert [text.get_text() for text in ax.legend().get_texts()] == ["one", "two", "unknown"]
    plots.grouped_bars(ax, ["a"], {"one": [(Number(1), False)]}, "none of these")
    assert "none of these" not in [text.get_text() for text in ax.legend().get_texts()]


def everything():
    """One figure with all that the lessons use: titles, labels, legend, ticks, bars, annotations, text, a grid."""
    fig, (left, right) = plots.figure(columns=2)
    plots.bars(left, ["one", "two"], [1, 2], np.array([[0.1, 0.1], [0.2, 0.2]]))
    left.set(title="a title", xlabel="seconds", ylabel="things")
    plots.grouped_bars(right, ["a", "b"], {"x": [(Number(1, 0, 2), False)] * 2}, "with care")
    right.plot([0, 1], [0, 1], label="a line")
    right.text(0, 0, "some text")
    right.annotate("there", (0, 1), (1, 0), arrowprops={"arrowstyle": "->"})
    right.legend(title="legend")
    right.grid(True)
    fig.suptitle("A finding")
    return fig


STYLES = {
    "dark": lambda: pyplot.style.use("dark_background"),
    "comic": lambda: pyplot.style.use("fivethirtyeight"),
    "a configuration file": lambda: rcParams.update({
        "text.color": "white", "xtick.color": "white", "axes.labelcolor": "white", "font.size": 30, "axes.grid": True,
        "lines.linewidth": 9, "patch.force_edgecolor": True, "savefig.facecolor": "black", "savefig.dpi": 30,
        "figure.constrained_layout.use": False, "legend.facecolor": "black", "axes.prop_cycle": cycler(color="w"),
    }),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_a_figure_looks_the_same_under_every_style(style):
    expected = plots._picture(everything(), "x")[0]["image/png"]
    plots._end_style()
    with rc_context():
        STYLES[style]()
        theirs = dict(rcParams)
        assert plots._picture(everything(), "x")[0]["image/png"] == expected
        plots._end_style()
        assert dict(rcParams) == theirs  # the user's own figures keep their style


def test_in_a_notebook_the_users_style_is_back_when_the_cell_ends(shown):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        with rc_context():
            shell.run_cell("from matplotlib import pyplot; pyplot.style.use('dark_background')")
            cell = "from utils import plots\nfig, ax = plots.figure()\nax.set_xlabel('x')\nplots.show(fig, 'x')\n"
            shell.run_cell(cell + "inside = pyplot.rcParams['text.color']; 1 / 0")
            assert shell.user_ns["inside"] == "black"
            assert rcParams["text.color"] == "white"
            assert not plots._styled
            assert len(shown) == 1
            plots.as_html(everything(), "of a widget, while no cell runs")
            assert rcParams["text.color"] == "white"
    finally:
        InteractiveShell.clear_instance()
