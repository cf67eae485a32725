"""Three things to play with: look at attention, hide a word, let a model write.

Each is a plain ipywidgets box whose controls have labels and whose result is a picture with alternative text or plain
text. Only what ipywidgets 7 and 8 share is used. The lesson shows the first state as a static figure above each.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import ipywidgets
import numpy as np

from utils import plots

WIDE = ipywidgets.Layout(width="98%")
LABEL = {"description_width": "9em"}


def attention_explorer(wirings: dict[str, tuple[np.ndarray, list[str], list[str]]]) -> ipywidgets.VBox:
    """Choose a family, a layer and a head; see who looks at whom.

    Args:
        wirings: name -> (weights of shape (layers, heads, rows, columns), tokens that look, tokens looked at).
    """
    family = ipywidgets.Dropdown(options=list(wirings), description="wiring", style=LABEL)
    layer = ipywidgets.IntSlider(value=1, min=1, max=1, description="layer", style=LABEL, continuous_update=False)
    head = ipywidgets.IntSlider(value=1, min=1, max=1, description="head", style=LABEL, continuous_update=False)
    picture = ipywidgets.HTML()

    def draw(_=None) -> None:
        weights, rows, columns = wirings[family.value]
        chosen = weights[layer.value - 1, head.value - 1]
        fig, ax = plots.figure(3.6)
        plots.attention(ax, chosen, rows, columns)
        ax.set(xlabel="looked at", ylabel="looks")
        zeros = int((chosen == 0).sum())
        title = f"{family.value}, layer {layer.value}, head {head.value}: {zeros} of {chosen.size} weights exactly 0"
        fig.suptitle(title)
        row, column = np.unravel_index(chosen.argmax(), chosen.shape)
        picture.value = plots.as_html(
            fig, f"{title}; the largest, {chosen.max():.2f}, from {rows[row]} to {columns[column]}."
        )

    def fit(_=None) -> None:
        for control in (layer, head):
            control.unobserve(draw, "value")  # drawn once, when both are in range
        layer.max, head.max = wirings[family.value][0].shape[:2]
        for control in (layer, head):
            control.observe(draw, "value")
        draw()

    family.observe(fit, "value")
    for control in (layer, head):
        control.observe(draw, "value")
    fit()
    return ipywidgets.VBox([family, layer, head, picture])


def fill_the_blank(guess: Callable[[str], list[tuple[str, float]]], mask: str, sentence: str) -> ipywidgets.VBox:
    """Type a sentence, choose the word to hide, see what the model would put there.

    Args:
        guess: text with one mask token -> the best (token, probability) pairs, best first.
        mask: the model's mask token.
        sentence: to start with.
    """
    text = ipywidgets.Text(
        value=sentence, description="sentence", style=LABEL, layout=WIDE, continuous_update=False
    )  # a change counts when Enter is pressed or the field is left
    words = ipywidgets.ToggleButtons(options=[], description="hide", style=LABEL | {"button_width": "auto"})
    picture = ipywidgets.HTML()

    def draw(_=None) -> None:
        if words.value is None:
            picture.value = "<p>Type a sentence of at least one word.</p>"
            return
        pieces = re.findall(r"\w+|[^\w\s]|\s+", text.value)
        places = [place for place, piece in enumerate(pieces) if re.match(r"\w", piece)]
        hidden = places[words.value]
        pieces[hidden], was = mask, pieces[hidden]
        found = guess("".join(pieces))
        fig, ax = plots.figure(2.2)
        colors = [plots.ORANGE if token.strip().lower() == was.lower() else plots.BLUE for token, _ in found]
        plots.bars(ax, [token for token, _ in found], [100 * share for _, share in found], colors=colors, text="{:.1f}")
        ax.set(xlim=(0, 100), xlabel="probability (%)")
        fig.suptitle("".join(pieces).replace(mask, "▁▁▁"))
        answers = ", ".join(f"{token} {share:.1%}" for token, share in found)
        picture.value = plots.as_html(fig, f"Best guesses for the hidden word, which was {was}: {answers}.")

    def fit(_=None) -> None:
        found = re.findall(r"\w+", text.value)
        words.unobserve(draw, "value")  # drawn once, when both are set
        words.options = [(word, number) for number, word in enumerate(found)]
        words.value = len(found) // 2 if found else None
        words.observe(draw, "value")
        draw()

    text.observe(fit, "value")
    words.observe(draw, "value")
    fit()
    return ipywidgets.VBox([text, words, picture])


def generation_playground(write: Callable[[str, float, float, int], str], prompt: str, written: str) -> ipywidgets.VBox:
    """Set a prompt, a temperature, a top-p and a seed, press the button, read what the model writes.

    Args:
        write: (prompt, temperature, top-p, seed) -> the text; temperature 0 means the most likely token each time.
        prompt: to start with.
        written: the text that is shown first.
    """
    start = ipywidgets.Text(value=prompt, description="prompt", style=LABEL, layout=WIDE)
    temperature = ipywidgets.FloatSlider(
        value=0.8, min=0, max=2, step=0.1, description="temperature", style=LABEL, continuous_update=False
    )
    top_p = ipywidgets.FloatSlider(
        value=0.9, min=0.05, max=1, step=0.05, description="top-p", style=LABEL, continuous_update=False
    )
    seed = ipywidgets.IntText(value=0, description="seed", style=LABEL)
    button = ipywidgets.Button(description="Write")
    answer = ipywidgets.HTML()

    def show(text: str) -> None:
        answer.value = f'<p style="white-space: pre-wrap; max-width: 60em">{html.escape(text)}</p>'

    def press(_=None) -> None:
        button.disabled, button.description = True, "Writing …"
        try:
            show(write(start.value, temperature.value, top_p.value, seed.value))
        except Exception as error:
            show(f"That did not work: {error}")
        finally:
            button.disabled, button.description = False, "Write"

    button.on_click(press)
    show(written)
    return ipywidgets.VBox([start, temperature, top_p, seed, button, answer])


def display(widget: ipywidgets.Widget, instead: str) -> None:
    """Show a widget; where widgets do not run (GitHub, print), the text `instead` stands in its place."""
    from IPython.display import display as show

    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    show({"application/vnd.jupyter.widget-view+json": view, "text/plain": instead}, raw=True)
