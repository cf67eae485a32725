"""`python -m tools.update`: keep what you changed, then get the newest lessons.

git refuses to pull over a notebook that you have run. So each changed file of the course is first copied to `my/` with
the date, where it can be opened and run like before; if the pull fails, everything is put back as it was.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from utils.console import run_program, stop_when_told

ROOT = Path(__file__).parent.parent
KEPT = "my"


def main(root: Path = ROOT) -> int:
    """Keep, pull; returns the exit status."""
    stop_when_told()
    try:
        names = changed(root)
    except (OSError, subprocess.CalledProcessError):
        print(
            "This folder is not a git clone, or git is missing. Download the course anew, beside this one, and copy "
            "your notebooks over under another name.", file=sys.stderr,
        )  # fmt: skip
        return 2
    folder = root / KEPT / datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    # Code goes one folder down: with utils/ beside them, notebooks would take the folder for the course.
    places = {name: folder / (name if name.startswith("notebooks/") else f"other/{name}") for name in names}
    for name, place in places.items():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, place)
        except OSError as error:
            print(f"Cannot copy {name} to {folder}: {error.strerror}. Nothing was changed.", file=sys.stderr)
            return 2
    pulled = None
    try:
        if names:
            git(root, "checkout", "HEAD", "--", *names)
        pull = ["git", "pull", "--ff-only", "--quiet"]
        pulled = subprocess.run(pull, cwd=root, capture_output=True, text=True, errors="replace")
    finally:  # also after an interrupt
        if pulled is None or pulled.returncode:
            for name, place in places.items():
                shutil.copy2(place, root / name)
    if pulled.returncode:
        why = "\n".join(pulled.stderr.strip().splitlines()[:5]) or "git said nothing"
        print(f"git could not get the newest lessons; your files are as they were. It said:\n{why}", file=sys.stderr)
        return 1
    for place in places.values():
        print(f"kept: {place.relative_to(root)}")
    print("The lessons are the newest ones." + (" Yours open and run from where they are kept." if names else ""))
    return 0


def changed(root: Path) -> list[str]:
    """The committed files that differ from what was committed and are still there; new ones are not in git's way."""
    listed = git(root, "diff", "--name-only", "-z", "--relative", "--diff-filter=MTU", "HEAD").split("\0")
    return [name for name in listed if name and (root / name).is_file()]


def git(root: Path, *arguments: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()  # --help must not pull
    run_program(main)
