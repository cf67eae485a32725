"""Which family and which training for which job: a table that says which of the day's sentences speak for each row."""

from __future__ import annotations

from utils.claims import SIGNS, Claim

JOBS = (  # job, what to try first, what then, the claims that speak for it
    (
        "tell texts apart (classify), tens of labels",
        "fine-tune a large sentence encoder, several epochs",
        "the same frozen, linear classifier",
        "04.5",
    ),
    (
        "tell texts apart, hundreds or more",
        "counting words, frozen encoder; then fine-tune",
        "LoRA",
        "01.9 02.2 04.1 04.4",
    ),
    ("tell texts apart, many tasks", "one encoder, LoRA for each task", "frozen vectors, one head a task", "04.4"),
    ("fill a gap", "encoder (BERT's family)", "encoder–decoder", "01.1 01.4"),
    ("label each word; search by meaning", "encoder (BERT's family)", "a larger encoder", ""),
    ("continue a text, answer, chat", "decoder (GPT's family)", "encoder–decoder", "01.5"),
    ("one text into another, small model", "encoder–decoder (T5's family)", "large decoder, a prompt", "01.7"),
    ("tell texts apart, no label at all", "large decoder, a prompt", "label fifty texts yourself", ""),
)


def table(recorded: list[Claim]) -> str:
    """The jobs as a Markdown table; a row names its claims with the verdicts of this machine."""
    verdicts = {claim.id: f"{SIGNS[claim.verdict]} {claim.verdict}" for claim in recorded}
    lines = ["| job | try first | then | what was measured |", "|---|---|---|---|"]
    for job, first, then, ids in JOBS:
        rests = ", ".join(f"{id} ({verdicts.get(id, 'not run yet')})" for id in ids.split()) or "common practice"
        lines.append(f"| {job} | {first} | {then} | {rests} |")
    return "\n".join(lines)
