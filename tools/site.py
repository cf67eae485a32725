"""The course as a site: `python -m tools.site` stages its pages in build/site-pages and builds build/site.

Nothing is executed: lessons, exercises and their answers are the committed notebooks, the ledger is read from the
cards in them, the pages of `utils` from its docstrings. A warning is an error; links inside the site are followed.
"""

from __future__ import annotations

import base64
import copy
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat

from tools import live
from tools.notebooks.files import NOTEBOOKS, PICTURES, README, ROOT
from tools.notebooks.source import deeper, duration, exercises, lessons
from utils import claims
from utils.console import run_program
from utils.files import emptied

PAGES, SITE = ROOT / "build" / "site-pages", ROOT / "build" / "site"
WIDGET = "application/vnd.jupyter.widget-view+json"
LIVE = {  # words of what stands beside a widget -> the live page's panel that does the same
    "attention": "bert-fills-blanks", "fill blanks": "bert-fills-blanks", "write on": "gpt-writes-on",
    "cut your own text": "three-tokenizers", "another table": "the-wrong-tokenizer",
}  # fmt: skip
CARD_FIGURE = {"01_bert_gpt_t5": 2, "05_beyond_the_trainer": 1}  # which says most when small; the first elsewhere
INSTEAD = "Move it away, or work in a copy of the course that you can write to."


def main() -> int:
    """Stage and build; returns the exit status."""
    stage(PAGES)
    emptied(SITE, INSTEAD)
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", "-b", "html"]
    sphinx += ["-c", str(ROOT / "site")]
    if subprocess.run([*sphinx, "-d", str(PAGES.with_name("site-doctrees")), str(PAGES), str(SITE)]).returncode:
        return 1
    live.pack(SITE / "_static" / "live")
    broken = broken_links(SITE)
    print("\n".join(broken) or f"{len(list(SITE.rglob('*.html')))} pages, {megabytes(SITE):.1f} MB: {SITE}/index.html")
    return 1 if broken else 0


def stage(folder: Path) -> None:
    """Put all pages where Sphinx looks for them; what was there is replaced."""
    emptied(folder, INSTEAD)
    for name in ("notebooks/deeper", "notebooks/exercises", "docs/pictures", "models"):
        (folder / name).mkdir(parents=True)
    for page in (ROOT / "site").glob("*.md"):
        shutil.copyfile(page, folder / page.name)
    shutil.copytree(ROOT / "site" / "static", folder / "static")
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copyfile(page, folder / "docs" / page.name)
    for picture in PICTURES.glob("*.png"):
        shutil.copyfile(picture, folder / "docs" / "pictures" / picture.name)
    for name in lessons():
        if picture := card_picture(name):
            (folder / "docs" / "pictures" / f"card_{name}.png").write_bytes(picture[0])
    terms = (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8")
    (folder / "notebooks" / "glossary.md").write_text(terms.replace("\n### ", "\n## "), encoding="utf-8")
    for name in [*lessons(), *deeper()]:
        write(folder / "notebooks" / f"{name}.ipynb", for_a_page(read(NOTEBOOKS / f"{name}.ipynb")))
    for name in exercises():
        write(folder / "notebooks" / "exercises" / f"{name}.ipynb", exercise_page(name))
    for card in [ROOT / "models" / "README.md", *sorted((ROOT / "models").glob("*/README.md"))]:
        target = folder / card.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(card, target)
        for picture in card.parent.glob("*.png"):
            shutil.copyfile(picture, target.parent / picture.name)
    (folder / "claims.md").write_text(ledger(), encoding="utf-8")
    (folder / "api.md").write_text(api(), encoding="utf-8")


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook of this course."""
    return nbformat.read(path, as_version=4)


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write a staged notebook."""
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def for_a_page(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with each widget replaced by the text that stands beside it (a page has no kernel).

    What stands beside a card for programs is left out.
    """
    notebook.metadata.pop("widgets", None)
    fold(next(cell for cell in notebook.cells if cell.cell_type == "code"), "the first cell")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("../site/", "../")  # the site's own pages stand at its top
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(claims.MIME, None)
            if WIDGET in output.get("data", {}):
                del output.data[WIDGET]
                output.data["text/plain"] = said = f"[{output.data['text/plain']} Run the notebook to use it.]"
                for panel in [panel for words, panel in LIVE.items() if words in said][:1]:
                    output.data["text/markdown"] = f"{said} Here, [try it with the small models](../live.md#{panel})."
    return notebook


def exercise_page(name: str) -> nbformat.NotebookNode:
    """The exercises of a lesson; below each cell that is to be filled in, the filled one in a disclosure."""
    blank, solved = (read(NOTEBOOKS / kind / f"{name}.ipynb") for kind in ("exercises", "solutions"))
    page = copy.deepcopy(blank)
    page.cells[0].source = re.sub(
        r"The \[solutions\]\([^)]*\) are there too: try\s+first\.", "A solution is folded below each: try first.",
        page.cells[0].source,
    )  # fmt: skip
    fold(next(cell for cell in page.cells if cell.cell_type == "code"), "the first cell")
    cells = []
    for cell, answer in zip(page.cells, solved.cells, strict=True):
        cells.append(cell)
        if cell.cell_type == "code" and cell.source != answer.source:
            answer = copy.deepcopy(answer)
            answer.id = f"{cell.id}-solution"
            cells.append(fold(answer, "the solution"))
    page.cells = cells
    return page


def fold(cell: nbformat.NotebookNode, what: str) -> nbformat.NotebookNode:
    """Put the text of a code cell into a disclosure."""
    prompts = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
    cell.metadata = nbformat.from_dict({"tags": ["hide-input"], "mystnb": prompts})
    return cell


def finding() -> str:
    """README's picture, in Markdown: the finding, with its text for those who do not see it."""
    return re.search(r"^!\[.*\]\(.*\)$", README.read_text(encoding="utf-8"), re.MULTILINE)[0]


def lesson_cards() -> str:
    """A card for each lesson, in MyST: picture, title, the first goal, a beginner's time and the machine's."""
    cards = []
    for name in lessons():
        course = read(NOTEBOOKS / f"{name}.ipynb").metadata["course"]
        goal = course["goals"][0]
        times = f"{duration(course['minutes_yours'])}; two CPU cores: {duration(course['minutes_cpu'])}"
        picture = card_picture(name)
        shown = f"![{picture[1]}](docs/pictures/card_{name}.png)\n\n" if picture else ""
        text = f"**[{course['title']}](notebooks/{name}.ipynb)**\n\n{goal[0].upper()}{goal[1:]}.\n\n{times}"
        cards.append(f":::{{container}} lesson\n{shown}{text}\n:::\n")
    return "::::{container} lessons\n" + "\n".join(cards) + "::::"


def card_picture(name: str) -> tuple[bytes, str] | None:
    """A lesson's figure for its card and the first sentence of its alternative text; None where it has no figure."""
    cells = read(NOTEBOOKS / f"{name}.ipynb").cells
    figures = [out for cell in cells for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    if not figures:
        return None
    figure = figures[CARD_FIGURE.get(name, 0)]
    alt = figure.metadata["image/png"]["alt"].partition(". ")[0]
    return base64.b64decode(figure.data["image/png"]), re.sub(r"[\[\]]", "", alt)


def ledger() -> str:
    """The page of the claims, read from the committed lessons."""
    recorded = claims.in_notebooks(NOTEBOOKS)
    text = (
        "# The sentences, and what became of them\n\nWhat people repeat about these models, measured in the lessons on "
        "two CPU cores under `embedded`. A verdict is computed from its numbers; unfold a sentence to see them.\n"
    )
    return f"{text}\n```{{raw}} html\n{claims.table(recorded)['text/html']}\n```\n"


def api() -> str:
    """The page of the modules that lessons import, from their docstrings."""
    modules = sorted(path.stem for path in (ROOT / "utils").glob("*.py") if path.stem != "__init__")
    parts = ["# What lessons import", "The modules of `utils`, from their docstrings."]
    for module in modules:
        parts.append(f"## utils.{module}\n\n```{{eval-rst}}\n.. automodule:: utils.{module}\n   :members:\n```")
    return "\n\n".join(parts) + "\n"


def broken_links(site: Path) -> list[str]:
    """Links and pictures of the built pages that lead to no file or no anchor of the site, and those that leave it."""
    parsers = {}
    for page in site.rglob("*.html"):
        if "_static" not in page.parts:
            parser = _Links()
            parser.feed(page.read_text(encoding="utf-8"))
            parsers[page.resolve()] = parser
    faults = []
    for page, parser in parsers.items():
        for link in parser.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            known = parsers.get(target)
            if not target.exists() or (parts.fragment and known and unquote(parts.fragment) not in known.ids):
                faults.append(f"{page.relative_to(site)}: {link} leads nowhere")
        faults += [f"{page.relative_to(site)}: loads {address} from elsewhere" for address in parser.loaded]
    return faults


class _Links(HTMLParser):
    """Where a page's links lead, what it loads from elsewhere, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.links, self.loaded, self.ids = [], [], {"", "top"}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect."""
        given = dict(attributes)
        self.ids.add(given.get("id") or "")
        address = given.get("src") or given.get("href")
        if not address or address.startswith(("data:", "mailto:")):
            return
        if tag in ("script", "link", "img", "iframe") and urlsplit(address).scheme in ("http", "https"):
            self.loaded.append(address)
        self.links.append(address)


def megabytes(folder: Path) -> float:
    """Size of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def add_mathml(app) -> None:
    """Make a Sphinx application render formulas as MathML, which browsers draw by themselves."""
    from docutils.nodes import SkipNode
    from latex2mathml.converter import convert

    def draw(display: str):
        def visit(writer, node) -> None:
            formula = convert(node.astext(), display=display)
            writer.body.append(f'<div class="formula" tabindex="0">{formula}</div>' if display == "block" else formula)
            raise SkipNode

        return visit

    app.add_html_math_renderer("mathml", (draw("inline"), None), (draw("block"), None))


if __name__ == "__main__":
    run_program(main)
