"""Whatever is typed, the answer is a result or one clear line: odd text for everything that takes a text."""

import re
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import pipeline, set_seed

from utils import assets, blanks, pieces, splits, widgets

ODD = {
    "empty": "", "spaces": "   \t\n  ", "one letter": "a", "100,000 letters": "x" * 100_000,
    "100,000 letters in words": "odd text " * 11_112, "100,000 emoji": "😀" * 100_000,
    "lone surrogates": "a\ud800b \udfff", "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x9f",
    "right to left": "שלום عالم\u202e abc", "emoji": "😀👍🏽👨\u200d👩\u200d👧🇩🇪",
    "accents on nothing": "\u0301\u0308\u20dd" * 50, "zero width": "a\u200b\u200d\ufeffb",
    "html": "<script>alert(1)</script>&amp;\"'", "formula": "$x_1 \\frac{$ $$", "null": "\x00" * 10,
    "special tokens": "[MASK] [CLS] </s> <pad>", "private": "\ue000\uf8ff\U0010ffff", "Chinese": "这部电影很好看" * 40,
    "line breaks": "a\r\n\u2028\u2029b",
}  # fmt: skip
# Any text at all, lone surrogates too; the same examples in every run.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
EVERY_RUN_THE_SAME = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def shown(value: str) -> str:
    """Every result must be one that a browser can be sent."""
    value.encode("utf-8")
    assert value
    assert "Traceback" not in value
    assert "<script" not in value
    return value


def use_pieces(real_tokenizers, text):
    cut = {name: pieces.cut(tokenizer, text) for name, tokenizer in real_tokenizers.items()}
    for said in cut.values():
        for reader in real_tokenizers.values():
            heard = pieces.heard([number for _, number in said], reader)
            assert len(heard) == len(said)
            shown(pieces.as_html({"one": heard}))
    shown(pieces.as_html(cut))
    shown(pieces.as_text(cut))


@pytest.fixture(scope="module")
def boxes(real_tokenizers):
    playground = widgets.tokenizer_playground(real_tokenizers, "A film.")
    return playground, widgets.what_the_model_hears(real_tokenizers, "A film.")


def use_boxes(boxes, text):
    (typed, picture), (said, cutter, _, heard) = (box.children for box in boxes)
    typed.value = said.value = text
    shown(picture.value)
    shown(heard.value)
    for name in cutter.options:
        cutter.value = name
        shown(heard.value)


@pytest.fixture(params=["pieces", "widgets"])
def use(request, real_tokenizers, boxes):
    """Something that shows the pieces of a text."""
    return {"pieces": partial(use_pieces, real_tokenizers), "widgets": partial(use_boxes, boxes)}[request.param]


@pytest.mark.parametrize("name", ODD)
def test_pieces_of_odd_text(use, name):
    use(ODD[name])


@settings(EVERY_RUN_THE_SAME, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT)
def test_pieces_of_any_text(use, text):
    use(text)


@given(text=ANY_TEXT)
@EVERY_RUN_THE_SAME
def test_clean_text_changes_nothing_but_lone_surrogates(text):
    cleaned = pieces.clean(text)
    cleaned.encode("utf-8")
    assert len(cleaned) <= len(text)  # two surrogates side by side can make one character
    if not re.search("[\ud800-\udfff]", text):
        assert cleaned == text


@pytest.mark.parametrize("name", ODD)
def test_the_algorithms_of_lesson_03(from_lesson, cutters, real_tokenizers, name):
    (round_trip,) = from_lesson("03", "round_trip", pieces=pieces)
    for vocabulary, own in cutters.items():
        ids = own(ODD[name])
        if name != "special tokens":  # the library finds these before its algorithm begins
            assert ids == [number for _, number in pieces.cut(real_tokenizers[vocabulary], ODD[name])]
        assert isinstance(round_trip(real_tokenizers[vocabulary], ODD[name]), str)


@pytest.fixture(scope="module")
def blank(request):
    """Lesson 01's widget with its own function and mini-bert."""
    take = request.getfixturevalue("take_from_lesson")
    fill = pipeline("fill-mask", model=str(assets.small_model("mini-bert")), device="cpu", dtype="float32")
    (five_best,) = take("01", "five_best", strongest=fill, blanks=blanks)
    return widgets.fill_the_blank(five_best, "[MASK]", "A good film.")


@pytest.mark.parametrize("name", ODD)
def test_fill_the_blank_with_odd_text(blank, name):
    text, words, picture = blank.children
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font has not
        text.value = ODD[name]
    shown(picture.value)
    assert len(words.options) <= widgets.MOST_WORDS


@pytest.fixture(scope="module")
def writer(request):
    """Lesson 01's playground with its own function and mini-gpt."""
    take = request.getfixturevalue("take_from_lesson")
    write = pipeline("text-generation", model=str(assets.small_model("mini-gpt")), device="cpu", dtype="float32")
    (continue_text,) = take("01", "continue_text", write=write, set_seed=set_seed)
    return widgets.generation_playground(continue_text, "A film", "A film")


@pytest.mark.parametrize("name", ODD)
def test_the_generation_playground_with_odd_text(writer, name):
    prompt, temperature, _, _, button, answer = writer.children
    temperature.value = 0.8
    prompt.value = ODD[name]
    button.click()
    shown(answer.value)
    assert button.description == "Write"


def test_the_splits_take_odd_text():
    texts = [f"{text} {number}" for number, text in enumerate([*ODD.values(), "A plain review."] * 2)]
    found = splits.film_split(texts, np.array([0, 1] * (len(texts) // 2)))
    assert set(found) == set(splits.SPLIT_SHARES)


@pytest.mark.parametrize("name", ODD)
def test_the_functions_of_lesson_01_that_take_a_text(from_lesson, name):
    repeated, both_ends = from_lesson("01", "repeated", "both_ends")
    assert 0 <= repeated(ODD[name]) <= 100
    assert len(both_ends(ODD[name]).split()) <= 100
