"""The floor environment: the lowest releases that requirements.txt allows, completed as in Colab, then tested.

`python -m tools.floor FOLDER` makes a virtual environment of those releases without the packages that Colab does not
have, lets the lessons' first cell install these as it does in Colab, and runs the unit tests and lessons 00 to 03.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.notebooks.files import ROOT
from utils.console import run_program
from utils.errors import CourseError
from utils.files import emptied
from utils.requirements import read_requirements

# Instead of a floor: Colab's notebook packages, and of torch the oldest whose CPU build every package index has.
EXCEPTIONS = {"torch": "2.13.0", "ipython": "7.34.0", "ipykernel": "6.17.1"}
FILES = ("requirements.txt", "requirements-dev.txt", "tools/floor.py")  # an environment of others is made anew
LESSONS = ("00", "01", "02", "03")
# About the committed files or about the newest releases, not about what is installed.
ELSEWHERE = {"test_jupyterlab.py", "test_setup.py", "test_site.py"}
BEGIN = """
import sys, types
sys.modules["google"] = types.ModuleType("google")
sys.modules["google.colab"] = types.ModuleType("google.colab")
from utils.environment import begin
begin("embedded")
"""


def main() -> int:
    """Build the environment if it is not there, check what the first cell does, run the tests; returns their status."""
    folder = Path(sys.argv[1]).absolute()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = "".join((ROOT / name).read_text(encoding="utf-8") for name in FILES)
    ready = folder / "ready.txt"
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        emptied(folder, "Name another folder.")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        build(python)
        ready.write_text(wanted, encoding="utf-8")
    tests = [str(path) for path in sorted((ROOT / "tests").glob("test_*.py")) if path.name not in ELSEWHERE]
    lessons = [str(next((ROOT / "notebooks").glob(f"{lesson}_*.ipynb"))) for lesson in LESSONS]
    two_at_a_time = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "-m", "not alone"]
    pytest = [str(python), "-m", "pytest", *two_at_a_time, "--nbval-lax", "--nbval-current-env", *lessons, *tests]
    return subprocess.run(pytest, cwd=ROOT).returncode


def build(python: Path) -> None:
    """Install Colab's part, watch the first cell install the rest, then add the tools for the tests.

    Raises:
        CourseError: the first cell changed what Colab has, or did not install everything at once.
    """
    lowest = floors(ROOT / "requirements.txt")
    install(python, *lowest)
    before = installed(python)
    print(output(python, "-c", BEGIN))
    after = installed(python)
    if not before < after:
        raise CourseError(f"The first cell replaced {sorted(before - after)}; expected new packages, nothing replaced.")
    again = output(python, "-c", BEGIN)
    if "Installing" in again or installed(python) != after:
        raise CourseError(f"The first cell is not idempotent. The second time it said: {again}")
    install(python, *lowest, *read_requirements(ROOT / "requirements-dev.txt"))


def floors(requirements: Path) -> list[str]:
    """`name==version` for each line `name>=version`: an exact version stands for a package that is not in Colab."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    lowest = dict(line.split(">=") for line in lines if ">=" in line and not line.startswith("#"))
    return [f"{name}=={version}" for name, version in (lowest | EXCEPTIONS).items()]


def install(python: Path, *packages: str) -> None:
    """Install packages into that environment."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)


def installed(python: Path) -> set[str]:
    """`name==version` of all that is installed there."""
    return set(output(python, "-m", "pip", "freeze", "--disable-pip-version-check").splitlines())


def output(python: Path, *arguments: str) -> str:
    """What a Python program of that environment prints."""
    done = subprocess.run([str(python), *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    run_program(main)
