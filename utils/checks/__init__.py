"""Exercises that answer back: `check("01.4", keep_top_p)` says right, or what is off with a hint that leads on.

A check tests behaviour. It calls the student's function on data drawn for the purpose, or compares a prediction with
what it measures itself. The checks of a lesson stand in a module of their own, `utils/checks/lesson_NN.py`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils import progress
from utils.checks.answers import Function, Hint, as_answer, is_blank, kind
from utils.errors import CourseError

TRIES = 3  # wrong tries that unlock the stronger hint
LESSONS = sorted(path.stem.removeprefix("lesson_") for path in Path(__file__).parent.glob("lesson_*.py"))


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: lesson and number, for example "01.4".
        title: a few words.
        expects: what the answer must be, to follow “Expected”.
        function: is the answer a function?
        stronger: the hint after three wrong tries.
        why: said when the answer is right: what to take from it.
        test: takes the answer and a random generator; raises `Hint` where something is off.
    """

    id: str
    title: str
    expects: str
    function: bool
    stronger: str
    why: str
    test: Callable[[object, np.random.Generator], None]


@dataclass(frozen=True)
class Verdict:
    """What came of an answer: right is None where nothing was tried yet."""

    right: bool | None
    message: str


_exercises: dict[str, Exercise] = {}


def exercise(id: str, title: str, expects: str, stronger: str, why: str, function: bool = True) -> Callable:
    """Register a check under its exercise's id; for the arguments see `Exercise`."""

    def register(test: Callable) -> Callable:
        if id in _exercises and _exercises[id].test.__code__ != test.__code__:
            raise ValueError(f"There are two exercises {id}.")
        _exercises[id] = Exercise(id, title, expects, function, stronger, why, test)
        return test

    return register


def exercises(lesson: str | None = None) -> list[Exercise]:
    """The exercises of a lesson, for example "01", or of all, in order."""
    for number in LESSONS if lesson is None else [lesson]:
        importlib.import_module(f"utils.checks.lesson_{number}")
    return sorted((one for id, one in _exercises.items() if lesson in (None, id[:2])), key=lambda one: one.id)


def find(id: str) -> Exercise:
    """The exercise of an id.

    Raises:
        CourseError: there is none.
    """
    lesson = id[:2] if isinstance(id, str) and re.fullmatch(r"\d\d\.\d", id) else None
    found = [one for one in exercises(lesson) if one.id == id] if lesson in LESSONS else []
    if not found:
        raise CourseError(f"There is no exercise {id!r}. An id has the lesson and a number, for example '01.4'.")
    return found[0]


def judge(id: str, answer, seed: int = 0) -> Verdict:
    """Judge an answer, a plain value or a function; never raises for a wrong one.

    Args:
        id: the exercise's.
        answer: what the student made, or a `Function` that calls it.
        seed: draws the data on which it is tried.

    Raises:
        CourseError: there is no such exercise.
    """
    asked = find(id)
    if is_blank(answer):
        return Verdict(None, "not tried yet. Write between the two marks, run that cell, then this one.")
    try:
        given = answer if isinstance(answer, Function) else as_answer(answer)
        if isinstance(given, Function) != asked.function:
            raise Hint(f"Expected {asked.expects}, got {kind(given)}.")
        asked.test(given, np.random.default_rng([seed, *id.encode()]))
    except Hint as hint:
        return Verdict(False, str(hint))
    except Exception:  # an answer of a form that the check did not foresee
        return Verdict(False, f"Expected {asked.expects}; what you have is something else.")
    return Verdict(True, asked.why)


def check(id: str, answer) -> None:
    """Print whether an answer is right, or a hint; note it in the student's progress."""
    verdict = judge(id, answer)
    if verdict.right is None:
        print(f"{id}: {verdict.message}")
        return
    tries = progress.note(id, verdict.right, answer)
    print(f"{id} ✓ Right. {verdict.message}" if verdict.right else f"{id} ✗ Not yet. {verdict.message}")
    if not verdict.right and tries >= TRIES:
        print(f"A stronger hint: {find(id).stronger}")
