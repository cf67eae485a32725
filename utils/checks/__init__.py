"""Exercises that answer back: `check("01.4", keep_top_p)` says right, or what is off with a hint that leads on.

A check tests behaviour. It calls the student's function on data drawn for the purpose, or compares a prediction with
what it measures itself. This is the engine; the checks of a lesson stand beside its exercises, in its own `checks.py`,
and are registered when that is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from utils import progress
from utils.checks.answers import Function, Hint, as_answer, is_blank, kind
from utils.errors import CourseError

TRIES = 3  # wrong tries that unlock the stronger hint


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


def exercise(
    exercise_id: str, title: str, expects: str, stronger: str, why: str, function: bool = True
) -> Callable[[Callable], Callable]:
    """Register a check under its exercise's id; for the arguments see `Exercise`."""

    def register(test: Callable) -> Callable:
        known = _exercises.get(exercise_id)
        if known is not None and known.test.__code__ != test.__code__:
            raise ValueError(f"There are two exercises {exercise_id}.")
        _exercises[exercise_id] = Exercise(exercise_id, title, expects, function, stronger, why, test)
        return test

    return register


def exercises(lesson: str = "") -> list[Exercise]:
    """The registered exercises of a lesson, for example "01", or of all, in order."""
    return [_exercises[exercise_id] for exercise_id in sorted(_exercises) if exercise_id.startswith(lesson)]


def find(exercise_id: str) -> Exercise:
    """The registered exercise of an id.

    Raises:
        CourseError: there is none.
    """
    try:
        return _exercises[exercise_id]
    except (KeyError, TypeError):
        raise CourseError(
            f"There is no exercise {exercise_id!r} here. An id has the lesson and a number, for example '01.4', and a "
            "notebook checks the exercises of its own lesson."
        ) from None


def judge(exercise_id: str, answer, seed: int = 0) -> Verdict:
    """Judge an answer, a plain value or a function; never raises for a wrong one.

    Args:
        exercise_id: for example "01.4".
        answer: what the student made, or a `Function` that calls it.
        seed: draws the data on which it is tried.

    Raises:
        CourseError: there is no such exercise.
    """
    exercise = find(exercise_id)
    if is_blank(answer):
        return Verdict(None, "not tried yet. Write between the two marks, run that cell, then this one.")
    try:
        given = answer if isinstance(answer, Function) else as_answer(answer)
        if isinstance(given, Function) != exercise.function:
            raise Hint(f"Expected {exercise.expects}, got {kind(given)}.")
        exercise.test(given, np.random.default_rng([seed, *exercise_id.encode()]))
    except Hint as hint:
        return Verdict(False, str(hint))
    except Exception:  # an answer of a form that the check did not foresee
        return Verdict(False, f"Expected {exercise.expects}; what you have is something else.")
    return Verdict(True, exercise.why)


def check(exercise_id: str, answer) -> None:
    """Print whether an answer is right, or a hint; note it in the student's progress."""
    verdict = judge(exercise_id, answer)
    if verdict.right is None:
        print(f"{exercise_id}: {verdict.message}")
        return
    tries = progress.note(exercise_id, verdict.right, answer)
    if verdict.right:
        print(f"{exercise_id} ✓ Right. {verdict.message}")
        return
    print(f"{exercise_id} ✗ Not yet. {verdict.message}")
    if tries >= TRIES:
        print(f"A stronger hint: {find(exercise_id).stronger}")
