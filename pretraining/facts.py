"""Twenty facts that stand in the Wikipedia introductions of the training text, as sentences with a blank.

Written for this course before the models that learned from these introductions. The words are ours: the text says the
same in others, for example "Paris is the capital and largest city of France". Each blank has an answer that is one
token in mini-bert's vocabulary; one sentence that had none was exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A sentence with [MASK], the words that are right there, and the title of the introduction that says so."""

    sentence: str
    answers: tuple[str, ...]
    title: str


FACTS = (
    Fact("The capital of France is [MASK].", ("paris",), "Paris"),
    Fact("Berlin is the capital of [MASK].", ("germany",), "Berlin"),
    Fact("The capital of Italy is [MASK].", ("rome",), "Rome"),
    Fact("The capital of England is [MASK].", ("london",), "London"),
    Fact("Tokyo is the capital of [MASK].", ("japan",), "Tokyo"),
    Fact("Moscow is the capital of [MASK].", ("russia",), "Moscow"),
    Fact("Athens is the capital of [MASK].", ("greece",), "Athens"),
    Fact("Cairo is the capital of [MASK].", ("egypt",), "Cairo"),
    Fact("Plato was an ancient [MASK] philosopher.", ("greek",), "Plato"),
    Fact("Ludwig van Beethoven was a German [MASK].", ("composer", "pianist", "conductor"), "Ludwig van Beethoven"),
    Fact("William Shakespeare was an English [MASK].", ("playwright", "poet", "actor"), "William Shakespeare"),
    Fact("Pablo Picasso was a Spanish [MASK].", ("painter", "sculptor"), "Pablo Picasso"),
    Fact("Homer was an ancient Greek [MASK].", ("poet",), "Homer"),
    Fact("Abraham Lincoln was the 16th [MASK] of the United States.", ("president",), "Abraham Lincoln"),
    Fact("Mars is the fourth [MASK] from the Sun.", ("planet",), "Mars"),
    Fact("The Moon orbits around the [MASK].", ("earth",), "Moon"),
    Fact("Iron is a [MASK].", ("metal",), "Iron"),
    Fact("The heart pumps [MASK] through the body.", ("blood",), "Heart"),
    Fact("The largest ocean on Earth is the [MASK] Ocean.", ("pacific",), "Pacific Ocean"),
    Fact("Judaism is the religion of the [MASK] people.", ("jewish",), "Judaism"),
)
