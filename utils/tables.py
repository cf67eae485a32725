"""Labelled texts in a file of one's own: read with one line for each fault, and split without leaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import CourseError

KINDS = (".csv", ".tsv", ".jsonl", ".parquet")
MOST_LABELS, LEAST_ROWS = 100, 20


@dataclass(frozen=True)
class Labelled:
    """Labelled texts.

    Attributes:
        texts: n texts, each once.
        labels: shape (n,), numbers of the labels.
        names: the labels' names, in the order of their numbers.
        groups: shape (n,), what must stay together, for example the film; None if nothing must.
        dropped: rows left out, since their text stood in an earlier row.
    """

    texts: list[str]
    labels: np.ndarray
    names: list[str]
    groups: np.ndarray | None = None
    dropped: int = 0


def read_labelled(path: Path, text: str = "text", label: str = "label", group: str | None = None) -> Labelled:
    """Read a table with a row for each labelled text; of rows with the same text, the first is kept.

    Args:
        path: .csv, .tsv, .jsonl (an object on each line) or .parquet.
        text: column of the texts.
        label: column of the labels: any names or numbers, two or more different ones.
        group: column of what must not stand on both sides of a split, if there is one.

    Raises:
        CourseError: the file cannot be read, a column is missing, a text or label is empty, there is only one label, a
            label has a single row, or there are too few rows.
    """
    table = _read(path)
    for option, column in (("--text", text), ("--label", label), ("--group", group)):
        if column is not None and column not in table.columns:
            there = ", ".join(map(str, table.columns))
            raise CourseError(f"{path} has no column {column!r}; it has: {there}. Name it with {option}.")
    for column in filter(None, (text, label, group)):
        empty = table[column].isna() | (table[column].astype(str).str.strip() == "")
        if empty.any():
            raise CourseError(
                f"{path}: column {column!r} is empty in row {_listed(np.flatnonzero(empty) + 1)} (counted from 1, "
                "without the header). Fill or remove them."
            )
    table = table.assign(**{text: table[text].astype(str)})
    once = ~table[text].str.split().str.join(" ").str.lower().duplicated()
    dropped, table = int((~once).sum()), table[once]
    values = table[label].map(_name)
    counts = values.value_counts()
    if len(table) < LEAST_ROWS:
        raise CourseError(f"{path} has {len(table)} different texts; expected at least {LEAST_ROWS}.")
    if len(counts) > min(MOST_LABELS, len(table) // 2):
        raise CourseError(
            f"{path}: column {label!r} has {len(counts)} different values in {len(table)} rows; is it the label? "
            "Name another with --label."
        )
    if len(counts) == 1:
        raise CourseError(f"{path}: all texts have the label {counts.index[0]!r}; expected two or more labels.")
    if counts.min() == 1:
        raise CourseError(f"{path}: only one text has the label {counts.index[-1]!r}; expected two or more of each.")
    names = sorted(counts.index)
    numbers = values.map({name: number for number, name in enumerate(names)}).to_numpy()
    groups = None if group is None else table[group].astype(str).to_numpy()
    return Labelled(table[text].tolist(), numbers, names, groups, dropped)


def split(rows: Labelled, share: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to learn from and to test on, each label in both; a group stays on one side.

    Args:
        rows: what `read_labelled` gave.
        share: of the rows that are tested, about.
        seed: of the draw.

    Raises:
        CourseError: there are too few groups.
    """
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    every = np.arange(len(rows.texts))
    if rows.groups is None:
        size = max(len(rows.names), round(share * len(every)))
        train, test = train_test_split(every, test_size=size, random_state=seed, stratify=rows.labels)
        return np.sort(train), np.sort(test)
    draws = GroupShuffleSplit(n_splits=100, test_size=share, random_state=seed)
    if len(set(rows.groups)) > 1:
        for train, test in draws.split(every, groups=rows.groups):
            if all(len(set(rows.labels[part])) == len(rows.names) for part in (train, test)):
                return train, test
    raise CourseError(
        f"The groups cannot be split so that each label is on both sides; there are {len(set(rows.groups))} groups and "
        f"{len(rows.names)} labels. Use more groups, or leave out --group."
    )


def _read(path: Path):
    import pandas as pd

    if path.suffix.lower() not in KINDS:
        raise CourseError(f"{path} ends in {path.suffix or 'nothing'!r}; expected one of: {', '.join(KINDS)}.")
    if not path.is_file():
        raise CourseError(f"There is no file {path}.")
    try:
        match path.suffix.lower():
            case ".parquet":
                table = pd.read_parquet(path)
            case ".jsonl":
                table = pd.read_json(path, lines=True, encoding="utf-8-sig", dtype=False, convert_dates=False)
            case suffix:
                options = {"sep": "\t" if suffix == ".tsv" else ",", "dtype": str, "keep_default_na": False}
                table = pd.read_csv(path, encoding="utf-8-sig", **options)
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{path} is not UTF-8 (byte {error.start:,} is {error.object[error.start]:#x}). Save it as UTF-8; in a "
            "spreadsheet: Save as, CSV UTF-8."
        ) from None
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # each format has errors of its own
        raise CourseError(f"{path} cannot be read as {path.suffix[1:]}: {str(error).splitlines()[0]}") from None
    return table


def _name(value) -> str:
    """A label's name: 1.0 is 1, as spreadsheets and missing values make it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _listed(rows: np.ndarray) -> str:
    shown = ", ".join(map(str, rows[:5]))
    return shown + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
