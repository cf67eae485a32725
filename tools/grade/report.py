"""What an instructor reads after grading: one table, as a CSV file, as a page and on the screen."""

from __future__ import annotations

import pandas as pd

from tools.notebooks.files import PAGE_STYLE

COLUMNS = ["file", "lesson", "solved", "exercises", "right", "wrong", "not tried", "remarks", "hints", "seconds"]
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Grades</title>
<style>{style}</style></head><body><h1>Grades</h1><p>{files} files. Data seed {seed}.</p>
<div class="scroll">{table}</div></body></html>
"""


def rows(grades: list[dict]) -> pd.DataFrame:
    """A row for each file."""
    table = []
    for grade in grades:
        verdicts, hints = grade["verdicts"], grade["hints"].items()
        row = {"file": grade["file"], "lesson": grade["lesson"], "exercises": len(verdicts)}
        for column, verdict in {"right": True, "wrong": False, "not tried": None}.items():
            row[column] = " ".join(exercise for exercise in verdicts if verdicts[exercise] is verdict)
        row |= {"solved": len(row["right"].split()), "seconds": round(grade["seconds"])}
        row["remarks"] = "; ".join(grade["remarks"])
        row["hints"] = " ".join(f"{exercise}: {hint}" for exercise, hint in hints if hint)
        table.append(row)
    return pd.DataFrame(table, columns=COLUMNS)


def as_csv(grades: list[dict]) -> bytes:
    """The table with the byte-order mark by which spreadsheets know UTF-8, and with no text that is a formula."""
    table = rows(grades).drop(columns=["hints", "seconds"])
    table = table.map(lambda cell: f"'{cell}" if str(cell).startswith(tuple("=+-@\t\r")) else cell)
    return table.to_csv(index=False).encode("utf-8-sig")


def as_page(grades: list[dict], seed: int) -> bytes:
    """The table with what the checks said."""
    with pd.option_context("display.max_colwidth", None):
        table = rows(grades).to_html(index=False, border=0)
    return PAGE.format(style=PAGE_STYLE.read_text("utf-8"), files=len(grades), seed=seed, table=table).encode()


def as_text(grades: list[dict]) -> str:
    """The table's columns that fit on a screen."""
    table = rows(grades)[["file", "lesson", "solved", "exercises", "remarks"]]
    for column in ("file", "remarks"):
        table[column] = table[column].str.ljust(table[column].str.len().max())
    return table.to_string(index=False, justify="left", max_colwidth=100)
