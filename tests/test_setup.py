"""The files that set the course up agree with each other."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.loopback_hub import LoopbackHub
from tools.floor import EXCEPTIONS, floors
from tools.notebooks import readme, source
from utils import claims
from utils.colab import FILES_ONLY
from utils.files import MARKER
from utils.hub import REPOSITORIES
from utils.intervals import Number
from utils.requirements import _numbers, read_requirements

ROOT = Path(__file__).parent.parent
PIP_NAMES = {"pytorch": "torch"}
# What Colab ships, 2026-08; the floors must not ask for more.
COLAB = {"torch": "2.11", "transformers": "5.15", "datasets": "4.0.0", "ipywidgets": "7.7.1", "numpy": "2.1.3"}


def test_conda_has_the_floors_of_requirements_and_pip_the_rest():
    python, pip, *compiled, rest = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert (python, pip, rest) == ("python>=3.11,<3.14", "pip", {"pip": ["-r requirements.txt"]})
    lowest = read_requirements(ROOT / "requirements.txt")
    for line in compiled:
        name, floor = line.split(">=")
        assert lowest[PIP_NAMES.get(name, name)] == floor, name


def test_a_card_that_belongs_to_no_lesson_is_named(monkeypatch):
    card = claims.Claim("99.1", "x", {"y": True}, {"n": Number(1)}, claims.PUBLISHED, "", "z", "embedded")
    monkeypatch.setattr(claims, "in_notebooks", lambda folder: [card])
    with pytest.raises(ValueError, match=r"Claim 99\.1: its first two digits must be those of a lesson"):
        readme.ledger_table()


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_constraints_pin_every_requirement_at_or_above_its_floor(file):
    pins = read_requirements(ROOT / "constraints.txt")
    pins = {name.replace("_", "-"): version for name, version in pins.items()}
    for name, floor in read_requirements(ROOT / file).items():
        assert _numbers(pins[name.replace("_", "-")]) >= _numbers(floor), name


def test_constraints_are_plain():
    text = (ROOT / "constraints.txt").read_text()
    assert "torch==2.13.0\n" in text
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9a-z.]+", line), line


@pytest.mark.parametrize(("name", "version"), COLAB.items())
def test_floors_do_not_ask_for_more_than_colab_has(name, version):
    assert _numbers(read_requirements(ROOT / "requirements.txt")[name]) <= _numbers(version)


def test_every_make_target_is_listed_with_one_line():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"\.PHONY: (.*)", makefile)[1].split()
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[1] for line in shown.splitlines()] == targets


def test_the_readmes_table_is_the_generated_one():
    assert readme.is_current()


def test_the_table_of_speed_is_made_from_the_benchmark(monkeypatch, tmp_path):
    row = {"accuracy": [87.5, 85.0, 90.0], "padding": 0.0431, "share_of_matrix_rate": 0.46, "peak_mib": 1536.0}
    slow = {"words": "slow", "seconds": 150.0, "seconds_each": [100.0, 200.0], "times_each": [10.0, 8.0]}
    ours = {"words": "ours", "precision": "bfloat16", "seconds": 15.0, "seconds_each": [10.0, 25.0]}
    recipes = {"a": row | slow | {"c_minus_this": [-0.26, -1.3, 0.78]},
               "c": row | ours | {"times_each": [1.0, 1.0], "c_minus_this": [0.0, 0.0, 0.0]}}  # fmt: skip
    file = tmp_path / "finetune.json"
    monkeypatch.setattr(readme, "SPEED", file)
    assert readme.speed_table() == "Not measured yet with this encoder: `make bench`."
    machine = {"cores": "2", "processor": "a chip"}
    file.write_text(
        json.dumps({"recipes": recipes, "reviews": 640, "test_reviews": 2000, "machine": machine}), encoding="utf-8"
    )
    about, _, _, _, *lines = readme.speed_table().splitlines()
    assert "640 reviews, then judging 2,000 of other films (not timed), on 2 cores of a chip, bfloat16" in about
    gap = "-0.3 points (-1.3 to 0.8)"
    assert lines == [
        f"| slow | 100, 200 | 10.0, 8.0 | 87.5% (85.0 to 90.0) | {gap} | 4% | 46% | 1.5 GiB |",
        "| ours | 10, 25 | 1 | 87.5% (85.0 to 90.0) |  | 4% | 46% | 1.5 GiB |",
    ]


@pytest.mark.parametrize("address", [None, "https://github.com/someone/course"])
def test_the_public_address_reaches_readme_header_and_first_cell(monkeypatch, address):
    monkeypatch.setattr(source, "repository", lambda: address)
    monkeypatch.setattr(readme, "repository", lambda: address)
    name = source.lessons()[0]
    cells = source.read_source(source.rooms()[name] / "lesson.py").cells
    link = "https://colab.research.google.com/github/someone/course/blob/v1.0/notebooks/"
    assert (f"({link}{name}.ipynb)" in cells[0].source) == bool(address)
    assert ("git" in cells[1].source) == bool(address)
    assert ("Colab" in readme.lesson_table()) == bool(address)
    assert len(cells[1].source.splitlines()) <= 20 or address
    compile(cells[1].source, "first cell", "exec")


def test_the_public_address_stands_in_one_place():
    assert "repository" in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["course"]


def test_the_floor_environment_has_the_lowest_releases_but_nothing_that_colab_lacks(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# a >= b\ntorch>=2.11\nscipy>=1.14.1\n\nmovie-reviews==0.0.2\n")
    exceptions = {f"{name}=={version}" for name, version in EXCEPTIONS.items()}
    assert set(floors(requirements)) == {"scipy==1.14.1"} | exceptions
    assert _numbers(EXCEPTIONS["torch"]) >= _numbers(COLAB["torch"])
    pinned = {line.split("==")[0] for line in floors(ROOT / "requirements.txt")}
    added = set(read_requirements(ROOT / "requirements.txt")) - pinned
    assert added == FILES_ONLY | {"rouge-score"}


# --- make's .venv, with a stand-in for Python that only notes what it is asked ----------------------------------------

STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $*" >> "$NOTED"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp -f "$STAND_IN" "$3/bin/python" 2>/dev/null
               echo "VIRTUAL_ENV='$PWD/$3'" > "$3/bin/activate"; ;;
  *"pip install"*) [ -z "$BREAKS" ] || exit 1 ;;
esac
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    """`make("setup")` in a folder with the course's Makefile; gives what Python was asked and what was printed."""
    folder, stand_in = tmp_path / "my course [2026]", tmp_path / "python3"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "constraints.txt"):
        shutil.copyfile(ROOT / name, folder / name)
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    noted = tmp_path / "noted"

    def run(*targets, folder=folder, **variables):
        noted.write_text("")
        given = os.environ | {"NOTED": str(noted), "STAND_IN": str(stand_in), "BREAKS": ""} | variables
        done = subprocess.run(["make", *targets, f"PYTHON={stand_in}"], cwd=folder, env=given, capture_output=True,
                              text=True)  # fmt: skip
        return done.returncode, noted.read_text().splitlines(), done.stdout + done.stderr

    run.folder = folder
    return run


pytestmark_make = pytest.mark.skipif(sys.platform == "win32" or not shutil.which("make"), reason="needs make and sh")


@pytestmark_make
def test_a_new_venv_is_made_once(make):
    status, asked, _ = make("setup")
    assert status == 0
    assert "python3 -m venv .venv" in asked
    assert any("pip install" in one for one in asked)
    assert make("setup")[1] == []


@pytestmark_make
def test_a_venv_that_make_did_not_make_is_completed_not_deleted(make):
    """README's way without make leaves one."""
    theirs = make.folder / ".venv" / "lib" / "spacy.py"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")
    (make.folder / ".venv" / "bin").mkdir()
    shutil.copy(make.folder.parent / "python3", make.folder / ".venv" / "bin" / "python")
    status, asked, printed = make("setup")
    assert status == 0
    assert theirs.exists()
    assert "Completing the .venv that is here." in printed
    assert not any("-m venv" in one for one in asked)
    assert any("pip install" in one for one in asked)
    _, _, printed = make("clean")
    assert theirs.exists()
    assert ".venv stays: make did not make it." in printed


@pytestmark_make
def test_a_venv_that_does_not_run_is_named_and_left(make):
    (make.folder / ".venv").mkdir()
    (make.folder / ".venv" / "mine").write_text("")
    status, _, printed = make("setup")
    assert status != 0
    assert "Move it away, then give the command again." in printed
    assert (make.folder / ".venv" / "mine").exists()


@pytestmark_make
def test_a_half_made_venv_is_made_anew(make):
    assert make("setup", BREAKS="yes")[0] != 0
    (make.folder / ".venv" / "half").write_text("")
    status, asked, _ = make("setup")
    assert status == 0
    assert "python3 -m venv .venv" in asked
    assert not (make.folder / ".venv" / "half").exists()


@pytestmark_make
def test_a_renamed_checkout_learns_its_new_path(make):
    make("setup")
    moved = make.folder.with_name("renamed")
    make.folder.rename(moved)
    status, asked, _ = make("setup", folder=moved)
    assert status == 0
    assert "python -m venv .venv" in asked
    assert str(moved) in (moved / ".venv" / "bin" / "activate").read_text()
    assert make("setup", folder=moved)[1] == []


@pytestmark_make
def test_clean_leaves_grades_models_and_reports_of_others(make):
    make("setup")
    for name in ("build/grades/grades.csv", "build/day4_ex/model.safetensors", "build/run/notes.md"):
        (make.folder / name).parent.mkdir(parents=True)
        (make.folder / name).write_text("")
    (make.folder / "build" / "site").mkdir()
    (make.folder / "build" / "site" / MARKER).write_text("")
    status, _, printed = make("clean")
    assert status == 0
    assert not (make.folder / ".venv").exists()
    assert sorted(path.name for path in (make.folder / "build").iterdir()) == ["day4_ex", "grades", "run"]
    assert "build/run stays: make did not make it." in printed


def test_every_tool_starts_as_a_module():
    """The scripts in .venv/bin name its old path once the course's folder was renamed."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md", ".ci/run")]
    texts += [path.read_text(encoding="utf-8") for folder in ("docs", "site") for path in (ROOT / folder).glob("*.md")]
    for text in texts:
        assert not re.search(r"^\s*(?:\$\(BIN\)/|\.venv/bin/|\.venv\\Scripts\\)?(?:jupyter|ruff|pytest|pip|sphinx)\b",
                             text, re.MULTILINE)  # fmt: skip


# --- What CI runs ------------------------------------------------------------------------------------------------


needs_bash = pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="the steps run on Linux")


@pytest.fixture(scope="module")
def jobs():
    return yaml.safe_load((ROOT / ".github/workflows/course.yml").read_text(encoding="utf-8"))["jobs"]


def test_every_command_of_the_workflow_exists(jobs):
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = (ROOT / "Makefile").read_text().partition(".PHONY: ")[2].split("\n")[0].split()
    for command in commands:
        assert set(re.findall(r"^make ([a-z-]+)", command, re.MULTILINE)) <= set(targets)
        for module in re.findall(r"python -m ([\w.]+)", command):
            assert importlib.util.find_spec(module), module
        for script in re.findall(r"python (\w+/\S+)", command):
            assert (ROOT / script).is_file()


def test_the_weekly_job_runs_everything_although_something_fails(jobs):
    job = jobs["upstream"]
    assert job["permissions"]["issues"] == "write"
    told = job["steps"][-1]["env"]["OUTCOMES"]
    for step in job["steps"]:
        if "run" in step and step.get("id") != "install":
            assert "cancelled()" in step["if"] or step["if"] == "failure()"
        assert "id" not in step or f"steps.{step['id']}.outcome" in told
    assert all("continue-on-error" not in step for step in job["steps"])  # the job itself must fail


@needs_bash
def test_the_weekly_job_lists_the_pinned_commits_beside_the_newest(jobs, tmp_path):
    (step,) = (step for step in jobs["upstream"]["steps"] if step.get("id") == "commits")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    newest = json.dumps({"id": "x", "sha": "f" * 40, "siblings": []}).encode()
    with LoopbackHub(tmp_path, lambda handler: handler.answer(200, newest)) as hub:
        given = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "0",
                 "HF_ENDPOINT": hub.address, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}  # fmt: skip
        script = ["bash", "-eo", "pipefail", "-c", step["run"]]
        subprocess.run(script, cwd=tmp_path, env=os.environ | given, check=True)
    assert {f"GET /api/{repository.kind}s/{repository.name}" for repository in REPOSITORIES} <= set(hub.asked)
    rows = [f"| {repository.name} | {repository.revision} | {'f' * 40} |" for repository in REPOSITORIES]
    assert (tmp_path / "summary").read_text().splitlines()[2:] == rows
    assert "torch==" in (tmp_path / "build/upstream/newest.txt").read_text()


def test_dependabot_moves_packages_and_actions_but_not_what_hashes_hold():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    by_kind = {update["package-ecosystem"]: update for update in updates}
    assert set(by_kind) == {"pip", "github-actions"}
    for update in updates:
        assert (ROOT / update["directory"].lstrip("/") / "constraints.txt").is_file()
        assert update["schedule"]["interval"] == "weekly"
        assert all(group["patterns"] == ["*"] for group in update["groups"].values())
    assert {ignored["dependency-name"] for ignored in by_kind["pip"]["ignore"]} == FILES_ONLY


@needs_bash
@pytest.mark.parametrize(
    ("open_issue", "expected"), [("", "issue create --title Upstream drift"), ("7", "issue comment 7")]
)
def test_the_weekly_job_opens_one_issue_and_comments_on_it_later(jobs, tmp_path, open_issue, expected):
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/asked"\n[ "$2" = list ] && echo "{open_issue}"\nexit 0\n')
    gh.chmod(0o755)
    (tmp_path / "build/upstream").mkdir(parents=True)
    (tmp_path / "build/upstream/commits.md").write_text("| gpt2 |\n")
    given = {"PATH": f"{gh.parent}:{os.environ['PATH']}", "RUN": "https://example.com/1", "OUTCOMES": "tests: failure"}
    script = ["bash", "-eo", "pipefail", "-c", jobs["upstream"]["steps"][-1]["run"]]
    subprocess.run(script, cwd=tmp_path, env=os.environ | given, check=True)
    asked = (tmp_path / "asked").read_text()
    assert "issue list --state open" in asked
    assert f"{expected} --body-file build/issue.md" in asked
    assert asked.count("--body-file") == 1
    body = (tmp_path / "build/issue.md").read_text()
    assert all(part in body for part in ("[a run](https://example.com/1) failed", "tests: failure", "| gpt2 |"))
