"""`python -m tools.update`: keep what you changed, then get the newest lessons.

git refuses to pull over a notebook that you have run. So each changed file of the course is first copied to `my/` with
the date, where it can be opened and run like before; if the pull fails, everything is put back as it was.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from utils.console import run_program

ROOT = Path(__file__).parent.parent
KEPT = "my"


def main(root: Path = ROOT) -> int:
    """Keep, pull; returns the exit status."""
    try:
        names = changed(root)
    except (OSError, subprocess.CalledProcessError):
        print(
            "This folder is not a git clone, or git is missing. Download the course anew, beside this one, and copy "
            "your notebooks over under another name.", file=sys.stderr,
        )  # fmt: skip
        return 2
    kept = root / KEPT / datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    for name in names:
        try:
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, kept / name)
        except OSError as error:
            print(f"Cannot copy {name} to {kept}: {error.strerror}. Nothing was changed.", file=sys.stderr)
            return 2
    if names:
        git(root, "checkout", "HEAD", "--", *names)
    done = subprocess.run(["git", "pull", "--ff-only", "--quiet"], cwd=root, capture_output=True, text=True)
    if done.returncode:
        for name in names:
            shutil.copy2(kept / name, root / name)
        why = (done.stderr.strip().splitlines() or ["no message"])[0]
        print(f"git could not get the newest lessons: {why}\nYour files are as they were.", file=sys.stderr)
        return 1
    for name in names:
        print(f"kept: {(kept / name).relative_to(root)}")
    print("The lessons are the newest ones." + (" Yours open and run from where they are kept." if names else ""))
    return 0


def changed(root: Path) -> list[str]:
    """The course's own files that differ from the committed ones and are still there."""
    listed = git(root, "diff", "--name-only", "-z", "--relative", "HEAD").split("\0")
    return [name for name in listed if name and (root / name).is_file()]


def git(root: Path, *arguments: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    run_program(main)
