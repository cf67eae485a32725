"""Every widget is driven as a student would: values set, buttons pressed, the effect read."""

import re

import numpy as np
import pytest

from utils import widgets


def alt(picture):
    return re.search(r'alt="([^"]*)"', picture.value)[1]


@pytest.fixture
def explorer():
    rng = np.random.default_rng(0)
    causal = np.tril(rng.random((2, 3, 4, 4))) / 4
    cross = rng.random((1, 2, 3, 4))
    cross[0, 1, 2, 3] = 5
    tokens = ["a", "b", "c", "d"]
    return widgets.attention_explorer({"causal": (causal, tokens, tokens), "cross": (cross, ["x", "y", "z"], tokens)})


def test_the_attention_explorer_shows_the_chosen_head(explorer):
    family, layer, head, picture = explorer.children
    assert alt(picture).startswith("causal, layer 1, head 1: 6 of 16 weights exactly 0")
    layer.value, head.value = 2, 3
    assert alt(picture).startswith("causal, layer 2, head 3: 6 of 16")
    family.value = "cross"
    assert (layer.value, layer.max, head.value, head.max) == (1, 1, 2, 2)  # no layer or head that it does not have
    assert alt(picture) == "cross, layer 1, head 2: 0 of 12 weights exactly 0; the largest, 5.00, from z to d."


def test_the_attention_explorer_can_go_back_to_more_layers(explorer):
    family, layer, head, picture = explorer.children
    family.value = "cross"
    family.value = "causal"
    layer.value, head.value = 2, 3
    assert alt(picture).startswith("causal, layer 2, head 3")


@pytest.fixture
def blank():
    asked = []

    def guess(text):
        asked.append(text)
        return [("good", 0.5), ("bad", 0.25)]

    return widgets.fill_the_blank(guess, "[MASK]", "It was good, and I cried."), asked


def test_fill_the_blank_hides_the_chosen_word(blank):
    box, asked = blank
    text, words, picture = box.children
    assert asked == ["It was good, [MASK] I cried."]
    words.index = 2
    assert asked[-1] == "It was [MASK], and I cried."
    assert alt(picture) == "Best guesses for the hidden word, which was good: good 50.0%, bad 25.0%."
    text.value = "Bad <b>film</b>"
    assert [label for label, _ in words.options] == ["Bad", "b", "film", "b"]
    words.index = 0
    assert asked[-1] == "[MASK] <b>film</b>"


@pytest.mark.parametrize("nothing", ["", "   ", "…!"])
def test_fill_the_blank_without_a_word_says_what_to_do(blank, nothing):
    box, asked = blank
    text, _, picture = box.children
    text.value = nothing
    assert picture.value == "<p>Type a sentence of at least one word.</p>"
    text.value = "Again"
    assert asked[-1] == "[MASK]"


def test_the_playground_writes_with_its_settings_and_only_when_asked():
    calls = []

    def write(*settings):
        calls.append(settings)
        return "<i>written</i>"

    box = widgets.generation_playground(write, "This", "first text")
    prompt, temperature, top_p, seed, button, answer = box.children
    assert "first text" in answer.value
    prompt.value, temperature.value, top_p.value, seed.value = "That", 1.5, 0.5, 7
    assert calls == []
    button.click()
    assert calls == [("That", 1.5, 0.5, 7)]
    assert "&lt;i&gt;written&lt;/i&gt;" in answer.value
    assert button.description == "Write"


def test_the_playground_says_what_went_wrong_and_can_be_used_again():
    def write(*settings):
        raise ValueError("too long")

    box = widgets.generation_playground(write, "This", "")
    box.children[4].click()
    assert "That did not work: too long" in box.children[5].value
    assert box.children[4].description == "Write"


def test_controls_have_labels(explorer, blank):
    playground = widgets.generation_playground(lambda *settings: "", "a", "b")
    for box in (explorer, blank[0], playground):
        for control in box.children[:-1]:
            assert control.description


def test_a_widget_leaves_a_text_where_it_cannot_run(monkeypatch, explorer):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    widgets.display(explorer, "see section 2")
    assert shown[0]["text/plain"] == "see section 2"
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id


class Letters:
    """A tokenizer of few letters: a is 0, b is 1, …; any other letter is left out."""

    def __init__(self, letters):
        self.letters = letters

    def __len__(self):
        return len(self.letters)

    def __call__(self, text, **how):
        return {"input_ids": [self.letters.index(letter) for letter in text if letter in self.letters]}

    def convert_ids_to_tokens(self, ids):
        return [self.letters[number] for number in ids] if isinstance(ids, list) else self.letters[ids]


def test_the_tokenizer_playground_cuts_what_is_typed():
    text, picture = widgets.tokenizer_playground({"one": Letters("abc"), "two": Letters("ca")}, "ab").children
    assert "one: 2 pieces" in picture.value
    assert "two: 1 pieces" in picture.value
    assert 'title="id 1"' in picture.value
    text.value = "cc"
    assert "one: 2 pieces" in picture.value
    assert 'title="id 2"' in picture.value
    text.value = ""
    assert "one: 0 pieces" in picture.value


def test_what_the_model_hears_reads_with_the_chosen_table():
    tokenizers = {"one": Letters("ab"), "two": Letters("xyzab")}
    text, cutter, reader, picture = widgets.what_the_model_hears(tokenizers, "axb").children
    assert (cutter.value, reader.value) == ("two", "one")
    assert picture.value.count("(no row)") == 2  # a and b have the ids 3 and 4 in the table of two
    reader.value = "two"
    assert "(no row)" not in picture.value
    cutter.value, reader.value = "one", "two"
    assert ">x</bdi><sub>0</sub>" in picture.value
    assert ">y</bdi><sub>1</sub>" in picture.value
    text.value = "bb"
    assert picture.value.count(">y</bdi><sub>1</sub>") == 2


def test_an_error_of_the_model_is_one_line():
    def guess(text):
        raise RuntimeError("too long\nand more")

    picture = widgets.fill_the_blank(guess, "[MASK]", "A film.").children[-1]
    assert picture.value == "<p>That did not work: too long. Try a shorter or a plainer text.</p>"
