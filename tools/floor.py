"""The floor environment: Colab's releases of everything, completed by the lessons' first cell, then tested.

`python -m tools.floor FOLDER` makes a virtual environment of constraints-floor.txt without the packages that Colab does
not have, lets the first cell install those as it does in Colab, and runs the unit tests and lessons 00 to 03 there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.notebooks.files import ROOT
from utils.colab import FILES_ONLY, UNTOUCHED
from utils.console import run_program
from utils.environment import read_requirements
from utils.files import emptied

NOT_IN_COLAB = {*FILES_ONLY, "rouge-score"}
TOOLS = ("hypothesis", "jupytext", "nbclient", "nbconvert", "nbval", "pytest", "pyyaml", "trustme")
FILES = ("constraints-floor.txt", "requirements.txt")  # an environment of others is made anew
LESSONS = ("00", "01", "02", "03")
BEGIN = """
import sys, types
sys.modules["google"] = types.ModuleType("google")
sys.modules["google.colab"] = types.ModuleType("google.colab")
from utils.environment import begin
begin("embedded")
"""
DRY_RUN = """
import json, sys
from pathlib import Path
from utils import colab
from utils.environment import REQUIREMENTS, lacking
constraints = Path(sys.argv[1])
for command in colab.commands(list(lacking(REQUIREMENTS).values()), constraints):
    print(json.dumps(command))
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
    pytest = [str(python), "-m", "pytest", "--nbval-lax", "--nbval-current-env", *tests, *lessons]
    return subprocess.run(pytest, cwd=ROOT).returncode


# About the committed files or about the newest releases, not about what is installed.
ELSEWHERE = {"test_jupyterlab.py", "test_setup.py", "test_site.py"}


def build(python: Path) -> None:
    """Install Colab's part, watch the first cell install the rest, then add the tools for the tests."""
    wanted = [name for name in read_requirements(ROOT / "requirements.txt") if name not in NOT_IN_COLAB]
    pip(python, *wanted, "ipykernel", "ipython")
    before = installed(python)
    dry_run(python, before)
    print(output(python, "-c", BEGIN))
    after = installed(python)
    changed = {name: (version, after.get(name)) for name, version in before.items() if after.get(name) != version}
    if changed or not set(after) >= NOT_IN_COLAB:
        raise SystemExit(f"The first cell changed {changed or 'nothing'}; expected new packages and no other change.")
    again = output(python, "-c", BEGIN)
    if "Installing" in again or installed(python) != after:
        raise SystemExit(f"The first cell is not idempotent. The second time it said:\n{again}")
    pip(python, *TOOLS)


def dry_run(python: Path, before: dict[str, str]) -> None:
    """Check pip's own report of what the first cell would install: nothing that is there, torch and numpy least."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder) / "constraints.txt", Path(folder) / "report.json"
        constraints.write_text("".join(f"{name}=={before[name].split('+')[0]}\n" for name in UNTOUCHED))
        for line in output(python, "-c", DRY_RUN, str(constraints)).splitlines():
            subprocess.run([*json.loads(line), "--dry-run", "--report", str(report)], check=True, cwd=ROOT)
            would = {canonical(one["metadata"]["name"]) for one in json.loads(report.read_text())["install"]}
            print(f"pip would install {', '.join(sorted(would))}")
            if would & set(before):
                raise SystemExit(f"pip would replace {', '.join(sorted(would & set(before)))}.")


def pip(python: Path, *what: str) -> None:
    """Install at the floor."""
    options = ["--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints-floor.txt")]
    subprocess.run([str(python), "-m", "pip", "install", *options, *what], check=True)


def installed(python: Path) -> dict[str, str]:
    """Canonical name -> version of all that is installed."""
    listed = json.loads(output(python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
    return {canonical(one["name"]): one["version"] for one in listed}


def canonical(name: str) -> str:
    """A package's name as the index compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def output(python: Path, *arguments: str) -> str:
    """What a Python program of that environment prints."""
    done = subprocess.run([str(python), *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    run_program(main)
