"""`make update`: a notebook that was run is kept, and the newest lessons are there."""

import subprocess

import pytest

from tools import update
from tools.notebooks.files import ROOT


def git(folder, *arguments):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clone(tmp_path):
    """A course with one lesson, a student's clone in which it was run, and a newer lesson to get."""
    origin, mine = tmp_path / "origin", tmp_path / "my course"
    (origin / "notebooks").mkdir(parents=True)
    (origin / "notebooks" / "01.ipynb").write_text("old")
    (origin / ".gitignore").write_text("my/\n")
    git(origin, "init", "--quiet", "--initial-branch", "main")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "-m", "one")
    git(tmp_path, "clone", "--quiet", str(origin), str(mine))
    (mine / "notebooks" / "01.ipynb").write_text("old, and run by me")
    (mine / "notebooks" / "mine.ipynb").write_text("mine")
    (origin / "notebooks" / "01.ipynb").write_text("new")
    git(origin, "commit", "--quiet", "-am", "two")
    return mine


def test_what_was_changed_is_kept_and_the_newest_is_there(clone, capsys):
    refused = subprocess.run(["git", "pull", "--ff-only"], cwd=clone, capture_output=True, text=True)
    assert "would be overwritten" in refused.stderr  # what this is for
    assert update.main(clone) == 0
    assert (clone / "notebooks" / "01.ipynb").read_text() == "new"
    (kept,) = (clone / "my").glob("*/notebooks/01.ipynb")
    assert kept.read_text() == "old, and run by me"
    assert (clone / "notebooks" / "mine.ipynb").read_text() == "mine"
    assert f"kept: {kept.relative_to(clone)}" in capsys.readouterr().out
    assert git(clone, "status", "--porcelain") == "?? notebooks/mine.ipynb\n"
    assert update.main(clone) == 0
    assert len(list((clone / "my").iterdir())) == 1


@pytest.mark.parametrize("why", ["no connection", "a file of the same name", "commits of one's own"])
def test_where_git_cannot_pull_all_is_as_it_was(clone, capsys, why):
    origin = clone.with_name("origin")
    if why == "no connection":
        origin.rename(origin.with_name("gone"))
    elif why == "a file of the same name":
        (origin / "notebooks" / "mine.ipynb").write_text("the course's")
        git(origin, "add", ".")
        git(origin, "commit", "--quiet", "-m", "three")
    else:
        git(clone, "commit", "--quiet", "--allow-empty", "-m", "mine")
    assert update.main(clone) == 1
    assert (clone / "notebooks" / "01.ipynb").read_text() == "old, and run by me"
    assert (clone / "notebooks" / "mine.ipynb").read_text() == "mine"
    said = capsys.readouterr().err
    assert "git could not get the newest lessons; your files are as they were." in said
    assert why != "a file of the same name" or "mine.ipynb" in said


def test_an_interrupted_pull_puts_all_back(clone, monkeypatch):
    real = subprocess.run

    def run(command, **how):
        if "pull" in command:
            raise KeyboardInterrupt
        return real(command, **how)

    monkeypatch.setattr(update.subprocess, "run", run)
    with pytest.raises(KeyboardInterrupt):
        update.main(clone)
    assert (clone / "notebooks" / "01.ipynb").read_text() == "old, and run by me"


def test_new_files_that_git_knows_and_changed_code_are_no_obstacle(clone):
    git(clone, "add", "notebooks/mine.ipynb")
    (clone / ".gitignore").write_text("my/\n*.tmp\n")
    assert update.main(clone) == 0
    assert (clone / "notebooks" / "mine.ipynb").read_text() == "mine"
    assert (clone / "notebooks" / "01.ipynb").read_text() == "new"
    assert len(list((clone / "my").glob("*/other/.gitignore"))) == 1


def test_without_git_it_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert update.main(tmp_path) == 2
    assert capsys.readouterr().err.startswith("This folder is not a git clone")


def test_what_is_kept_is_no_part_of_the_course():
    assert git(ROOT, "check-ignore", "my/2026-01-01 10.00.00/notebooks/01.ipynb")


def test_scripts_keep_their_line_ends_in_a_checkout_for_windows(tmp_path):
    for name in (".gitattributes", ".ci/run", "Makefile", "scripts/two_processes.yaml", "notebooks/glossary.md"):
        (tmp_path / "course" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "course" / name).write_bytes((ROOT / name).read_bytes())
    git(tmp_path / "course", "init", "--quiet")
    git(tmp_path / "course", "add", ".")
    git(tmp_path / "course", "commit", "--quiet", "-m", "one")
    git(tmp_path, "-c", "core.autocrlf=true", "-c", "core.eol=crlf", "clone", "--quiet", "course", "clone")
    for path in (tmp_path / "clone").rglob("*"):
        assert ".git" in path.parts or not path.is_file() or b"\r" not in path.read_bytes(), path
