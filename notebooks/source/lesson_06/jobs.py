"""Which family and which training for which job: a table with what was measured near each row."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from utils.claims import Claim

STORED = "what is stored for a task that it saves"
SHOWN = {  # claim -> a further number of it, nearer to the row, and its name in the table
    "04.4": (STORED, "storage for each task that LoRA saves"),
    "01.7": ("translations right to the letter", "dates and numbers, translated right to the letter"),
}
JOBS = (  # job, what to try first, what then, the claims nearby
    (
        "classify texts, with tens of labels",
        "fine-tune a base encoder",
        "freeze it, if time is short",
        ("04.5",),
    ),
    (
        "classify texts, with hundreds of labels or more",
        "fine-tune a base encoder",
        "LoRA, if memory is short",
        ("02.2",),
    ),
    (
        "many classification tasks, little storage",
        "LoRA for each task",
        "a frozen encoder, a head for each",
        ("04.4",),
    ),
    ("search by meaning", "a sentence encoder", "a larger one", ()),
    ("fill a gap", "an encoder (BERT's family)", "an encoder–decoder", ("01.4",)),
    ("continue a text, answer, chat", "a decoder (GPT's family)", "a larger one", ("01.5",)),
    ("turn one text into another", "an encoder–decoder (T5's family)", "a large decoder", ("01.7",)),
)


def explain(glossary: Path, *terms: str) -> None:
    """Print what the glossary says of each term, without its links."""
    sections = glossary.read_text(encoding="utf-8").split("\n### ")[1:]
    said = dict(section.split("\n", 1) for section in sections)
    for term in terms:
        text = re.sub(r"\AAlso: .*\n\n", "", said[term]).strip()
        plain = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", text)
        print(textwrap.fill(f"{term}: {plain}", width=88), end="\n\n")


def table(recorded: list[Claim]) -> str:
    """The jobs as a Markdown table; a row has the deciding numbers of its claims, as measured on this machine."""
    claims = {claim.id: claim for claim in recorded}
    lines = ["| job | try first | then | what was measured |", "|---|---|---|---|"]
    for job, first, then, ids in JOBS:
        measured = "; ".join(_number(claims[id]) if id in claims else f"{id}: not run yet" for id in ids)
        lines.append(f"| {job} | {first} | {then} | {measured or 'not in this course'} |")
    return "\n".join(lines)


def _number(claim: Claim) -> str:
    numbers = claim.number | claim.context
    name, shown = SHOWN.get(claim.id, (next(iter(claim.number)),) * 2)
    return f"{claim.id}: {shown}: {numbers[name]}"
