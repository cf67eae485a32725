"""The widgets of lessons 01 and 03 in a real JupyterLab, with the cells that they need: each by mouse and by keyboard.

What the widgets show is kept as pictures in build/screenshots.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
from playwright.sync_api import expect

from tests.browser import chromium, watch
from tests.cells import needed_cells
from tests.conftest import ROOT, cells_of

SHOTS = ROOT / "build" / "screenshots"
STARTED, PATIENCE = 120, 120_000  # waited at most: s for the server, ms for all cells and for one effect
# Nothing is asked and nothing fetched at the start; everything else is as a student finds it.
QUIET = {"fetchNews": "false", "checkForUpdates": False}
ERRORS = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'  # tracebacks, and warnings as well
# The page can say idle before the kernel has answered, and then loses the call to run all cells.
CONNECTED = """async () => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext
    await session.ready
    const kernel = session.session.kernel
    await kernel.info
    while (kernel.connectionStatus != "connected" || !["idle", "busy"].includes(kernel.status))
        await new Promise(later => setTimeout(later, 100))
}"""
NONE_WAITS = """() => document.querySelector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    && ![...document.querySelectorAll(".jp-InputArea-prompt")].some(prompt => prompt.textContent.includes("*"))"""


def write_course(folder):
    """What a notebook needs, and one notebook: the cells with widgets of both lessons, and those that these need."""
    for part in ("utils", "models", "notebooks/source"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    cells = [cell for lesson in ("01", "03") for cell in needed_cells(cells_of(lesson), "widgets.display(")]
    widgets = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python"}}
    )
    nbformat.write(widgets, folder / "notebooks" / "widgets.ipynb")


@contextlib.contextmanager
def server(folder, token):
    """A JupyterLab on `folder/course`, with settings of its own; gives its address. It takes its kernels along."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(QUIET))
    places = {
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTER_DATA_DIR": "data",
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
        "COURSE_CLAIMS": "claims", "COURSE_PROGRESS": "progress.json",
    }  # fmt: skip
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    environment |= {"COURSE_PROFILE": "embedded", "JUPYTER_TOKEN": token}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    with open(folder / "log", "w") as log:
        process = psutil.Popen(
            command, cwd=folder / "course", env=environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield address_in(folder / "log", process)
        finally:
            family = [*process.children(recursive=True), process] if process.is_running() else []
            for member in family:  # kernels have process groups of their own
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family, timeout=30)


def address_in(log, process) -> str:
    """The address that the server writes into its log when it has started."""
    deadline = time.monotonic() + STARTED
    while not (address := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"JupyterLab said no address:\n{log.read_text()}"
        time.sleep(0.1)
    return address[0]


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname in ("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The notebook when all its cells have run; what it complained about or asked of others is in `page.faults`."""
    folder, token = tmp_path_factory.mktemp("lab"), secrets.token_hex()
    write_course(folder / "course")
    with chromium() as browser, server(folder, token) as address:
        page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        page.set_default_timeout(PATIENCE)
        page.faults = watch(page, is_local)
        page.goto(f"{address}/lab/tree/notebooks/widgets.ipynb?token={token}")
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        page.evaluate(CONNECTED)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_selector(".jp-InputArea-prompt:text('*')", state="attached")
        page.wait_for_function(NONE_WAITS)
        yield page


class Mouse:
    """The widget of a page with one control and without another, used by mouse; only letters are typed."""

    def __init__(self, page, name: str, control: str, without: str = ""):
        self.page, self.name = page, f"{name}_{type(self).__name__.lower()}"
        has, has_not = (page.locator(f"label:text-is('{label}')") for label in (control, without))
        self.box = page.locator(".widget-vbox", has=has, has_not=has_not if without else None).first
        self.shows, self.button = self.box.locator(".widget-html-content"), self.box.get_by_role("button")
        self.box.scroll_into_view_if_needed()
        self.cells, self.before = page.locator(".jp-Cell").count(), self.shows.inner_html()
        self.keep("before")

    def __getitem__(self, label: str):
        row = self.box.locator("> *", has=self.page.locator(f"label:text-is('{label}')"))
        return row.locator("select, input, .noUi-handle")

    def keep(self, state: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.box.screenshot(path=SHOTS / f"{self.name}_{state}.png")

    def says(self, start: str) -> None:
        """Wait until the picture's alternative text begins so, or what is written where there is no picture."""
        if "<img" in self.before:
            wanted = re.compile("^" + re.escape(start))
            expect(self.shows.locator("img")).to_have_attribute("alt", wanted, timeout=PATIENCE)
        else:
            expect(self.shows).to_have_text(re.compile(r"^\s*" + re.escape(start)), timeout=PATIENCE)

    def done(self) -> None:
        """Something else is seen than before, and no key was taken as a command to the notebook."""
        self.keep("after")
        assert self.shows.inner_html() != self.before
        assert self.page.locator(".jp-Cell").count() == self.cells

    def choose(self, control, option: str) -> None:
        control.select_option(option)  # an open list is a window of the browser's own, beyond Playwright's mouse

    def slide(self, handle, end: str) -> None:
        track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
        handle.hover()
        self.page.mouse.down()
        self.page.mouse.move(track["x"] + (track["width"] if end == "max" else 0), track["y"], steps=5)
        self.page.mouse.up()

    def type(self, field, text: str) -> None:
        field.click(click_count=3)
        self.page.keyboard.type(text)
        self.shows.click(position={"x": 1, "y": 1})  # a change counts when the field is left

    def press(self, button) -> None:
        button.click()


class Keyboard(Mouse):
    """The same, used by keys only, from the widget's cell on."""

    def reach(self, control) -> None:
        self.box.locator("xpath=ancestor::*[contains(@class, 'jp-CodeCell')]").focus()
        for _ in range(40):
            if control.evaluate("control => control === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        pytest.fail("the Tab key does not reach it")

    def choose(self, control, option: str) -> None:
        """Open the list first: in a closed one, JupyterLab takes arrows and many letters as commands of its own."""
        self.reach(control)
        find = "(list, to) => [...list.options].findIndex(option => option.value === to) - list.selectedIndex"
        steps = control.evaluate(find, option)
        for key in ("Space", *["ArrowDown" if steps > 0 else "ArrowUp"] * abs(steps), "Enter"):
            self.page.keyboard.press(key)

    def slide(self, handle, end: str) -> None:
        self.reach(handle)
        self.page.keyboard.press("End" if end == "max" else "Home")

    def type(self, field, text: str) -> None:
        self.reach(field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def press(self, button) -> None:
        self.reach(button)
        self.page.keyboard.press("Enter")


def by_both(names, mouse, keyboard):
    """Run a test by mouse, then by keyboard, with other values, so that each of them changes what is seen."""
    hands = {"mouse": (Mouse, *mouse), "keyboard": (Keyboard, *keyboard)}
    return pytest.mark.parametrize(("hand", *names), hands.values(), ids=hands)


def test_all_cells_run_by_the_menu(page):
    assert page.locator(ERRORS).all_inner_texts() == []
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt").all_text_contents()
    assert prompts == [f"[{number}]:" for number in range(1, len(prompts) + 1)]


@by_both(("network", "end"), ("GPT", "max"), ("BERT", "min"))
def test_the_attention_explorer(page, hand, network, end):
    widget = hand(page, "01_attention_explorer", "network")
    widget.choose(widget["network"], network)
    widget.says(network)
    at = {name: int(float(widget[name].get_attribute(f"aria-value{end}"))) for name in ("layer", "head")}
    for name in at:
        widget.slide(widget[name], end)
    widget.says(f"{network}, layer {at['layer']}, head {at['head']}: ")
    widget.done()


@by_both(("sentence", "middle", "word"), ("It was a thin plot.", "a", "plot"), ("I laughed at it.", "at", "laughed"))
def test_fill_the_blank(page, hand, sentence, middle, word):
    widget = hand(page, "01_fill_the_blank", "hide")
    widget.type(widget["sentence"], sentence)
    widget.says(f"Best guesses for the hidden word, which was {middle}: ")
    widget.press(widget.box.get_by_role("button", name=word, exact=True))
    widget.says(f"Best guesses for the hidden word, which was {word}: ")
    widget.done()


@by_both(("prompt", "seed"), ("The music of this film", "7"), ("Nobody expected", "8"))
def test_the_generation_playground(page, hand, prompt, seed):
    """Each setting in turn changes what is written, when the button is pressed."""
    widget = hand(page, "01_generation_playground", "temperature")
    widget.type(widget["prompt"], prompt)
    widget.slide(widget["top-p"], "max")
    for setting, value in (("temperature", "min"), ("temperature", "max"), ("seed", seed), ("top-p", "min")):
        before = widget.shows.inner_text()
        (widget.type if setting == "seed" else widget.slide)(widget[setting], value)
        widget.press(widget.button)
        expect(widget.shows).not_to_have_text(before, timeout=PATIENCE)
        expect(widget.button).to_have_text("Write", timeout=PATIENCE)
        widget.says(prompt)
    widget.done()


def test_the_keyboard_goes_on_from_the_button_that_writes(page):
    widget = Keyboard(page, "01_generation_playground_again", "temperature")
    widget.type(widget["prompt"], "Once more")
    widget.press(widget.button)
    widget.says("Once more")
    expect(widget.button).to_have_text("Write", timeout=PATIENCE)
    expect(widget.button).to_be_focused()


@by_both(("text", "first"), ("A good film", "a"), ("It was bad", "it"))
def test_the_tokenizer_playground(page, hand, text, first):
    widget = hand(page, "03_tokenizer_playground", "text", without="read by")
    widget.type(widget["text"], text)
    widget.says(f"BERT: 3 pieces{first}")
    widget.done()


@by_both(
    ("text", "cut", "read"),
    ("A good film", "T5", "GPT-2"),
    ("It was bad", "GPT-2", "BERT"),
)
def test_what_the_model_hears(page, hand, text, cut, read):
    widget = hand(page, "03_what_the_model_hears", "read by")
    widget.choose(widget["cut by"], cut)
    widget.says(f"{cut} says: ")
    widget.choose(widget["read by"], read)
    widget.type(widget["text"], text)
    expect(widget.shows.locator("strong")).to_have_text([f"{cut} says: 3 pieces", f"{read} hears: 3 pieces"])
    widget.done()


def test_nothing_complained_and_nothing_left_the_machine(page):
    """The last test: what all those above have done."""
    assert page.faults == []
