"""`make publish ADDRESS=https://github.com/OWNER/NAME`: give the course its public address, without running a notebook.

Sets the address in pyproject.toml, writes the links, the buttons and the first cells that follow from it, keeps all
outputs, and says what to commit and tag. Without an address it takes that of git's remote, if you agree.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from tools.notebooks import readme
from tools.notebooks.build import is_current, relink, sources
from tools.notebooks.files import README, ROOT, release, repository
from utils.console import run_program
from utils.errors import CourseError
from utils.files import write_atomically

SETTINGS = ROOT / "pyproject.toml"
ADDRESS = re.compile(r"https://github\.com/([A-Za-z0-9-]+)/([\w.-]+)")
REMOTE = re.compile(r"(?:https://|ssh://git@|git@)github\.com[/:]([A-Za-z0-9-]+/[\w.-]+?)(?:\.git)?/?")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.add_argument("address", nargs="?", help="https://github.com/OWNER/NAME; by default that of git's remote")
    try:
        address = parser.parse_args(arguments).address or agreed(remote())
        publish(address.rstrip("/"))
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def publish(address: str) -> None:
    """Set the address and write everything that follows from it.

    Raises:
        CourseError: no such address, or a notebook that is older than its source.
    """
    found = ADDRESS.fullmatch(address)
    if not found:
        raise CourseError(f"{address} is not an address of the form https://github.com/OWNER/NAME.")
    old = [name for name in sources() if not is_current(name)]
    if old:
        raise CourseError(f"Not built since their source changed: {', '.join(old)}. Run make notebooks first.")
    text = SETTINGS.read_text(encoding="utf-8")
    new = re.sub(r'^repository = ".*"$', f'repository = "{address}"', text, count=1, flags=re.MULTILINE)
    write_atomically(SETTINGS, new)
    assert repository() == address
    for name in sources():
        relink(name)
    write_atomically(README, readme.with_blocks(README.read_text(encoding="utf-8")))
    owner, name = found.groups()
    tags = subprocess.run(["git", "tag", "-l", release()], cwd=ROOT, capture_output=True, text=True).stdout.split()
    anew = "-f " if tags else ""  # the tag is there already, and moves
    print(f"""\
The course's address is {address}. Now commit it, and tag that commit, which Colab fetches:

  git commit -am "The course's public address"
  git tag {anew}{release()}
  git push origin HEAD
  git push {anew}origin {release()}

Once, in the repository's settings under Pages, choose GitHub Actions as the source. Then .github/workflows/site.yml
puts the site at https://{owner.lower()}.github.io/{name}/ whenever you push a tag.""")


def remote() -> str:
    """The address of git's remote `origin`.

    Raises:
        CourseError: there is none, or it is not on GitHub.
    """
    asked = subprocess.run(["git", "remote", "get-url", "origin"], cwd=ROOT, capture_output=True, text=True)
    found = REMOTE.fullmatch(asked.stdout.strip())
    if not found:
        raise CourseError("git knows no remote on GitHub. Use: make publish ADDRESS=https://github.com/OWNER/NAME")
    return f"https://github.com/{found[1]}"


def agreed(address: str) -> str:
    """The address, if whoever runs this agrees.

    Raises:
        CourseError: they do not, or nobody is there to ask.
    """
    try:
        answer = input(f"Publish as {address}? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CourseError("Nothing was changed. Use: make publish ADDRESS=https://github.com/OWNER/NAME")
    return address


if __name__ == "__main__":
    run_program(main)
