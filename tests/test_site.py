"""The site, as it is built and as a browser shows it."""

import json
import re
from pathlib import Path

import pytest

from tests.browser import chromium
from tools import site as tool
from tools.notebooks.source import exercises, lessons

LARGEST = 15  # MB


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning would end the build with another status."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool, "PAGES", folder / "site-pages")
        patch.setattr(tool, "SITE", folder / "site")
        assert tool.main() == 0
    return folder / "site"


def pages(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html") if "_static" not in path.parts)


# --- What is built -----------------------------------------------------------------------------------------------


def test_the_site_has_every_page_and_is_small(site):
    found = pages(site)
    wanted = [f"notebooks/{name}.html" for name in lessons()]
    wanted += [f"notebooks/exercises/{name}.html" for name in exercises()]
    wanted += ["notebooks/glossary.html", "claims.html", "models/mini-bert/README.html", "docs/hub.html"]
    wanted += ["instructors.html", "authors.html", "api.html", "search.html"]
    assert set(wanted) <= set(found)
    assert tool.megabytes(site) < LARGEST


def test_a_lesson_can_be_downloaded_as_a_notebook(site):
    page = (site / "notebooks" / "01_bert_gpt_t5.html").read_text(encoding="utf-8")
    (address,) = set(re.findall(r'href="([^"]*\.ipynb)"', page))
    notebook = json.loads((site / "notebooks" / address).resolve().read_text(encoding="utf-8"))
    assert notebook["cells"]


def test_widgets_are_replaced_by_their_text(site):
    page = (site / "notebooks" / "01_bert_gpt_t5.html").read_text(encoding="utf-8")
    assert "[An attention explorer; section 2 shows the mean over its heads. Run the notebook to use it.]" in page
    assert "widget-view" not in page


def test_the_formula_is_mathml(site):
    assert "<math" in (site / "notebooks" / "05_beyond_the_trainer.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("other.html", "page.html: other.html leads nowhere"),
        ("#there", "page.html: #there leads nowhere"),
        ("second.html#there", "page.html: second.html#there leads nowhere"),
        ("#here", None),
        ("second.html#here", None),
        ("https://example.com/", None),
    ],
)
def test_broken_links_are_found(tmp_path, link, said):
    (tmp_path / "second.html").write_text('<p id="here"></p>')
    (tmp_path / "page.html").write_text(f'<p id="here"><a href="{link}">x</a></p>')
    assert tool.broken_links(tmp_path) == ([said] if said else [])


def test_what_is_loaded_from_elsewhere_is_found(tmp_path):
    (tmp_path / "page.html").write_text('<script src="https://example.com/a.js"></script>')
    assert tool.broken_links(tmp_path) == ["page.html: loads https://example.com/a.js from elsewhere"]


# --- In a browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def show(browser, site):
    """Open a page of the site from disk; what it complained about and asked for is kept in `page.faults`."""
    contexts = []

    def open_page(name: str, scheme: str = "light", width: int = 1440):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.faults = []
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("request", lambda one: page.faults.append(one.url) if one.url.startswith("http") else None)
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_loads_whole_and_fits(site, show, scheme, width):
    """No error in the console, no request that leaves the machine, no sideways scrolling, a text for every picture."""
    page = show("index.html", scheme, width)
    faults = {}
    for name in pages(site):
        page.faults.clear()
        page.goto((site / name).as_uri())
        page.wait_for_load_state()
        found = list(page.faults)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"scrolls sideways by {over} pixels"] if over > 0 else []
        found += page.evaluate(
            "[...document.images].filter(one => !one.alt || !one.naturalWidth).map(one => one.src.slice(-60))"
        )
        if found:
            faults[name] = found
    assert faults == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_of_accessibility(site, show, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page, axe, faults = show("index.html", scheme), Axe(), {}
    for name in pages(site):
        page.goto((site / name).as_uri())
        found = axe.run(page).response["violations"]
        serious = {
            f"{one['id']}: {node['html'][:120]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        }
        if serious:
            faults[name] = sorted(serious)[:5]
    assert faults == {}


def test_the_search_finds_a_word_without_a_server(show):
    page = show("search.html")
    page.goto(page.url + "?q=WordPiece")
    page.wait_for_selector("#search-results li")
    assert page.faults == []
    assert "tokenizer" in page.inner_text("#search-results").lower()


def test_a_solution_is_hidden_and_opens_by_keyboard(show):
    page = show("notebooks/exercises/01_bert_gpt_t5.html")
    solution = page.locator("details", has_text="Show the solution").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    solution.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert code.is_visible()


def test_the_keyboard_reaches_the_content_and_the_colours_change_by_it(show):
    page = show("notebooks/00_start_here.html")
    page.wait_for_selector("svg.theme-switch:visible")  # its scripts have run
    page.keyboard.press("Tab")
    assert "main content" in page.evaluate("document.activeElement.innerText").lower()
    button = page.locator(".theme-switch-button:visible").first
    for wanted in ("dark", "light"):
        button.press("Enter")
        page.wait_for_selector(".theme-switch-container .dropdown-menu.show")
        while page.evaluate("document.activeElement.dataset.mode") != wanted:
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.get_attribute("html", "data-theme") == wanted
