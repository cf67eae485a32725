"""What an instructor reads after grading: a table, a CSV file, a page."""

from __future__ import annotations

import csv
import html
import io

from tools.grade.submission import Grade
from tools.notebooks.files import PAGE_STYLE
from utils.checks import find

COLUMNS = ("file", "lesson", "solved", "exercises", "right", "wrong", "not tried", "remarks")
SIGNS = {True: "✓", False: "✗", None: "·"}


def rows(grades: list[Grade]) -> list[dict[str, str]]:
    """A row for each file, by column."""
    found = []
    for grade in grades:
        by_verdict = {
            verdict: " ".join(id for id, of in grade.verdicts.items() if of is verdict)
            for verdict in (True, False, None)
        }
        found.append(dict(zip(COLUMNS, (
            grade.file, grade.lesson, str(grade.score), str(len(grade.verdicts)), by_verdict[True], by_verdict[False],
            by_verdict[None], "; ".join(grade.remarks),
        ), strict=True)))  # fmt: skip
    return found


def as_csv(grades: list[Grade]) -> bytes:
    """The rows, with the byte-order mark by which spreadsheets know UTF-8.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(grades):
        writer.writerow({name: f"'{value}" if value[:1] in tuple("=+-@\t\r") else value for name, value in row.items()})
    return text.getvalue().encode("utf-8-sig", "replace")


def as_page(grades: list[Grade], seed: int) -> bytes:
    """The page: a table, and for each file what the checks said."""
    lines = []
    for grade in grades:
        verdicts = " ".join(
            f'<span title="{html.escape(find(id).title)}">{id} {SIGNS[of]}</span>' for id, of in grade.verdicts.items()
        )
        said = [f"{id}: {hint}" for id, hint in grade.hints.items()] + grade.remarks
        items = "".join(f"<li>{html.escape(one)}</li>" for one in said)
        details = f"<details><summary>{len(said)} remark(s)</summary><ul>{items}</ul></details>" if said else ""
        lines.append(
            f"<tr><td>{html.escape(grade.file)}</td><td>{grade.lesson}</td>"
            f"<td>{grade.score} of {len(grade.verdicts)}</td><td>{verdicts}</td><td>{details}</td>"
            f"<td>{grade.seconds:.0f}</td></tr>"
        )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("file", "lesson", "solved", "which", "said", "seconds"))
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Grades</title><style>{PAGE_STYLE.read_text(encoding='utf-8')}</style></head><body><h1>Grades</h1>"
        f"<p>{len(grades)} files. ✓ right, ✗ wrong, · not tried. Data seed {seed}.</p>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
        "</body></html>\n"
    )
    return page.encode("utf-8", "replace")


def table(grades: list[Grade]) -> str:
    """File, lesson and score, aligned; the first remark behind them."""
    width = max([len(grade.file) for grade in grades] + [4])
    return "\n".join(
        f"{grade.file:<{width}}  {grade.lesson or '–':<2}  {grade.score} of {len(grade.verdicts)}  "
        f"{grade.remarks[0] if grade.remarks else ''}".rstrip()
        for grade in grades
    )
