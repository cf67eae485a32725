"""The site, as it is built and as a browser shows it."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import chromium, watch
from tools import site as tool
from tools.notebooks.source import deeper, exercises, lessons

LARGEST = 60  # MB, three models of 9 MB each among them


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
    wanted += [f"notebooks/{name}.html" for name in deeper()]
    wanted += [f"notebooks/exercises/{name}.html" for name in exercises()]
    wanted += ["notebooks/glossary.html", "claims.html", "models/mini-bert/README.html", "api.html", "live.html"]
    wanted += [f"docs/{name}.html" for name in ("students", "instructors", "authors", "licences", "hub")]
    wanted += ["search.html"]
    assert set(wanted) <= set(found)
    assert tool.megabytes(site) < LARGEST


def test_a_lesson_can_be_downloaded_as_a_notebook(site):
    page = (site / "notebooks" / "01_bert_gpt_t5.html").read_text(encoding="utf-8")
    (address,) = set(re.findall(r'href="([^"]*\.ipynb)"', page))
    notebook = json.loads((site / "notebooks" / address).resolve().read_text(encoding="utf-8"))
    assert notebook["cells"]


def test_widgets_are_replaced_by_their_text(site):
    page = (site / "notebooks" / "01_bert_gpt_t5.html").read_text(encoding="utf-8")
    assert "[An attention explorer; the figure above shows its mean. Run the notebook to use it.]" in page
    assert "widget-view" not in page
    assert 'href="../live.html#gpt-writes-on"' in page


def test_links_to_the_site_s_own_pages_lead_there():
    cells = [nbformat.v4.new_code_cell(), nbformat.v4.new_markdown_cell("[a](../site/a.md), [b](../../site/b.md)")]
    page = tool.for_a_page(nbformat.v4.new_notebook(cells=cells))
    assert page.cells[1].source == "[a](../a.md), [b](../../b.md)"


def test_the_formula_is_mathml(site):
    assert "<math" in (site / "notebooks" / "04_why_transfer_works.html").read_text(encoding="utf-8")


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
def page(browser):
    """An empty page; what it complained about and asked of others is kept in `page.faults`."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.faults = watch(page, lambda url: not url.startswith("http"))
        yield page


SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT_LINES = """[...document.querySelectorAll("pre")].filter(pre => pre.scrollWidth > pre.clientWidth + 1)
    .map(pre => `cut lines: ${pre.textContent.slice(0, 60)}`)"""
CUT_FORMULAS = """[...document.querySelectorAll("math[display=block]")].filter(formula => {
        const {right} = formula.parentElement.getBoundingClientRect()
        return [...formula.querySelectorAll("*")].some(part => part.getBoundingClientRect().right > right + 1)
    }).map(formula => `cut formula: ${formula.textContent.slice(0, 60)}`)"""
BAD_PICTURES = """[...document.images].filter(image => !image.alt || !image.naturalWidth)
    .map(image => `picture: ${image.src.slice(-60)}`)"""
# Contrast takes axe seconds on a thousand elements: mark one text for each look that no page had before.
MARK_NEW_LOOKS = """known => {
    const looks = new Set(known)
    for (const element of document.body.querySelectorAll("*")) {
        element.removeAttribute("data-look")
        if (![...element.childNodes].some(node => node.nodeType == Node.TEXT_NODE && node.data.trim())) continue
        if (!element.checkVisibility({visibilityProperty: true})) continue
        const {color, fontSize, fontWeight, opacity, textDecorationLine} = getComputedStyle(element)
        let behind = element
        while (behind.parentElement && getComputedStyle(behind).backgroundColor == "rgba(0, 0, 0, 0)")
            behind = behind.parentElement
        const background = getComputedStyle(behind).backgroundColor
        const look = [color, background, fontSize, fontWeight, opacity, textDecorationLine].join()
        if (!looks.has(look)) element.setAttribute("data-look", "new")
        looks.add(look)
    }
    return [...looks]
}"""


def test_every_page_loads_whole_fits_and_is_accessible(site, page):
    """No error, no request that leaves the machine, no sideways scrolling, a text for every picture, nothing of axe."""
    faults, looks = {}, []
    for name in pages(site):
        faults[name] = faults_of(page, (site / name).as_uri(), looks)
    assert {name: found[:5] for name, found in faults.items() if found} == {}
    assert len(looks) > 50


def faults_of(page, address: str, looks: list[str]) -> list[str]:
    """One line for each fault of a page; `looks` of texts, whose contrast is tested when they occur first, grows."""
    page.emulate_media(color_scheme="light")
    page.faults.clear()
    page.goto(address)
    page.add_style_tag(content="* { transition: none !important }")  # a colour on its way from one scheme to the other
    faults = page.evaluate(BAD_PICTURES)
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        over = page.evaluate(SIDEWAYS)
        faults += [f"scrolls sideways by {over} pixels at a width of {width}"] if over > 0 else []
        faults += page.evaluate(CUT_FORMULAS)
    faults += page.evaluate(CUT_LINES)
    faults += serious(page, rules={"color-contrast": {"enabled": False}})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"html[data-theme={scheme}]")
        known = len(looks)
        looks[:] = page.evaluate(MARK_NEW_LOOKS, looks)
        if len(looks) > known:
            faults += serious(page, "[data-look]", runOnly=["color-contrast"])
    return faults + page.faults


def serious(page, part: str | None = None, **options) -> list[str]:
    """What axe finds that is serious or critical, a line for each element. `part` is a selector; None: the page."""
    options |= {"resultTypes": ["violations"], "preload": False}  # a page from disk cannot read its style sheets
    violations = Axe().run(page, part, options).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def test_the_live_page_works_by_keyboard_alone_fits_and_is_accessible_in_use(site, page):
    page.goto((site / "live.html").as_uri())
    blank = page.locator("#live-blank")
    blank.get_by_label("Sentence").focus()
    tab_to(page, "wasted")
    page.keyboard.press("Space")
    blank.get_by_text("First guess").wait_for()
    tab_to(page, "movie")
    page.keyboard.press("Enter")
    blank.locator("[aria-pressed=true]", has_text="movie").first.wait_for()
    tab_to(page, "Write on")
    page.keyboard.press("Enter")
    page.locator("#live-write").get_by_text("Top-p keeps").wait_for()
    tab_to(page, "3:45 PM")
    page.keyboard.press("Enter")
    page.locator("#live-tasks").get_by_text("→").wait_for()
    tab_to(page, "Compare")
    page.keyboard.press("Enter")
    page.locator("#live-change").get_by_text("Left of the change").wait_for()
    assert page.locator("#live-elsewhere").count() == 0  # what stands there without JavaScript
    faults = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"html[data-theme={scheme}]")
        page.add_style_tag(content="* { transition: none !important }")
        faults += serious(page, ".bd-article")
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            over = page.evaluate(SIDEWAYS)
            faults += [f"scrolls sideways by {over} pixels at a width of {width}"] if over > 0 else []
    assert faults + page.faults == []


def tab_to(page, text: str) -> None:
    """Press Tab until the element with this text has the focus; fails if it never gets it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.trim()") == text:
            return
    pytest.fail(f"the keyboard does not reach {text!r}")


def test_the_search_finds_a_word_without_a_server(site, page):
    page.goto((site / "search.html").as_uri() + "?q=WordPiece")
    page.wait_for_selector("#search-results li:has-text('The tokenizer must match')")  # results come one by one
    assert page.faults == []


def test_a_solution_is_hidden_and_opens_by_keyboard(site, page):
    page.goto((site / "notebooks/exercises/01_bert_gpt_t5.html").as_uri())
    solution = page.locator("details", has_text="Show the solution").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    solution.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert code.is_visible()


def test_the_keyboard_reaches_the_content_and_the_colours_change_by_it(site, page):
    page.goto((site / "notebooks/00_start_here.html").as_uri())
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
