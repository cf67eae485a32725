"""Lesson 00's card by numbers that turn it, and its first figure."""

from types import SimpleNamespace

import numpy as np
import pytest

from notebooks.source.lesson_00 import cards
from utils import claims
from utils.claims import DEPENDS, FAILS, HOLDS, OPEN


def hits(right: int) -> np.ndarray:
    """Of 100 images, in three networks."""
    return np.tile(np.arange(100) < right, (3, 1))


CASES = [
    ("00.1", {"matching": hits(90), "one": hits(80), "other": hits(30)}, HOLDS),
    ("00.1", {"matching": hits(90), "one": hits(89), "other": hits(30)}, OPEN),
    ("00.1", {"matching": hits(80), "one": hits(90), "other": hits(30)}, DEPENDS),
    ("00.1", {"matching": hits(30), "one": hits(80), "other": hits(90)}, FAILS),
]


@pytest.mark.parametrize(("id", "right", "verdict"), CASES)
def test_the_verdict_turns_with_what_was_read(monkeypatch, tmp_path, id, right, verdict):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
    cards.must_match(SimpleNamespace(name="test"), right)
    (claim,) = claims.ledger("test")
    assert (claim.id, claim.verdict) == (id, verdict)


def test_the_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert cards_are_turned("00", CASES) == {"00.1"}


def test_the_figure_tells_what_the_network_says(monkeypatch):
    shown = []
    monkeypatch.setattr("utils.plots.show", lambda fig, alt: shown.append((fig, alt)))
    cards.show_digits(
        np.zeros((2, 64)), np.array([3, 5]), {"plain": np.array([3, 4]), "inverted": np.array([7, 8])}, "inverted"
    )
    ((fig, alt),) = shown
    assert alt.endswith("plain: 3, 4; inverted: 7, 8.")
    # The image of zeros is black as it is, and white as a negative.
    assert [ax.images[0].get_array().max() for ax in fig.axes] == [0, 0, 16, 16]
