"""A file of one's own: what is read of it, each fault in one line, and splits without leaks."""

import json

import numpy as np
import pandas as pd
import pytest

from utils.errors import CourseError
from utils.tables import read_labelled, split


def rows(n=40, labels=("bad", "good")):
    return pd.DataFrame(
        {"text": [f"text {row}" for row in range(n)], "label": [labels[row % len(labels)] for row in range(n)]}
    )


def write(table, path):
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False)
        case ".tsv":
            table.to_csv(path, index=False, sep="\t")
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_dict("records")), encoding="utf-8")
        case ".parquet":
            table.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_each_kind_of_file_gives_the_same(tmp_path, kind):
    found = read_labelled(write(rows(labels=("bad", "good", "so, so")), tmp_path / f"own.{kind}"))
    assert found.texts[:2] == ["text 0", "text 1"]
    assert found.names == ["bad", "good", "so, so"]
    assert found.labels[:4].tolist() == [0, 1, 2, 0]
    assert found.groups is None


@pytest.mark.parametrize("labels", [(0, 1), (0.0, 1.0), (False, True), ("0", "1")])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_numbers_are_names_too(tmp_path, labels, kind):
    found = read_labelled(write(rows(labels=labels), tmp_path / f"own.{kind}"))
    assert found.names in (["0", "1"], ["False", "True"], ["0.0", "1.0"])
    assert found.labels[:3].tolist() == [0, 1, 0]


def test_texts_that_look_like_something_else_stay_texts(tmp_path):
    table = rows()
    table["text"] = [["NA", "1.50", "2020-01-02", "null", "true"][row] if row < 5 else f"t {row}" for row in range(40)]
    for kind in ("csv", "jsonl"):
        assert read_labelled(write(table, tmp_path / f"own.{kind}")).texts[:5] == table["text"][:5].tolist()


def test_other_columns_are_named_and_a_byte_order_mark_is_no_letter(tmp_path):
    path = tmp_path / "own.csv"
    table = rows().rename(columns={"text": "Kommentar", "label": "Urteil"})
    path.write_bytes(b"\xef\xbb\xbf" + table.to_csv(index=False).encode())
    assert read_labelled(path, "Kommentar", "Urteil").names == ["bad", "good"]


def test_the_same_text_twice_is_kept_once(tmp_path):
    table = pd.concat([rows(), pd.DataFrame({"text": ["  TEXT  3 ", "text 3"], "label": ["bad", "good"]})])
    found = read_labelled(write(table, tmp_path / "own.csv"))
    assert (len(found.texts), found.dropped) == (40, 2)


def faulty(**columns):
    return rows().assign(**columns)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rows().drop(columns="label"), "has no column 'label'; it has: text. Name it with --label"),
        (faulty(text=["", " ", *["x"] * 38]), "column 'text' is empty in row 1, 2 "),
        (faulty(label=[*["a", "b"] * 19, None, ""]), "column 'label' is empty in row 39, 40 "),
        (faulty(text=[""] * 40), "in row 1, 2, 3, 4, 5 and 35 more"),
        (faulty(label="a"), "all texts have the label 'a'; expected two or more labels"),
        (faulty(label=["b", *["a"] * 39]), "only one text has the label 'b'"),
        (faulty(label=list(map(str, range(40)))), "has 40 different values in 40 rows; is it the label"),
        (rows(19), "has 19 different texts; expected at least 20"),
        (faulty(text="the same"), "has 1 different texts"),
    ],
)
def test_each_fault_gets_one_line(tmp_path, table, said):
    with pytest.raises(CourseError) as caught:
        read_labelled(write(table, tmp_path / "own.csv"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("own.xlsx", b"", "ends in '.xlsx'; expected one of: .csv, .tsv, .jsonl, .parquet"),
        ("own", b"", "ends in 'nothing'"),
        ("own.csv", b"text,label\nsch\xf6n,1\n", "is not UTF-8 (byte 14 is 0xf6). Save it as UTF-8"),
        ("own.csv", b"", "cannot be read as csv: No columns"),
        ("own.csv", b'text,label\n"open,1\n', "cannot be read as csv"),
        ("own.jsonl", b'{"text": "a"', "cannot be read as jsonl"),
        ("own.parquet", b"no parquet", "cannot be read as parquet"),
    ],
)
def test_a_file_that_cannot_be_read_gets_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CourseError) as caught:
        read_labelled(tmp_path / name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CourseError, match="There is no file"):
        read_labelled(tmp_path / "own.csv")


@pytest.mark.parametrize("seed", range(5))
def test_a_split_has_each_row_once_and_each_label_on_both_sides(tmp_path, seed):
    found = read_labelled(write(rows(43, ("a", "b", "c", "c", "c")), tmp_path / "own.csv"))
    train, test = split(found, seed=seed)
    assert sorted([*train, *test]) == list(range(43))
    assert 7 <= len(test) <= 11
    for part in (train, test):
        assert set(found.labels[part]) == {0, 1, 2}
    again = split(found, seed=seed)
    assert np.array_equal(again[0], train)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stays_on_one_side(tmp_path, seed):
    table = rows(60).assign(film=[f"film {row // 5}" for row in range(60)])
    found = read_labelled(write(table, tmp_path / "own.csv"), group="film")
    train, test = split(found, seed=seed)
    assert sorted([*train, *test]) == list(range(60))
    assert not set(found.groups[train]) & set(found.groups[test])


@pytest.mark.parametrize("groups", [["one"] * 40, ["a", "b"] * 20])
def test_groups_that_cannot_be_split_get_one_line(tmp_path, groups):
    found = read_labelled(write(rows().assign(film=groups), tmp_path / "own.csv"), group="film")
    with pytest.raises(CourseError, match="The groups cannot be split"):
        split(found)
