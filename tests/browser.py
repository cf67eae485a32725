"""A real browser for the tests: Debian's Chromium, or another one that is installed, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def chromium():
    """A running browser; without one the test is skipped with a reason, and in CI it fails."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing = f"no browser: none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI") and sys.platform.startswith("linux"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def watch(page, is_ours: Callable[[str], bool]) -> list[str]:
    """A list that grows with each error of the page, in its console or uncaught, and each address that is not ours."""
    faults = []

    def note_address(request) -> None:
        if not is_ours(request.url):
            faults.append(request.url)

    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", note_address)
    page.on("websocket", note_address)
    return faults
