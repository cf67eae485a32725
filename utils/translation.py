"""Translation that a small model can learn: dates, times, numbers and units, from the CLDR data that Babel carries.

English to German, French and Romanian, T5's own three pairs. Every item belongs to one split, told by a hash of its
English text, so that what is evaluated was never trained on, in no language.
"""

from __future__ import annotations

import datetime
import hashlib
import random
from collections.abc import Callable, Iterator

LANGUAGES = {"de": "German", "fr": "French", "ro": "Romanian"}
UNITS = (
    "length-kilometer", "length-meter", "length-centimeter", "mass-kilogram", "mass-gram", "volume-liter",
    "duration-second", "duration-minute", "duration-hour", "duration-day", "duration-week", "duration-month",
    "duration-year", "temperature-celsius", "speed-kilometer-per-hour",
)  # fmt: skip
PLAIN_SPACES = {0x202F: " ", 0xA0: " "}  # CLDR's no-break spaces; nobody types them
HELD_OUT_IN = 20  # one item in twenty is for validation, one for test


def prefix(language: str) -> str:
    """T5's own task prefix for a language code, for example "translate English to German: "."""
    return f"translate English to {LANGUAGES[language]}: "


def pairs(split: str, language: str, seed: int) -> Iterator[tuple[str, str]]:
    """An endless, seeded stream of (English, translation) of one split.

    Args:
        split: "train", "validation" or "test".
        language: "de", "fr" or "ro".
        seed: of the items' order and content.
    """
    rng = random.Random(f"{seed} {language}")
    while True:
        write = rng.choice(KINDS)(rng)
        english, translation = (write(locale).translate(PLAIN_SPACES) for locale in ("en", language))
        if split_of(english) == split:
            yield english, translation


def split_of(english: str) -> str:
    """The split that an item belongs to, in every language."""
    number = int.from_bytes(hashlib.sha256(english.encode()).digest()[:4], "big") % HELD_OUT_IN
    return {0: "validation", 1: "test"}.get(number, "train")


def _date(rng: random.Random) -> Callable[[str], str]:
    from babel.dates import format_date, format_skeleton

    day = datetime.date(1900, 1, 1) + datetime.timedelta(days=rng.randrange(73_000))
    width = rng.choice(("medium", "long", "full", None))
    if width == "medium" and day.month == 5:
        width = "long"  # "May 2, 2059" is both in English, and German writes them differently
    if width is None:
        return lambda locale: format_skeleton("MMMMd", day, locale=locale)
    return lambda locale: format_date(day, width, locale)


def _time(rng: random.Random) -> Callable[[str], str]:
    from babel.dates import format_time

    moment = datetime.time(rng.randrange(24), rng.randrange(60))
    return lambda locale: format_time(moment, "short", locale=locale)


def _number(rng: random.Random) -> Callable[[str], str]:
    from babel.numbers import format_compact_decimal, format_decimal

    if rng.random() < 0.4:
        # From 2 and whole: Babel takes the plural from the number before it is rounded.
        thousands = rng.randrange(2, 1000) * rng.choice((1_000, 1_000_000))
        return lambda locale: format_compact_decimal(thousands, format_type="long", locale=locale)
    whole = rng.randrange(10 ** rng.randrange(1, 8))
    number = whole / 100 if rng.random() < 0.5 else whole
    return lambda locale: format_decimal(number, locale=locale)


def _unit(rng: random.Random) -> Callable[[str], str]:
    from babel.units import format_unit

    unit = rng.choice(UNITS)
    value = rng.choice((1, rng.randrange(2, 10), rng.randrange(10, 1000), rng.randrange(11, 999) / 10))
    return lambda locale: format_unit(value, unit, length="long", locale=locale)


KINDS = (_date, _time, _number, _unit)
