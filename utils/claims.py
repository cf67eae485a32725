"""Claims of the lessons: words, measured numbers, and a verdict that a rule computes from them.

A lesson records a claim and shows it as a card. Each is kept as a file in the student's cache, so that lesson 06 can
show the ledger of what was measured on this machine; the card in the executed notebook carries the same as JSON.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from utils.files import cache_folder, chosen_path, write_atomically
from utils.intervals import Number
from utils.notebooks import of_course
from utils.palette import GREEN, GREY, ORANGE, RED

CLAIMS_VARIABLE = "COURSE_CLAIMS"
MIME = "application/vnd.transfer-learning-nlp.claim+json"
HOLDS, IN_PART, FAILS, OPEN = "holds", "holds in part", "does not hold", "not settled here"
SIGNS = {HOLDS: "✓", IN_PART: "◐", FAILS: "✗", OPEN: "?"}
COLORS = {HOLDS: GREEN, IN_PART: ORANGE, FAILS: RED, OPEN: GREY}


@dataclass(frozen=True)
class Claim:
    """One sentence and what was measured about it.

    Attributes:
        id: lesson and number, for example "01.3".
        words: the sentence.
        numbers: what was measured, by name.
        tests: what must be so for the sentence to hold; None where the numbers cannot tell.
        source: where the sentence, or its correction, comes from.
        profile: the profile under which it was measured.
    """

    id: str
    words: str
    numbers: dict[str, Number]
    tests: dict[str, bool | None]
    source: str
    profile: str

    @property
    def verdict(self) -> str:
        """Holds if every test is met, does not if none is, in part if some are; open if the numbers cannot tell."""
        met = list(self.tests.values())
        if all(met):
            return HOLDS
        if any(met):
            return IN_PART
        return OPEN if None in met else FAILS


def record(
    claim_id: str,
    words: str,
    numbers: dict[str, Number | float],
    tests: dict[str, bool | None],
    source: str,
    profile: str,
) -> None:
    """Show a claim as a card and keep it for the ledger; an earlier record of the same id and profile is replaced.

    Args:
        claim_id: see `Claim.id`.
        words, tests, source, profile: see `Claim`.
        numbers: as in `Claim`; a plain number counts as exact.

    Raises:
        ValueError: an id of another form, or no test.
    """
    from IPython.display import display

    if not re.fullmatch(r"\d\d\.\d+", claim_id) or not tests:
        raise ValueError(f"Expected an id like '01.3' and at least one test, got {claim_id!r} and {tests}.")
    numbers = {name: value if isinstance(value, Number) else Number(value) for name, value in numbers.items()}
    tests = {name: met if met is None else bool(met) for name, met in tests.items()}
    claim = Claim(claim_id, words, numbers, tests, source, profile)
    content = as_json(claim)
    path = ledger_folder(profile) / f"{claim_id}.json"
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    display({"text/html": as_html(claim), "text/plain": as_text(claim), MIME: content}, raw=True)


def ledger(profile: str) -> list[Claim]:
    """The claims recorded on this machine under a profile, in the order of their ids."""
    claims = []
    for path in ledger_folder(profile).glob("*.json"):
        try:
            claims.append(from_json(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError, KeyError):
            continue  # not one of ours, or of another release of the course
    return in_order(claims)


def ledger_folder(profile: str) -> Path:
    """Where the records of a profile are kept: in the cache, or in the folder that COURSE_CLAIMS names."""
    return (chosen_path(CLAIMS_VARIABLE) or cache_folder() / "claims") / profile


def in_notebooks(folder: Path) -> list[Claim]:
    """The claims whose cards stand in the executed notebooks of a folder and its `deeper`, in order."""
    notebooks = [*of_course(folder).values(), *of_course(folder / "deeper").values()]
    return in_order([claim for notebook in notebooks for claim in in_notebook(notebook)])


def in_notebook(notebook: dict) -> list[Claim]:
    """The claims whose cards stand in an executed notebook, in the order of its cells."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    cards = (output.get("data", {}).get(MIME) for output in outputs)
    return [from_json(card) for card in cards if card]


def in_order(claims: list[Claim]) -> list[Claim]:
    """Sorted by lesson and number."""
    return sorted(claims, key=lambda claim: [int(part) for part in claim.id.split(".")])


def as_json(claim: Claim) -> dict:
    """The claim with its verdict, as plain values."""
    return asdict(claim) | {"verdict": claim.verdict}


def from_json(content: dict) -> Claim:
    """The claim that `as_json` gave; its verdict is computed again."""
    fields = {name: value for name, value in content.items() if name not in ("verdict", "numbers")}
    numbers = {name: Number(**number) for name, number in content["numbers"].items()}
    return Claim(numbers=numbers, **fields)


def as_text(claim: Claim) -> str:
    """The card for a terminal, a diff and a screen reader."""
    lines = [f"Claim {claim.id}: “{claim.words}”", f"{SIGNS[claim.verdict]} {claim.verdict}"]
    lines += [f"  {name}: {number}" for name, number in claim.numbers.items()]
    lines += [f"  {_SAID[met]}: {name}" for name, met in claim.tests.items()]
    return "\n".join([*lines, f"  {claim.source}"])


def as_html(claim: Claim) -> str:
    """The card for a page; it takes the page's own colours of text and ground, light or dark."""
    numbers = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(number))}</td></tr>"
        for name, number in claim.numbers.items()
    )
    tests = "".join(f"<li>{_SAID[met]}: {html.escape(name)}</li>" for name, met in claim.tests.items())
    return (
        f'<div style="border-left: 5px solid {COLORS[claim.verdict]}; padding: 0.2em 1em; margin: 0.5em 0">'
        f"<p><strong>{SIGNS[claim.verdict]} {claim.verdict}</strong> · claim {claim.id}: "
        f"“{html.escape(claim.words)}”</p>"
        f"<table>{numbers}</table><ul>{tests}</ul><p><small>{html.escape(claim.source)}</small></p></div>"
    )


def table(claims: list[Claim]) -> dict[str, str]:
    """The claims as a table, for `IPython.display.display(…, raw=True)`: a page, and plain text."""
    lines = [f"{claim.id:<6}{SIGNS[claim.verdict]} {claim.verdict:<17}{claim.words}" for claim in claims]
    rows = []
    for claim in claims:
        numbers = "".join(f"<li>{html.escape(name)}: {number}</li>" for name, number in claim.numbers.items())
        rows.append(
            f'<tr><td style="vertical-align: top">{claim.id}</td>'
            f'<td style="text-align: left">{html.escape(claim.words)}<details><summary>numbers and source</summary>'
            f"<ul>{numbers}</ul><small>{html.escape(claim.source)}</small></details></td>"
            f'<td style="text-align: left; vertical-align: top; border-left: 5px solid {COLORS[claim.verdict]}">'
            f"{SIGNS[claim.verdict]} {claim.verdict}</td></tr>"
        )
    heads = "".join(f'<th scope="col" style="text-align: left">{head}</th>' for head in ("", "sentence", "verdict"))
    page = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return {"text/html": page, "text/plain": "\n".join(lines)}


_SAID = {True: "met", False: "not met", None: "cannot tell"}
