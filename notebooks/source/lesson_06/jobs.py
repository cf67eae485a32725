"""Which family and which training for which job: a table with what was measured near each row."""

from __future__ import annotations

from utils.claims import Claim

ACCURACY = "accuracy that it loses to training all weights, shared seeds"
SHOWN = {"04.4": ACCURACY, "01.7": "translations right to the letter"}  # a further number of it, nearer to the row
JOBS = (  # job, what to try first, what then, the claims nearby
    (
        "tell texts apart (classify), tens of labels",
        "counting words; a base-size sentence encoder, frozen",
        "fine-tune it, several epochs",
        ("04.5",),
    ),
    (
        "tell texts apart, hundreds or more",
        "counting words; a base-size sentence encoder, frozen",
        "fine-tune it; LoRA",
        ("02.2", "04.1"),
    ),
    (
        "tell texts apart, one encoder for many tasks",
        "frozen vectors, one head a task",
        "one encoder, LoRA for each task",
        ("04.4",),
    ),
    ("fill a gap", "encoder (BERT's family)", "encoder–decoder", ("01.4",)),
    ("label each word", "encoder (BERT's family)", "a larger encoder", ()),
    ("search by meaning", "sentence encoder", "a larger one", ()),
    ("continue a text, answer, chat", "decoder (GPT's family)", "encoder–decoder", ("01.5",)),
    ("one text into another, small model", "encoder–decoder (T5's family)", "large decoder, a prompt", ("01.7",)),
    ("tell texts apart, no label at all", "large decoder, a prompt", "label fifty texts yourself", ()),
)


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
    name = SHOWN.get(claim.id, next(iter(claim.number)))
    return f"{claim.id}: {name}: {numbers[name]}"
