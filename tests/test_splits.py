import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from utils.splits import contiguous_blocks, film_split, rare_names, shares_names, with_validation

SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}


def reviews(films: int, each: int = 4):
    """Reviews of `films` films per label; each film's reviews are neighbours and share three names."""
    texts, labels = [], []
    for label in (0, 1):
        for film in range(films):
            names = " and ".join(f"Name{'abcdefghijklmnopqrstuvwxyz'[film % 26]}{kind}{label}xx" for kind in "klm")
            names = names.replace("0xx", "zero").replace("1xx", "one")
            texts += [f"the film with {names}, number {number}" for number in range(each)]
            labels += [label] * each
    return texts, np.array(labels)


def test_blocks_hold_every_row_once_and_in_order():
    labels = np.array([0] * 10 + [1] * 6)
    blocks = contiguous_blocks(labels, SHARES)
    assert sorted(np.concatenate(list(blocks.values())).tolist()) == list(range(16))
    for label in (0, 1):
        ends = [blocks[split][labels[blocks[split]] == label] for split in SHARES]
        assert np.concatenate(ends).tolist() == np.flatnonzero(labels == label).tolist()
        assert all(np.all(np.diff(rows) == 1) for rows in ends)


@pytest.mark.parametrize(("labels", "shares"), [([], SHARES), ([0, 1], {"train": 0.5, "test": 0.4})])
def test_blocks_refuse_no_rows_and_wrong_shares(labels, shares):
    with pytest.raises(ValueError, match="add up to 1"):
        contiguous_blocks(np.array(labels), shares)


def test_a_film_on_both_sides_of_a_cut_leaves_the_training_rows():
    texts, labels = reviews(films=10, each=5)  # cuts fall inside films
    splits = film_split(texts, labels, SHARES)
    films = {split: {texts[row].split(",")[0] for row in rows} for split, rows in splits.items()}
    assert not films["train"] & (films["validation"] | films["test"])
    assert not films["validation"] & films["test"]


def test_a_film_shared_across_labels_leaves_the_training_rows():
    texts, labels = reviews(films=12)
    in_test = texts[11 * 4]  # the last negative film
    first_positive = 12 * 4
    texts[first_positive] = in_test.replace("number 0", "loved it")
    splits = film_split(texts, labels, SHARES)
    assert first_positive not in splits["train"]
    assert first_positive + 1 in splits["train"]


def test_splits_are_balanced():
    texts, labels = reviews(films=10)
    labels[:6] = 1
    for rows in film_split(texts, labels, SHARES).values():
        assert np.mean(labels[rows]) == 0.5


def test_texts_without_names_share_none():
    names = rare_names(["no names here", "none at all"])
    assert not shares_names(names, np.array([0]), np.array([1])).any()


def test_with_validation_keeps_the_test_split():
    texts, labels = reviews(films=20)
    rows = Dataset.from_dict({"text": texts, "label": labels})
    before = DatasetDict(train=rows, test=rows.select(range(4)))
    after = with_validation(before, share=0.25)
    assert set(after) == {"train", "validation", "test"}
    assert after["test"].to_dict() == before["test"].to_dict()
    assert not set(after["train"]["text"]) & set(after["validation"]["text"])
    with pytest.raises(ValueError, match="without a validation split"):
        with_validation(after)
