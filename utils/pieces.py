"""Pieces of a text with their ids: cut by one tokenizer, read with another's table, shown in colours and in words."""

from __future__ import annotations

import html

from utils.palette import BLACK, LIGHT, RED

LONG = 20  # letters of a piece that may be broken at the end of a line
SHOWN = 300  # pieces of a text; a page with thousands of coloured boxes is slow and nobody reads it
NO_ROW = "(no row)"  # how an id beyond the table is written: there is nothing to look up

Piece = tuple[str | None, int]  # no token: an id beyond the table


def clean(text: str) -> str:
    """The text with lone surrogates, which are no characters and which tokenizers refuse, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut(tokenizer, text: str) -> list[Piece]:
    """What a tokenizer makes of a text, without special tokens: (token, id) pairs, in order."""
    ids = tokenizer(clean(text), add_special_tokens=False, verbose=False)["input_ids"]
    return list(zip(tokenizer.convert_ids_to_tokens(ids), ids, strict=True))


def heard(ids: list[int], tokenizer) -> list[Piece]:
    """What the ids stand for in a tokenizer's table: (token, id) pairs; None for an id beyond the table."""
    rows = len(tokenizer)
    return [(tokenizer.convert_ids_to_tokens(number) if number < rows else None, number) for number in ids]


def show(rows: dict[str, list[Piece]]) -> None:
    """Display rows of pieces: coloured boxes with their ids on a page, the same in words where there is no page.

    Args:
        rows: name -> (token, id) pairs.
    """
    from IPython.display import display

    display({"text/html": as_html(rows), "text/plain": as_text(rows)}, raw=True)


def as_html(rows: dict[str, list[Piece]]) -> str:
    """The rows as HTML; an id stands below its token and in the box's tooltip."""
    lines = []
    for name, pieces in rows.items():
        boxes = " ".join(_box(token, number, place) for place, (token, number) in enumerate(pieces[:SHOWN]))
        lines.append(
            f'<p style="margin: 0.8em 0 0.2em"><strong>{html.escape(_head(name, pieces))}</strong></p>'
            f'<div style="line-height: 2.1; overflow-wrap: anywhere">{boxes}</div>'
        )
    return "".join(lines)


def as_text(rows: dict[str, list[Piece]]) -> str:
    """The rows in words, for a terminal, a diff and a screen reader."""
    return "\n".join(
        f"{_head(name, pieces)}\n  "
        + " ".join(f"{NO_ROW if token is None else token}[{number}]" for token, number in pieces[:SHOWN])
        for name, pieces in rows.items()
    )


def _head(name: str, pieces: list[Piece]) -> str:
    left_out = f", the first {SHOWN} shown" if len(pieces) > SHOWN else ""
    return f"{name}: {len(pieces):,} pieces{left_out}"


def _box(token: str | None, number: int, place: int) -> str:
    # <bdi>: a right-to-left token keeps its id behind it, and its neighbours their places.
    color = f"#FFFFFF; outline: 1px dashed {RED}" if token is None else LIGHT[place % len(LIGHT)]
    wrap = "" if len(token or "") > LONG else "white-space: nowrap; "  # a piece and its id stay together
    return (
        f'<span title="id {number}" style="{wrap}background: {color}; color: {BLACK}; border-radius: 3px; '
        f'padding: 0.1em 0.25em"><bdi>{html.escape(NO_ROW if token is None else token)}</bdi><sub>{number}</sub></span>'
    )
