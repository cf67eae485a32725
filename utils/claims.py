"""Claims of the lessons: words, measured numbers, and a verdict that a rule computes from them.

A lesson records a claim and shows it as a card. Each is kept as a file in the student's cache, so that lesson 06 can
show the ledger of what was measured on this machine; the card in the executed notebook carries the same as JSON.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from utils.files import cache_folder, chosen_path, write_atomically
from utils.intervals import Number
from utils.notebooks import of_course
from utils.palette import GREEN, GREY, ORANGE, RED

CLAIMS_VARIABLE = "COURSE_CLAIMS"
MIME = "application/vnd.transfer-learning-nlp.claim+json"
HOLDS, DEPENDS, FAILS, OPEN = "holds", "depends", "does not hold", "not settled here"
SIGNS = {HOLDS: "✓", DEPENDS: "◐", FAILS: "✗", OPEN: "?"}
COLORS = {HOLDS: GREEN, DEPENDS: ORANGE, FAILS: RED, OPEN: GREY}


@dataclass(frozen=True)
class Origin:
    """Where a claim's numbers come from; with neither kind of runs, they were published by others.

    Attributes:
        yours: runs, or measurements, of this machine.
        beforehand: runs that came with the course.
        seeds: of the runs.
    """

    yours: int = 0
    beforehand: int = 0
    seeds: int = 1

    def __str__(self) -> str:
        if not self.yours and not self.beforehand:
            return "published by others"
        seeds = f", {self.seeds} seeds" if self.seeds > 1 else ""
        if not self.beforehand:
            return f"measured on this machine{seeds}"
        if not self.yours:
            return f"came with the course: {_runs(self.beforehand)}{seeds}"
        both = _runs(self.yours + self.beforehand)
        return f"{self.yours} of {both} from this machine, the others came with the course{seeds}"


MEASURED_HERE = Origin(yours=1)
PUBLISHED = Origin()


@dataclass(frozen=True)
class Claim:
    """One sentence and what was measured about it.

    Attributes:
        id: lesson and number, for example "01.3".
        words: the sentence.
        tests: what must be so for the sentence to hold, by its words: one test, or one for each part of a sentence that
            has parts. None where the numbers cannot tell.
        number: the number that decides, by its name.
        origin: of the numbers.
        model: name and size; empty where no model takes part.
        source: where the sentence, or its correction, comes from; how it was measured.
        profile: the profile under which it was measured.
        on: on what it depends, where the parts may differ; half a line.
        context: further numbers, which decide nothing.
    """

    id: str
    words: str
    tests: dict[str, bool | None]
    number: dict[str, Number]
    origin: Origin
    model: str
    source: str
    profile: str
    on: str = ""
    context: dict[str, Number] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Holds if all parts do; depends if some do and some do not; does not hold if one does not and none does.

        So a part that fails is hidden neither by one that cannot be decided nor by one that holds.
        """
        met = set(self.tests.values())
        if met == {True}:
            return HOLDS
        if False in met:
            return DEPENDS if True in met else FAILS
        return OPEN

    @property
    def why(self) -> str:
        """For a claim that depends: on what, and which parts hold. For one that does not hold: which part is open."""
        met = set(self.tests.values())
        if self.verdict != DEPENDS and not {False, None} <= met:
            return ""
        signs = {True: "yes", False: "no", None: "open"}
        parts = {sign: ", ".join(name for name in self.tests if self.tests[name] is met) for met, sign in signs.items()}
        listed = f"({'; '.join(f'{sign}: {names}' for sign, names in parts.items() if names)})"
        return f"on {self.on} {listed}" if self.verdict == DEPENDS else listed


def with_size(name: str, model) -> str:
    """A model's name and how many weights it has, for a card.

    Args:
        name: of the model, or its folder.
        model: a `transformers.PreTrainedModel`, or another `torch.nn.Module`.
    """
    millions = sum(values.numel() for values in model.parameters()) / 1e6
    return f"{Path(name).name}, {millions:.{1 if millions < 10 else 0}f} million weights"


def record(
    claim_id: str, words: str, *, tests: dict[str, bool | None], number: dict[str, Number | float], origin: Origin,
    model: str, source: str, profile: str, on: str = "", context: dict[str, Number | float] | None = None,
) -> None:  # fmt: skip
    """Show a claim as a card and keep it for the ledger; an earlier record of the same id and profile is replaced.

    Args:
        claim_id: see `Claim.id`.
        words, tests, origin, model, source, profile, on: see `Claim`.
        number, context: as in `Claim`; a plain number counts as exact.

    Raises:
        ValueError: an id of another form, no test, not one deciding number, or parts without `on`.
    """
    from IPython.display import display

    if not re.fullmatch(r"\d\d\.\d+", claim_id) or not tests or len(number) != 1:
        raise ValueError(
            f"Expected an id like '01.3', a test and one number that decides, got {claim_id!r}, {tests} and {number}."
        )
    if len(tests) > 1 and not on:
        raise ValueError(f"Claim {claim_id} has {len(tests)} parts; say in `on` on what it depends if they differ.")
    claim = Claim(
        claim_id, words, {name: met if met is None else bool(met) for name, met in tests.items()},
        _as_numbers(number), origin, model, source, profile, on, _as_numbers(context or {}),
    )  # fmt: skip
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
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # not one of ours, or of another release of the course
    return in_order(claims)


def ledger_folder(profile: str) -> Path:
    """Where the records of a profile are kept: in the cache, or in the folder that COURSE_CLAIMS names."""
    return (chosen_path(CLAIMS_VARIABLE) or cache_folder() / "claims") / profile


def in_notebooks(folder: Path) -> list[Claim]:
    """The claims whose cards stand in the executed notebooks of a folder and its `deeper`, in order."""
    notebooks = [*of_course(folder).values(), *of_course(folder / "deeper").values()]
    return in_order([claim for notebook in notebooks for claim in in_notebook(notebook)])


def of_lessons(recorded: list[Claim], folder: Path) -> list[Claim]:
    """Those whose cards stand in the executed lessons of a folder, not in a deeper notebook only.

    All of them if no lesson there shows a card: its outputs were cleared.
    """
    ids = {claim.id for notebook in of_course(folder).values() for claim in in_notebook(notebook)}
    return [claim for claim in recorded if not ids or claim.id in ids]


def in_notebook(notebook: dict) -> list[Claim]:
    """The claims whose cards stand in an executed notebook, in the order of its cells."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    cards = (output.get("data", {}).get(MIME) for output in outputs)
    return [from_json(card) for card in cards if card]


def in_order(claims: list[Claim]) -> list[Claim]:
    """Sorted by lesson and number."""
    return sorted(claims, key=lambda claim: [int(part) for part in claim.id.split(".")])


def as_json(claim: Claim) -> dict:
    """The claim with its verdict, as plain values; lists of pairs where the order counts, which a notebook sorts."""
    fields = asdict(claim)
    ordered = {name: [list(pair) for pair in fields[name].items()] for name in ("tests", "number", "context")}
    return fields | ordered | {"verdict": claim.verdict}


def from_json(content: dict) -> Claim:
    """The claim that `as_json` gave; its verdict is computed again."""
    fields = {name: value for name, value in content.items() if name != "verdict"}
    for name in ("number", "context"):
        fields[name] = {key: Number(**number) for key, number in dict(content[name]).items()}
    return Claim(**fields | {"tests": dict(content["tests"]), "origin": Origin(**content["origin"])})


def as_text(claim: Claim) -> str:
    """The card for a terminal, a diff and a screen reader."""
    ((name, number),) = claim.number.items()
    lines = [
        f"Claim {claim.id}: “{claim.words}”",
        f"{verdict_line(claim)}",
        f"  {name}: {number}",
        f"  {_about(claim)}",
    ]
    lines += [f"  {_SAID[met]}: {test}" for test, met in claim.tests.items()]
    lines += [f"  also: {name}: {number}" for name, number in claim.context.items()]
    return "\n".join([*lines, f"  {claim.source}"])


def as_html(claim: Claim) -> str:
    """The card for a page; it takes the page's own colours of text and ground, light or dark."""
    ((name, number),) = claim.number.items()
    return (
        f'<div style="border-left: 5px solid {COLORS[claim.verdict]}; padding: 0.2em 1em; margin: 0.5em 0">'
        f"<p>“{html.escape(claim.words)}”<br><strong>{html.escape(verdict_line(claim))}</strong></p>"
        f"<p>{html.escape(name)}: <strong>{html.escape(str(number))}</strong><br>"
        f"<small>{html.escape(_about(claim))}</small></p>{_folded(claim)}</div>"
    )


def verdict_line(claim: Claim) -> str:
    """The sign and the verdict, and what `Claim.why` says."""
    return f"{SIGNS[claim.verdict]} {claim.verdict} {claim.why}".rstrip()


def table(claims: list[Claim]) -> dict[str, str]:
    """The claims as a table, for `IPython.display.display(…, raw=True)`: a page, and plain text."""
    lines = [f"{claim.id:<6}{SIGNS[claim.verdict]} {claim.verdict:<17}{claim.words}" for claim in claims]
    rows = []
    for claim in claims:
        ((name, number),) = claim.number.items()
        rows.append(
            f'<tr><td style="vertical-align: top">{claim.id}</td>'
            f'<td style="text-align: left">{html.escape(claim.words)}{_folded(claim)}</td>'
            f'<td style="text-align: left; vertical-align: top; border-left: 5px solid {COLORS[claim.verdict]}">'
            f"{html.escape(verdict_line(claim))}</td>"
            f'<td style="text-align: left; vertical-align: top">{html.escape(f"{name}: {number}")}</td></tr>'
        )
    heads = ("", "sentence", "verdict", "the number")
    head = "".join(f'<th scope="col" style="text-align: left">{title}</th>' for title in heads)
    page = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return {"text/html": page, "text/plain": "\n".join(lines)}


def show_ledger(recorded: list[Claim], folder: Path, profile: str) -> None:
    """Display the claims of a folder's lessons as one table, and under it, folded, those of its deeper notebooks.

    Says of each lesson that has cards, but none here, that it has not been run.

    Args:
        recorded: what `ledger` gave.
        folder: of the lessons.
        profile: under which they are looked for.
    """
    from IPython.display import display

    asked = of_lessons(recorded, folder)
    deeper = [claim for claim in recorded if claim not in asked]
    for path, notebook in of_course(folder).items():
        lines = [line for cell in notebook["cells"] for line in "".join(cell["source"]).splitlines()]
        has_cards = any(line.startswith(("claims.record(", "cards.")) for line in lines)
        if has_cards and not any(claim.id[:2] == path.name[:2] for claim in recorded):
            print(f"Not run on this machine under `{profile}` yet: {notebook['metadata']['course']['title']}")
    if asked:
        print(tally(asked))
        display(table(asked), raw=True)
    if deeper:
        display(folded_table(deeper), raw=True)


def tally(claims: list[Claim]) -> str:
    """How many of the claims have which verdict, in words."""
    verdicts = [claim.verdict for claim in claims]
    return " · ".join(f"{sign} {verdict}: {verdicts.count(verdict)}" for verdict, sign in SIGNS.items())


def score(asked: list[Claim], doubted: set[str]) -> str:
    """How many verdicts a reader guessed who doubts some claims, beside what two simple guesses get.

    Args:
        asked: the claims.
        doubted: ids of those whose verdict is not "holds", as the reader thinks; empty before a guess.
    """
    if not doubted:
        return "Write numbers into `doubted`, then run this cell again."
    holds = {claim.id: claim.verdict == HOLDS for claim in asked}
    missed = [id for id, truth in holds.items() if (id not in doubted) != truth]
    unknown = sorted(map(str, doubted - holds.keys()))
    lines = [
        f"you guessed {len(holds) - len(missed)} of {len(holds)} right",
        f"believing all gets {sum(holds.values())}, doubting all {len(holds) - sum(holds.values())}",
        f"look again at: {', '.join(missed) or 'none'}",
    ]
    return "\n".join([*lines, f"no such sentence: {', '.join(unknown)}"] if unknown else lines)


def folded_table(claims: list[Claim]) -> dict[str, str]:
    """The claims of deeper notebooks as a table that opens on a click."""
    page, text = table(claims).values()
    line = f"{len(claims)} more sentences, from the deeper notebooks"
    return {"text/html": f"<details><summary>{line}</summary>{page}</details>", "text/plain": f"{line}\n{text}"}


def _folded(claim: Claim) -> str:
    tests = "".join(f"<li>{_SAID[met]}: {html.escape(test)}</li>" for test, met in claim.tests.items())
    numbers = "".join(f"<li>{html.escape(f'{name}: {number}')}</li>" for name, number in claim.context.items())
    return (
        f"<details><summary>test, numbers and source</summary><ul>{tests}</ul><ul>{numbers}</ul>"
        f"<p><small>Claim {claim.id} · {html.escape(_about(claim))} · {html.escape(claim.source)}</small></p></details>"
    )


def _about(claim: Claim) -> str:
    return " · ".join(filter(None, (claim.model, str(claim.origin))))


def _as_numbers(values: dict[str, Number | float]) -> dict[str, Number]:
    return {name: value if isinstance(value, Number) else Number(value) for name, value in values.items()}


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


_SAID = {True: "met", False: "not met", None: "cannot tell"}
