"""Nothing of the user's is lost: what is written whole, what is refused, and every place in the code that deletes."""

import ast
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils import files
from utils.errors import CourseError

ROOT = Path(__file__).parent.parent
INSTEAD = "Give --out another folder."


def below(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


# --- Folders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [None, ".DS_Store", "lost+found/", ".ipynb_checkpoints/"])
def test_a_new_folder_and_an_empty_one_are_taken_and_taken_again(tmp_path, left):
    folder = tmp_path / "deep" / "out"
    if left:
        (folder / left).mkdir(parents=True) if left.endswith("/") else folder.mkdir(parents=True)
        if not left.endswith("/"):
            (folder / left).write_text("")
    for _ in range(2):
        files.claim(folder, INSTEAD)
        assert files.is_ours(folder)
    (folder / "theirs.txt").write_text("later")
    files.claim(folder, INSTEAD)


@pytest.mark.parametrize("marker", [None, "", "{", "[]", '{"made by": "me", "files": {}}'])
def test_a_folder_with_files_of_others_is_refused_in_one_line(tmp_path, marker):
    for number in range(5):
        (tmp_path / f"thesis-{number}.txt").write_text("mine")
    if marker is not None:
        (tmp_path / files.MARKER).write_text(marker)
    before = below(tmp_path)
    for refused in (files.claim, files.emptied):
        with pytest.raises(CourseError) as said:
            refused(tmp_path, INSTEAD)
        assert str(said.value) == (
            f"{tmp_path} holds thesis-0.txt, thesis-1.txt, thesis-2.txt and 2 more, which the course did not write and "
            f"does not touch. {INSTEAD}"
        )
    assert below(tmp_path) == before


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(CourseError, match=re.escape(INSTEAD)):
        files.claim(tmp_path / "out", INSTEAD)
    assert (tmp_path / "out").read_text() == "mine"


def test_what_is_emptied_was_ours_and_links_lead_nowhere(tmp_path):
    folder, outside = tmp_path / "site", tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.txt").write_text("mine")
    files.claim(folder, INSTEAD)
    (folder / "pages").mkdir()
    (folder / "pages" / "old.html").write_text("")
    (folder / "link").symlink_to(outside)
    files.emptied(folder, INSTEAD)
    assert os.listdir(folder) == [files.MARKER]
    assert (outside / "thesis.txt").read_text() == "mine"


def test_what_is_filled_takes_its_place_whole_and_leaves_the_rest(tmp_path):
    files.claim(tmp_path, INSTEAD)
    (tmp_path / "notes.txt").write_text("mine")
    with files.filled(tmp_path, INSTEAD) as folder:
        (folder / "weights").write_text("1")

    def break_off():
        with files.filled(tmp_path, INSTEAD) as folder:
            (folder / "weights").write_text("2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert (tmp_path / "weights").read_text() == "1"
    with files.filled(tmp_path, INSTEAD) as folder:
        assert os.listdir(folder) == []
        (folder / "weights").write_text("3")
    (tmp_path / "weights").write_text("of another training")
    with files.filled(tmp_path, INSTEAD) as folder:
        (folder / "weights").write_text("4")
    assert {name: text for name, text in below(tmp_path).items() if name != files.MARKER} == {
        "notes.txt": "mine", "weights": "4", "weights.kept-1": "of another training"
    }  # fmt: skip


def test_a_file_that_somebody_changed_is_set_aside(tmp_path, capsys):
    files.claim(tmp_path, INSTEAD)
    for content in ("1", "2"):
        files.write_ours(tmp_path, "grades.csv", content, INSTEAD)
    assert capsys.readouterr().out == ""
    for number in (1, 2):
        (tmp_path / "grades.csv").write_text(f"edited {number}")
        files.write_ours(tmp_path, "grades.csv", "3", INSTEAD)
        assert f"is now grades.kept-{number}.csv" in capsys.readouterr().out
        assert (tmp_path / f"grades.kept-{number}.csv").read_text() == f"edited {number}"
    assert (tmp_path / "grades.csv").read_text() == "3"


@pytest.mark.parametrize(
    ("given", "place"),
    [("", "home/.cache/transfer-learning-nlp"), ("~/c", "home/c"), ('"~/c"', "home/c"), ("my", None)],
)
def test_the_cache_is_where_it_is_meant(tmp_path, monkeypatch, given, place):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv(files.CACHE_VARIABLE, given)
    monkeypatch.chdir(tmp_path)
    assert files.cache_folder() == (tmp_path / place if place else ROOT / "my")  # the same for all notebooks


def test_without_a_home_it_is_one_line(monkeypatch):
    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(files.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", no_home)
    with pytest.raises(CourseError, match="Set COURSE_CACHE to a folder that you can write to"):
        files.cache_folder()


def test_results_go_to_the_cache_where_the_course_is_read_only(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "cache"))
    course = tmp_path / "course"
    course.mkdir()
    assert files.own_output("run", course) == course / "build" / "run"
    monkeypatch.setattr("os.access", lambda path, how: False)
    assert files.own_output("run", course) == tmp_path / "cache" / "run"


# --- Writing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted(files.NO_PLACE))
def test_a_write_that_fails_keeps_the_old_file_and_is_one_line(tmp_path, monkeypatch, number):
    path = tmp_path / "file"
    files.write_atomically(path, "old")

    def fail(self, content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(CourseError) as said:
        files.write_atomically(path, "new")
    why = files.REASONS.get(number, os.strerror(number))
    assert str(said.value) == f"Cannot write to {tmp_path}: {why}. {files.REMEDY}"
    assert below(tmp_path) == {"file": "old"}


def test_another_error_is_not_called_a_full_disk(tmp_path):
    with pytest.raises(OSError, match="a broken drive"), files.one_line(tmp_path):
        raise OSError(errno.EIO, "a broken drive")


def cannot_be_written(monkeypatch, *paths):
    """Root may write everywhere, so the system's answer is put in its place."""
    real = os.access
    monkeypatch.setattr("os.access", lambda path, how: Path(path) not in paths and real(path, how))


@pytest.mark.parametrize("place", ["runs", "claims/embedded", "experiments/04", "huggingface/datasets/imdb.lock"])
def test_a_cache_of_another_user_is_said_before_anything_heavy(tmp_path, monkeypatch, place):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path))
    path = tmp_path / place
    if place.endswith(".lock"):
        path.parent.mkdir(parents=True)
        path.write_text("")
    else:
        path.mkdir(parents=True)
    files.check_cache()
    cannot_be_written(monkeypatch, path)
    with pytest.raises(CourseError, match="Set COURSE_CACHE to a folder of your own") as said:
        files.check_cache()
    assert str(path) in str(said.value)
    assert len(str(said.value).splitlines()) == 1


def test_libraries_write_where_the_course_does(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("HF_HOME", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "MPLCONFIGDIR", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    found = files.library_folders()
    assert found["HF_DATASETS_CACHE"] == str(tmp_path / "cache/huggingface/datasets")
    assert "HF_HOME" not in found  # a token, and what was downloaded before, stay in use
    token = tmp_path / ".cache/huggingface/token"
    token.parent.mkdir(parents=True)
    token.write_text("hf_…")
    cannot_be_written(monkeypatch, tmp_path)
    found = files.library_folders()
    assert {"HF_HOME", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"} <= set(found)
    assert found.pop("HF_TOKEN_PATH") == str(token)
    assert all(Path(folder).is_relative_to(tmp_path / "cache") for folder in found.values())
    monkeypatch.setenv("HF_HOME", "/theirs")
    assert "HF_HOME" not in files.library_folders()


@pytest.mark.parametrize("name", ["plain", "with space", "[2026]", "what?", "star*", "Übung ß", "[a]*[b]", "[2] 🎓"])
def test_load_dataset_reads_a_folder_whatever_its_path(tmp_path, name):
    if sys.platform == "win32" and set("?*") & set(name):
        pytest.skip("no such name on Windows")
    import pandas as pd
    from datasets import load_dataset

    folder = tmp_path / name / "imdb"
    for path, text in (("train.parquet", "a"), ("plain_text/test-00000-of-00001.parquet", "b")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"text": [text]}).to_parquet(folder / path)
    files.let_load_dataset_read(folder)
    found = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: rows["text"][:] for split, rows in found.items()} == {"train": ["a"], "test": ["b"]}


# --- Every place that deletes or overwrites ----------------------------------------------------------------------

ALWAYS = {
    "rmtree", "unlink", "rmdir", "removedirs", "rename", "renames", "move", "copyfile", "copy2", "copytree",
    "write_text", "write_bytes", "truncate", "ftruncate", "save_pretrained", "save_model", "savefig", "to_csv",
    "to_parquet", "to_json", "save_to_disk",
}  # fmt: skip
OF_A_MODULE = {"remove", "copy", "save", "replace"}  # of os, shutil, torch: elsewhere they are other things
TEMPORARY = "in a temporary folder that it made"
UNDER_LOCK = "beside its final name in the cache, under a lock; `rename` fails where something is there"
CLAIMED = "in a folder that `claim` has taken"
PUBLISHED = "models/ is the course's own, and in git; only an author publishes"
ALLOWED = {
    "utils/assets.py": {
        "unpack open": UNDER_LOCK, "small_encoder.write copyfile": UNDER_LOCK,
        "gpt2_tokenizer.write save_pretrained": UNDER_LOCK,
        "bbc.write to_parquet": UNDER_LOCK, "_write_reviews to_parquet": UNDER_LOCK,
        "prepare rmtree": "NAME.unfinished, left by a run that was killed, or its own", "prepare rename": UNDER_LOCK,
    },
    "utils/colab.py": {"_install write_text": TEMPORARY},
    "utils/files.py": {
        "write_atomically write_bytes": "NAME.PID.unfinished", "write_atomically replace": "callers name the file",
        "write_atomically unlink": "NAME.PID.unfinished", "emptied rmtree": CLAIMED, "emptied unlink": CLAIMED,
        "filled rmtree": ".unfinished in a claimed folder", "filled replace": CLAIMED,
        "filled rmdir": ".unfinished in a claimed folder", "set_aside rename": "to a name that is free",
    },
    "utils/fetching.py": {
        "Fetching._fetch rmtree": "the library's notes in the cache's hub-1, under a lock",
        "Fetching._fetch unlink": "a file in hub-1 that it has fetched and that has another hash than the hub lists",
    },
    "utils/plots.py": {"_picture savefig": "into memory"},
    "utils/resume.py": {
        "_begin_afresh.BeginAfresh.on_train_begin rmtree": "checkpoint-N where run.json or a marker proves a run",
        "last_checkpoint rmtree": "checkpoint-N without a state, where run.json proves an earlier run",
    },
    "tools/floor.py": {"main write_text": CLAIMED},
    "tools/grade/__main__.py": {"append open": "appends, in a claimed folder"},
    "tools/grade/report.py": {"as_csv to_csv": "into memory"},
    "tools/grade/submission.py": dict.fromkeys(
        ("started copytree", "started copy", "started write_text"), TEMPORARY
    ),
    "tools/live.py": dict.fromkeys(("pack write_text", "pack write_bytes"), "in the site's folder, which is claimed"),
    "tools/site.py": dict.fromkeys(
        ("stage copyfile", "stage copytree", "stage write_text", "stage write_bytes", "write write_text"), CLAIMED
    ),
    "tools/update.py": {"main copy2": "to my/ with the time in its name, and back to where it was"},
    "scripts/finetune.py": {"fine_tune save_model": CLAIMED},
    "scripts/several_processes.py": {"train save_pretrained": CLAIMED, "train write_text": CLAIMED},
    "benchmarks/finetune.py": {"measure write_text": TEMPORARY},
    "pretraining/cards.py": dict.fromkeys(
        ("write savefig", "write write_text", "write_overview savefig", "write_overview write_text"), PUBLISHED
    ),
    "pretraining/loop.py": {
        "_restore unlink": "log.csv of a run without a checkpoint, in a claimed folder", "_log open": "appends",
        "_save save": CLAIMED, "_save replace": CLAIMED,
    },
    "pretraining/publish.py": dict.fromkeys(
        ("main copyfile", "write_json write_text", "save save_pretrained"), PUBLISHED
    ),
    "pretraining/mpnet.py": {"write_card write_text": PUBLISHED, "main save_pretrained": CLAIMED},
    "pretraining/vocabulary.py": {"load_or_learn save_pretrained": CLAIMED},
    "notebooks/source/lesson_02/lesson.py": dict.fromkeys(
        (" save_model", " to_csv"), "a folder of `run_folder` in the cache"
    ),
    "notebooks/source/lesson_05/deeper_resuming_by_hand.py": {"save save": "a folder of `run_folder` in the cache"},
}  # fmt: skip


def deletions_and_overwrites(tree):
    """Function and name of each call that deletes, moves or writes a file."""

    def opens_to_write(call):
        given = call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:1]
        given = given + [one.value for one in call.keywords if one.arg == "mode"]
        return any(isinstance(one, ast.Constant) and set(str(one.value)) & set("wax+") for one in given)

    def walk(node, where):
        for child in ast.iter_child_nodes(node):
            inside = f"{where}.{child.name}".lstrip(".") if isinstance(child, ast.FunctionDef | ast.ClassDef) else where
            if isinstance(child, ast.Call):
                name = getattr(child.func, "attr", getattr(child.func, "id", ""))
                owner = getattr(getattr(child.func, "value", None), "id", "")
                of_a_path = name == "replace" and len(child.args) + len(child.keywords) == 1
                of_a_module = name in OF_A_MODULE and owner in ("os", "shutil", "torch", "np")
                if name in ALWAYS or of_a_path or of_a_module or (name == "open" and opens_to_write(child)):
                    yield f"{inside} {name}"
            yield from walk(child, inside)

    return set(walk(tree, ""))


def test_each_deletion_and_each_overwrite_has_its_reason():
    found = {}
    for part in ("utils", "tools", "scripts", "benchmarks", "pretraining", "notebooks/source", "site"):
        for path in sorted((ROOT / part).rglob("*.py")):
            if calls := deletions_and_overwrites(ast.parse(path.read_text(encoding="utf-8"))):
                found[path.relative_to(ROOT).as_posix()] = calls
    assert found == {path: set(reasons) for path, reasons in ALLOWED.items()}


@pytest.mark.parametrize(
    ("line", "found"),
    [("shutil.rmtree(x)", " rmtree"), ("path.unlink()", " unlink"), ("os.remove(x)", " remove"),
     ("path.replace(other)", " replace"), ("open(x, 'w')", " open"), ("path.open(mode='a')", " open"),
     ("def f():\n    torch.save(a, b)", "f save"), ("fig.savefig(x)", " savefig")],
)  # fmt: skip
def test_the_search_sees_what_it_should(line, found):
    assert deletions_and_overwrites(ast.parse(line)) == {found}


@pytest.mark.parametrize("line", ["text.replace('a', 'b')", "names.remove(x)", "open(x)", "open(x, 'rb')", "x.copy()"])
def test_the_search_leaves_alone_what_deletes_nothing(line):
    assert not deletions_and_overwrites(ast.parse(line))


def test_shell_commands_delete_only_what_make_and_colab_made():
    workflows = [f".github/workflows/{name}.yml" for name in ("course", "site")]
    files_of_shell = ["Makefile", ".ci/run", *workflows, "tools/notebooks/source.py"]
    lines = [line.strip() for name in files_of_shell for line in (ROOT / name).read_text("utf-8").splitlines()]
    assert [line for line in lines if re.search(r"\brm\b|--clear|>[^&>]*\.(?:html|csv|ipynb)", line)] == [
        'if [ -f "$$folder/$(MARKER)" ]; then rm -rf "$$folder"; \\',  # a folder that make made
        "@rm -rf build/site-doctrees build/upstream build/screenshots .pytest_cache .ruff_cache",  # its own names
        "@if [ -f $(VENV)/$(MARKER) ] && [ ! -f $(READY) ]; then rm -rf $(VENV); fi",  # make's own, half made
        "@rm -f $(READY)",
        'subprocess.run(["rm", "-rf", new])',  # /content/course.unfinished
    ]


# --- Consoles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_every_console_shows_what_is_printed(encoding):
    code = (
        "from utils.console import print_anywhere, shown; import os\n"
        "print_anywhere(); print('2.0 → 2.1 ✓ “Zürich” 汉', shown(os.fsdecode(b'M\\xfcller')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True,
                          env=os.environ | {"PYTHONIOENCODING": encoding})  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = {
        "ascii": '2.0 -> 2.1 + "Z?rich" ?',
        "cp1252": "2.0 -> 2.1 + “Zürich” ?",
        "utf-8": "2.0 → 2.1 ✓ “Zürich” 汉",
    }
    assert done.stdout.decode(encoding).strip() == expected[encoding] + r" M\xfcller"


def test_every_program_prints_on_any_console():
    for part in ("tools", "scripts", "benchmarks", "pretraining", "utils", "notebooks"):
        for path in (ROOT / part).rglob("*.py"):
            _, runs, program = path.read_text(encoding="utf-8").partition('\nif __name__ == "__main__":\n')
            assert not runs or "run_program(" in program or path.name == "worker.py", path


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [("raise CourseError('One line.')", 2, "One line."), ("raise KeyboardInterrupt", 130, "Interrupted."),
     ("raise OSError(28, 'No space left on device')", 2, "The disk is full. Make room, then run this again; or set "
      "COURSE_CACHE to another folder before you start."), ("return 3", 3, ""), ("return None", 0, "")],
)  # fmt: skip
def test_a_program_ends_in_one_line(body, status, said):
    code = "from utils.console import run_program\nfrom utils.errors import CourseError\ndef main():\n    BODY\n"
    code = code.replace("BODY", body) + "run_program(main)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (status, said)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end in another way there")
def test_a_closed_pipe_needs_no_words():
    code = "from utils.console import run_program\nrun_program(lambda: [print('x' * 100) for _ in range(10**5)] and 0)"
    done = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -1', sys.executable, code], cwd=ROOT,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (141, "")
