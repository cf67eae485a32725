"""Things to play with: look at attention, hide a word, let a model write, cut a text, hear it with another table.

Each is a plain ipywidgets box whose controls have labels and whose result is a picture with alternative text or plain
text. Only what ipywidgets 7 and 8 share is used. The lesson shows the first state as a static figure above each.
Whatever is typed, the answer is a picture, a text or one line that says what is wrong.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import ipywidgets
import numpy as np

from utils import pieces, plots

WIDE = ipywidgets.Layout(width="98%")
SLIDER = ipywidgets.Layout(width="34em", max_width="98%")  # long enough to hit each step by mouse
LABEL = {"description_width": "9em"}
MOST_LETTERS = 2000  # of a typed text; more would only make the page slow
MOST_WORDS = 60  # to choose from


def attention_explorer(attentions: dict[str, tuple[np.ndarray, list[str], list[str]]]) -> ipywidgets.VBox:
    """Choose a family, a layer and a head; see who looks at whom.

    Args:
        attentions: name -> (weights of shape (layers, heads, rows, columns), tokens that look, tokens looked at).
    """
    family = ipywidgets.Dropdown(options=list(attentions), description="network", style=LABEL)
    layer = ipywidgets.IntSlider(
        value=1, min=1, max=1, description="layer", style=LABEL, layout=SLIDER, continuous_update=False
    )
    head = ipywidgets.IntSlider(
        value=1, min=1, max=1, description="head", style=LABEL, layout=SLIDER, continuous_update=False
    )
    picture = ipywidgets.HTML()

    def draw(_=None) -> None:
        weights, rows, columns = attentions[family.value]
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
        layer.max, head.max = attentions[family.value][0].shape[:2]
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

    def answer() -> str:
        if words.value is None:
            return "<p>Type a sentence of at least one word.</p>"
        parts = re.findall(r"\w+|[^\w\s]|\s+", _typed(text))
        hidden = [place for place, part in enumerate(parts) if re.match(r"\w", part)][words.value]
        word = parts[hidden]
        parts[hidden] = mask
        guesses = guess("".join(parts))
        tokens, shares = [token for token, _ in guesses], [100 * share for _, share in guesses]
        fig, ax = plots.figure(2.2)
        colors = [plots.ORANGE if token.strip().lower() == word.lower() else plots.BLUE for token in tokens]
        plots.bars(ax, tokens, shares, colors=colors, text="{:.1f}")
        ax.set(xlim=(0, 100), xlabel="probability (%)")
        fig.suptitle("".join(parts).replace(mask, "▁▁▁"), wrap=True, parse_math=False)
        answers = ", ".join(f"{token} {share:.1%}" for token, share in guesses)
        return plots.as_html(fig, f"Best guesses for the hidden word, which was {word}: {answers}.")

    def draw(_=None) -> None:
        _answer(picture, answer)

    def fit(_=None) -> None:
        choices = re.findall(r"\w+", _typed(text))[:MOST_WORDS]
        words.unobserve(draw, "value")  # drawn once, when both are set
        words.options = [(word, number) for number, word in enumerate(choices)]
        words.value = len(choices) // 2 if choices else None
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
        value=0.8,
        min=0,
        max=2,
        step=0.1,
        description="temperature",
        style=LABEL,
        layout=SLIDER,
        continuous_update=False,
    )
    top_p = ipywidgets.FloatSlider(
        value=0.9, min=0.05, max=1, step=0.05, description="top-p", style=LABEL, layout=SLIDER, continuous_update=False
    )
    seed = ipywidgets.IntText(value=0, description="seed", style=LABEL)
    button = ipywidgets.Button(description="Write")
    answer = ipywidgets.HTML()

    def show(text: str) -> None:
        answer.value = f'<p style="white-space: pre-wrap; max-width: 60em">{html.escape(pieces.clean(text))}</p>'

    def press(_=None) -> None:
        button.description = "Writing …"  # not disabled, or whoever works by keyboard would lose the place
        try:
            show(write(_typed(start), temperature.value, top_p.value, seed.value))
        except Exception as error:
            show(_sorry(error))
        finally:
            button.description = "Write"

    button.on_click(press)
    show(written)
    return ipywidgets.VBox([start, temperature, top_p, seed, button, answer])


def tokenizer_playground(tokenizers: dict, text: str) -> ipywidgets.VBox:
    """Type a text, see the pieces and ids that each tokenizer makes of it.

    Args:
        tokenizers: name -> tokenizer.
        text: to start with.
    """
    typed = ipywidgets.Text(value=text, description="text", style=LABEL, layout=WIDE, continuous_update=False)
    picture = ipywidgets.HTML()

    def answer() -> str:
        return pieces.as_html({name: pieces.cut(tokenizer, _typed(typed)) for name, tokenizer in tokenizers.items()})

    def draw(_=None) -> None:
        _answer(picture, answer)

    typed.observe(draw, "value")
    draw()
    return ipywidgets.VBox([typed, picture])


def what_the_model_hears(tokenizers: dict, text: str) -> ipywidgets.VBox:
    """Choose the tokenizer that cuts a text and the table that reads its ids; see both.

    Args:
        tokenizers: name -> tokenizer, at least two.
        text: to start with.
    """
    names = list(tokenizers)
    typed = ipywidgets.Text(value=text, description="text", style=LABEL, layout=WIDE, continuous_update=False)
    cutter = ipywidgets.Dropdown(options=names, value=names[1], description="cut by", style=LABEL)
    reader = ipywidgets.Dropdown(options=names, value=names[0], description="read by", style=LABEL)
    picture = ipywidgets.HTML()

    def answer() -> str:
        cut = pieces.cut(tokenizers[cutter.value], _typed(typed))
        heard = pieces.heard([number for _, number in cut], tokenizers[reader.value])
        return pieces.as_html({f"{cutter.value} says": cut, f"{reader.value} hears": heard})

    def draw(_=None) -> None:
        _answer(picture, answer)

    for control in (typed, cutter, reader):
        control.observe(draw, "value")
    draw()
    return ipywidgets.VBox([typed, cutter, reader, picture])


def display(widget: ipywidgets.Widget, instead: str) -> None:
    """Show a widget; where widgets do not run (GitHub, print), the text `instead` stands in its place."""
    from IPython.display import display as show

    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    show({"application/vnd.jupyter.widget-view+json": view, "text/plain": instead}, raw=True)


def _typed(box: ipywidgets.Text) -> str:
    return pieces.clean(box.value)[:MOST_LETTERS]


def _answer(picture: ipywidgets.HTML, make: Callable[[], str]) -> None:
    try:
        picture.value = make()
    except Exception as error:
        picture.value = f"<p>{html.escape(pieces.clean(_sorry(error)))}</p>"


def _sorry(error: Exception) -> str:
    message = next(iter(str(error).splitlines()), type(error).__name__)
    return f"That did not work: {message}. Try a shorter or a plainer text."
