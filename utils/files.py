"""Files: written whole or not at all, in folders that are the course's own, and nothing of the user's ever replaced.

Whoever writes a folder that a user named calls `claim` first, before the work. Whoever deletes one calls `is_ours`.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from utils.errors import CourseError

ROOT = Path(__file__).parent.parent
CACHE_VARIABLE = "COURSE_CACHE"
MARKER, UNFINISHED = ".transfer-learning-nlp", ".unfinished"
MAKER = "the course Transfer Learning in NLP, which replaces in this folder what it wrote, and nothing else"
WRITTEN_BY_LESSONS = ("runs", "claims", "experiments", "huggingface")
LEFT_BY_SYSTEMS = {MARKER, ".DS_Store", "Thumbs.db", "desktop.ini", "lost+found", ".ipynb_checkpoints"}
NO_PLACE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST,
    errno.EISDIR, errno.ENAMETOOLONG,
}  # fmt: skip
REASONS = {errno.EEXIST: "there is a file in its place", errno.ENOTDIR: "a part of it is a file",
           errno.EISDIR: "there is a folder in the file's place"}  # fmt: skip
REMEDY = f"Make room there, or set {CACHE_VARIABLE} to a folder that you can write to."


def cache_folder() -> Path:
    """The course's cache: the folder that COURSE_CACHE names, else .cache/transfer-learning-nlp at home.

    Raises:
        CourseError: there is no home, and COURSE_CACHE is not set.
    """
    return chosen_path(CACHE_VARIABLE) or user_path("~/.cache/transfer-learning-nlp")


def chosen_path(variable: str) -> Path | None:
    """The path that an environment variable names, if it is set; a relative one counts from the course's folder.

    Each notebook has a working folder of its own, so counted from there it would be another place in each of them.
    """
    chosen = os.environ.get(variable, "").strip().strip("\"'")  # `%env NAME="…"` keeps the quotes
    return ROOT / user_path(chosen) if chosen else None


def user_path(text: str) -> Path:
    """The path with the home folder in place of ~, which a shell leaves alone inside quotes.

    Raises:
        CourseError: there is no such home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise CourseError(
            f"There is no home folder for {text}. Set {CACHE_VARIABLE} to a folder that you can write to."
        ) from None


@contextlib.contextmanager
def one_line(place: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Turn the system's refusal to write to `place` in the block into a line that says what to do.

    Raises:
        CourseError: the disk is full, the folder cannot be written or is no folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_PLACE | {errno.ENOENT, errno.ELOOP}:
            raise
        why = REASONS.get(error.errno, error.strerror or str(error))
        raise CourseError(f"Cannot write to {place}: {why}. {remedy}") from error


def make_folder(folder: Path, remedy: str = REMEDY) -> Path:
    """The folder, made with its parents if it is not there.

    Raises:
        CourseError: it cannot be made.
    """
    with one_line(folder, remedy):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_atomically(path: Path, content: str | bytes, remedy: str = REMEDY) -> None:
    """Write a file so that a reader sees the old or the new content, never a part; an error leaves the old one.

    Raises:
        CourseError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    with one_line(path.parent, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)  # there only if the write broke off


def check_writable(folder: Path, remedy: str = REMEDY) -> None:
    """Make the folder if need be, and write a byte there.

    Raises:
        CourseError: that fails.
    """
    make_folder(folder, remedy)
    with one_line(folder, remedy), tempfile.TemporaryFile(dir=folder, prefix=".writable-") as file:
        file.write(b"?")
        file.flush()


def check_cache() -> None:
    """Check that the cache can be written, and all that a lesson may write to in it.

    Raises:
        CourseError: it cannot, or it is another user's.
    """
    check_writable(cache_folder())
    for part in WRITTEN_BY_LESSONS:  # not the whole folder: somebody may keep the cache in a large one of their own
        for folder, _, names in os.walk(cache_folder() / part):
            for path in [Path(folder), *(Path(folder, name) for name in names if name.endswith(".lock"))]:
                if os.access(path, os.W_OK):
                    continue
                raise CourseError(
                    f"{path} in the course's cache cannot be written; it may belong to another user. "
                    f"Set {CACHE_VARIABLE} to a folder of your own."
                )


def library_folders() -> dict[str, str]:
    """Variables that make libraries write to the course's cache, as far as they are not set.

    What datasets prepares always goes there. Settings of Jupyter and other files that are the user's stay at home,
    unless the home cannot be written.
    """
    cache, home = cache_folder(), Path(os.path.expanduser("~"))  # still "~" where there is no home
    folders = {"HF_DATASETS_CACHE": "huggingface/datasets", "HF_MODULES_CACHE": "huggingface/modules"}
    if not os.access(home, os.W_OK):
        folders |= {
            "HF_HOME": "huggingface", "TORCH_HOME": "torch", "XDG_CACHE_HOME": "xdg", "MPLCONFIGDIR": "matplotlib",
            "IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "jupyter/config", "JUPYTER_DATA_DIR": "jupyter/data",
            "JUPYTER_RUNTIME_DIR": "jupyter/runtime", "JUPYTERLAB_SETTINGS_DIR": "jupyter/lab",
            "JUPYTERLAB_WORKSPACES_DIR": "jupyter/workspaces",
        }  # fmt: skip
    variables = {name: str(cache / folder) for name, folder in folders.items()}
    token = home / ".cache" / "huggingface" / "token"
    if "HF_HOME" in variables and token.is_file():
        variables["HF_TOKEN_PATH"] = str(token)
    return {name: value for name, value in variables.items() if name not in os.environ}


def is_ours(folder: Path) -> bool:
    """Was the folder claimed by the course?"""
    return _marker(folder) is not None


def foreign(folder: Path) -> list[str]:
    """Names in a folder, but for those that systems leave there; none where there is no folder."""
    return sorted(set(os.listdir(folder)) - LEFT_BY_SYSTEMS) if folder.is_dir() else []


def claim(folder: Path, instead: str) -> None:
    """Take a folder to write into, before the work: a new one, an empty one, or one claimed before.

    Args:
        folder: made if it is not there.
        instead: what to do where it cannot be taken, for example "Give --output another folder."

    Raises:
        CourseError: it holds files that are not the course's, is no folder, or cannot be written.
    """
    runs = cache_folder() / "runs"  # every name in there is of the course's making
    of_the_course = is_ours(folder) or runs in folder.absolute().parents
    names = [] if of_the_course else foreign(folder)
    if names:
        others = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise CourseError(f"{folder} holds {others}, which the course did not write and does not touch. {instead}")
    check_writable(folder, instead)
    if not is_ours(folder):
        _mark(folder, {}, instead)


def write_ours(folder: Path, name: str, content: str | bytes, instead: str) -> None:
    """Write a file in a claimed folder; one that somebody else put there or changed is set aside, and a line says so.

    Args:
        folder: claimed.
        name: of the file.
        content: of the file.
        instead: as in `claim`.

    Raises:
        CourseError: it cannot be written.
    """
    content = content.encode() if isinstance(content, str) else content
    new = hashlib.sha256(content).hexdigest()
    with one_line(folder, instead):
        _make_way(folder / name, new)
    write_atomically(folder / name, content, instead)
    _mark(folder, (_marker(folder) or {}) | {name: new}, instead)


def emptied(folder: Path, instead: str) -> Path:
    """The folder, claimed as in `claim` and without what an earlier run left in it."""
    claim(folder, instead)
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER:
            path.unlink()
    return folder


@contextlib.contextmanager
def filled(folder: Path, instead: str) -> Iterator[Path]:
    """A folder inside one that was claimed, to write into; at the end of the block its files move up, all of them.

    Where the block breaks off, the files of an earlier run stay as they are; files of others are set aside as in
    `write_ours`.

    Raises:
        CourseError: they cannot be written.
    """
    unfinished = folder / UNFINISHED
    with one_line(folder, instead):
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            yield unfinished
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        new = {path.name: _hash(path) for path in sorted(unfinished.iterdir())}
        for name, content in new.items():
            _make_way(folder / name, content)
            (unfinished / name).replace(folder / name)
        unfinished.rmdir()
    _mark(folder, (_marker(folder) or {}) | new, instead)


def set_aside(path: Path) -> Path:
    """Rename a file that is not ours, or that its owner has changed, so that ours can take its name; gives the new one.

    grades.csv becomes grades.kept-1.csv, or the next number that is free.
    """
    candidates = (path.with_name(f"{path.stem}.kept-{number}{path.suffix}") for number in itertools.count(1))
    new = next(candidate for candidate in candidates if not candidate.exists())
    path.rename(new)
    return new


def own_output(name: str, root: Path) -> Path:
    """Where results go by default: below `root`/build, or in the cache where the course's folder is read-only."""
    build = root / "build"
    nearest = next(folder for folder in (build / name, build, root) if folder.exists())
    return build / name if os.access(nearest, os.W_OK) else cache_folder() / name


def let_load_dataset_read(folder: Path) -> None:
    """Make `load_dataset(folder)` work where the path has `[`, `*` or `?`, which it would take for a pattern.

    It reads the names of its files from a `.huggingface.yaml`, in which they are escaped.
    """
    if "::" in str(folder):
        raise CourseError(f"load_dataset cannot read a path with :: in it: {folder}. Set {CACHE_VARIABLE} to another.")
    if not glob.has_magic(str(folder)):
        return
    files = [
        {"split": path.stem.partition("-")[0], "path": f"{glob.escape(folder.as_posix())}/{path.relative_to(folder)}"}
        for path in sorted(folder.rglob("*.parquet"))
    ]
    listed = json.dumps({"configs": [{"config_name": "default", "data_files": files}]}, ensure_ascii=False)  # YAML too
    path = folder / ".huggingface.yaml"
    if not path.is_file() or path.read_text(encoding="utf-8") != listed:
        write_atomically(path, listed)


def _marker(folder: Path) -> dict[str, str] | None:
    """Name -> SHA-256 of the files that `write_ours` wrote in a claimed folder; None where it is not claimed."""
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return dict(content["files"]) if content["made by"] == MAKER else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _mark(folder: Path, files: dict[str, str], instead: str) -> None:
    write_atomically(folder / MARKER, json.dumps({"made by": MAKER, "files": files}, indent=1) + "\n", instead)


def _make_way(path: Path, new: str) -> None:
    """Set a file aside if it is neither the one that the course wrote there nor the new one, by its hash."""
    if path.is_file() and _hash(path) not in (new, (_marker(path.parent) or {}).get(path.name)):
        print(f"{path} is not as the course left it; that one is now {set_aside(path).name}.")


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
