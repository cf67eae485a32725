"""How old the pinned versions are, and what is newer: `python -m tools.pins`.

Asks the package index that pip is set to about the pins of constraints.txt that the requirements name (PEP 691, dates
by PEP 700), and the model hub about the commits of `utils.hub`. What nobody answers is "unknown", and the last line
says why. The exit status is 0 all the same: this is a report, not a test.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tools.notebooks.files import ROOT
from utils.console import run_program
from utils.environment import read_requirements
from utils.hub import ADDRESS, REPOSITORIES, Repository

SECONDS, AT_ONCE = 10, 8  # that a request may take; requests side by side
SIMPLE = "application/vnd.pypi.simple.v1+json"
UNKNOWN = "unknown"
HEADS = ("pinned", "released", "age (days)", "newest", "released")
FIELDS = ("name", "pinned", "released", "age", "newest", "newest_released")
Dates = dict[str, datetime | None]  # version or commit -> when it came; None where that is not said. The newest is last


def main(arguments: list[str] | None = None) -> None:
    """Print a table of packages, one of repositories, and what could not be asked; or the same as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.pins", description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every line of constraints.txt")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    options = parser.parse_args(arguments)
    subjects = {"package": list(pins(options.all).items()), "repository": [(one.name, one) for one in REPOSITORIES]}
    indexes = configured()
    tables, silences = {}, []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for kind, of in subjects.items():
            rows = list(pool.map(lambda one: row(*one, *indexes), of))
            tables[kind] = [fields for fields, _ in rows]
            for reason in dict.fromkeys(why for _, why in rows if why):
                names = [fields["name"] for fields, why in rows if why == reason]
                who = ", ".join(names) if len(names) <= 3 else f"{len(names)} of {len(rows)} in the list by {kind}"
                silences.append(f"{who} ({reason})")
    if options.json:
        print(json.dumps(tables | {UNKNOWN: silences}, indent=1))
        return
    for kind, rows in tables.items():
        print(as_text([(kind, *HEADS), *(one.values() for one in rows)]), end="\n\n")
    print(f"Not answered: {'; '.join(silences)}." if silences else "All were answered.")


def pins(every: bool = False) -> dict[str, str]:
    """Package -> its version in constraints.txt: of those that the requirements name, or of all."""
    files = [read_requirements(ROOT / f"{name}.txt") for name in ("constraints", "requirements", "requirements-dev")]
    pinned, *named = [{name.replace("_", "-"): version for name, version in file.items()} for file in files]
    return {name: version for name, version in pinned.items() if every or any(name in file for file in named)}


def configured() -> tuple[list[str], str | bool]:
    """The indexes that pip asks here, its default among them, and the certificates that it trusts."""
    from pip._internal.commands import create_command  # no other way knows files, variables and default together

    try:
        said = create_command("install").parser.get_default_values()
    except (Exception, SystemExit):  # pip's own settings are broken
        return [], True
    addresses = [] if said.no_index else [said.index_url, *said.extra_index_urls]
    return [one.rstrip("/") for one in addresses if one.startswith("http")], said.cert or True


def row(name: str, pinned: str | Repository, indexes: list[str], verify: str | bool) -> tuple[dict, str]:
    """A line of a table by `FIELDS`, and why it is not whole, if it is not."""
    dates, reason = {}, ""
    try:
        dates = history(pinned) if isinstance(pinned, Repository) else releases(name, indexes, verify)
    except ConnectionError as error:
        reason = str(error)
    except Exception as error:  # whatever answers there, a report does not end in a traceback
        reason = f"an answer that cannot be read: {type(error).__name__}"
    pinned = getattr(pinned, "revision", pinned)
    newest, then = next(reversed(dates), UNKNOWN), dates.get(pinned)
    age = (datetime.now(UTC) - then).days if then else UNKNOWN
    if not reason and UNKNOWN in (age, day(dates.get(newest))):
        reason = "no date" if pinned in dates else "the pinned one is not listed"
    return dict(zip(FIELDS, (name, pinned, day(then), age, newest, day(dates.get(newest))), strict=True)), reason


def releases(name: str, indexes: list[str], verify: str | bool) -> Dates:
    """The releases of a package but for early and withdrawn ones; the first index that has it is believed."""
    import requests
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    reason = "pip is set to no index with an address"
    for index in indexes:
        host = f"the index at {urlsplit(index).netloc.rpartition('@')[2]}"  # without a password
        try:
            answer = requests.get(f"{index}/{name}/", headers={"Accept": SIMPLE}, timeout=SECONDS, verify=verify)
        except requests.RequestException as error:
            reason = f"{host}: {type(error).__name__}"
            continue
        if answer.status_code != 200 or SIMPLE not in answer.headers.get("Content-Type", ""):
            reason = f"{host} answered {answer.status_code}{', but not in JSON' if answer.ok else ''}"
            continue
        found: dict = {}
        for file in answer.json()["files"]:
            parse = parse_wheel_filename if file["filename"].endswith(".whl") else parse_sdist_filename
            try:
                version = parse(file["filename"])[1]
            except ValueError:
                continue  # a kind of file from old times
            if not file.get("yanked") and not version.is_prerelease:
                times = [datetime.fromisoformat(file["upload-time"])] if file.get("upload-time") else []
                found[version] = min([*times, *filter(None, [found.get(version)])], default=None)
        return {str(version): found[version] for version in sorted(found)}
    raise ConnectionError(reason)


def history(repository: Repository) -> Dates:
    """The pinned and the newest commit of a repository on the hub."""
    from huggingface_hub.utils import build_hf_headers, get_session

    found: Dates = {}
    for revision in (repository.revision, "main"):
        address = os.environ.get("HF_ENDPOINT") or ADDRESS
        where = f"{address.rstrip('/')}/api/{repository.kind}s/{repository.name}/commits/{revision}"
        try:  # as HfApi.list_repo_commits does, which has no limit of time, though, and tries six times
            answer = get_session().get(where, headers=build_hf_headers(), timeout=SECONDS)
        except Exception as error:
            raise ConnectionError(f"the hub: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise ConnectionError(f"the hub answered {answer.status_code}")
        newest = answer.json()[0]
        found[newest["id"]] = datetime.fromisoformat(newest["date"])
    return found


def day(then: datetime | None) -> str:
    """A date without its time."""
    return then.date().isoformat() if then else UNKNOWN


def as_text(rows: list) -> str:
    """A table that reads well in a terminal and is Markdown; the first row has the heads."""
    lines = [[str(value) for value in one] for one in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, one, widths))} |" for one in lines)


if __name__ == "__main__":
    run_program(main)
