"""`make publish` in a scratch repository: everything that follows from an address is written, and nothing is run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import copy_course
from tools import publish
from utils.errors import CourseError

ROOT = Path(__file__).parent.parent
ADDRESS = "https://github.com/someone/course"
NOTHING = "Nothing was changed. Use: make publish ADDRESS=https://github.com/OWNER/NAME"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A repository with the course as it is here, but for its models, and a remote."""
    folder = tmp_path_factory.mktemp("scratch") / "course"
    copy_course(folder, leave_out=(".safetensors",))
    author = ["-c", "user.name=t", "-c", "user.email=t@t"]
    remote = ["remote", "add", "origin", "git@github.com:someone/course.git"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "all"], remote):
        git(folder, *command)
    return folder


def git(folder, *command):
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout


def run(folder, *arguments, answer=""):
    command = [sys.executable, "-m", "tools.publish", *arguments]
    return subprocess.run(command, cwd=folder, input=answer, capture_output=True, text=True)


def outputs(folder):
    """Path of each notebook -> the outputs of its cells."""
    return {
        path.relative_to(folder): [cell.get("outputs") for cell in json.loads(path.read_text("utf-8"))["cells"]]
        for path in sorted((folder / "notebooks").rglob("*.ipynb"))
    }


def test_whoever_does_not_agree_changes_nothing(course):
    for answer in ("", "n\n", "\n"):
        done = run(course, answer=answer)
        assert (done.returncode, done.stderr.strip()) == (2, NOTHING)
        assert f"Publish as {ADDRESS}?" in done.stdout
    assert git(course, "status", "--porcelain") == ""


@pytest.mark.parametrize("address", ["someone/course", "https://example.com/a/b", f"{ADDRESS}/tree/main", "git@x:y"])
def test_what_is_no_address_is_refused_in_one_line(address):
    with pytest.raises(CourseError, match=r"of the form https://github.com/OWNER/NAME\.$"):
        publish.publish(address)


@pytest.mark.parametrize("remote", [
    "git@github.com:someone/course.git", "https://github.com/someone/course", "https://github.com/someone/course.git",
    "ssh://git@github.com/someone/course.git",
])  # fmt: skip
def test_the_remote_s_address_is_understood(monkeypatch, remote):
    monkeypatch.setattr(publish.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, f"{remote}\n"))
    assert publish.remote() == ADDRESS


def test_without_a_remote_it_says_what_to_give(monkeypatch):
    monkeypatch.setattr(publish.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 2, ""))
    with pytest.raises(CourseError, match=r"git knows no remote on GitHub\. Use: make publish ADDRESS="):
        publish.remote()


def test_the_address_reaches_everything_and_no_output_changes(course):
    before = outputs(course)
    done = run(course, answer="y\n")
    assert done.returncode == 0, done.stderr
    assert 'git commit -am "The course\'s public address"' in done.stdout
    assert "\n  git tag v1.0\n" in done.stdout
    assert "https://someone.github.io/course/" in done.stdout
    assert outputs(course) == before
    changed = [line[3:] for line in git(course, "status", "--porcelain").splitlines()]
    assert set(changed) == {"pyproject.toml", "README.md", *(path.as_posix() for path in before)}
    lesson = (course / "notebooks" / "03_the_tokenizer_must_match.ipynb").read_text("utf-8")
    assert "Open in Colab](https://colab.research.google.com/github/someone/course/blob/" in lesson
    assert f'\\"{ADDRESS}\\"' in lesson  # in the first cell
    assert "colab.research.google.com/github/someone/course" in (course / "README.md").read_text("utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "tools.notebooks", "check"], cwd=course, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    git(course, "add", "-A")
    git(course, "tag", "v1.0")
    assert "\n  git tag -f v1.0\n" in run(course, ADDRESS).stdout  # again, as a command without a question
    assert git(course, "diff", "--stat") == ""


def test_a_notebook_that_is_older_than_its_source_is_named(course):
    source = course / "notebooks" / "source" / "lesson_06" / "lesson.py"
    text = source.read_text("utf-8")
    source.write_text(text + "\n# %%\nprint(1)\n", "utf-8")
    done = run(course, ADDRESS)
    source.write_text(text, "utf-8")
    assert (done.returncode, done.stderr.strip()) == (
        2, "Not built since their source changed: 06_wrapping_up. Run make notebooks first."
    )  # fmt: skip
