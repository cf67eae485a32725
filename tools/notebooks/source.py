"""From a percent script to the cells of a notebook: header and first cell are generated, the rest is the author's."""

from __future__ import annotations

import ast
import hashlib
import html
import importlib
import re
import textwrap
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.notebooks.files import NOTEBOOKS, colab_address, release, repository
from utils.profiles import ON_THE_HUB

FIELDS = ("name", "title", "goals", "minutes_cpu", "needs")
CLOSING = "## To remember"
START, END = "# Your lines start here.", "# Your lines end here."
CHECK = re.compile(r'^check\("(\d\d\.\d)", (\w+)\)$')
QUIZ, GLOSSARY = "quiz.yaml", "glossary.md"
# With it, `jupyter nbconvert --to script` knows that a script is called .py, and editors how to colour it.
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "nbconvert_exporter": "python",
            "pygments_lexer": "ipython3", "codemirror_mode": {"name": "ipython", "version": 3}}  # fmt: skip
EMPHASIS = re.compile(r"(?<![*\w])\*([^*\n]+(?:\n[^*\n]+)?)\*(?![*\w])")
MARKER = "# NBVAL_CHECK_OUTPUT"  # the first line of a source's cell; students get the tag instead
COMPARED = "nbval-check-output"  # nbval's tag for it

FIRST_CELL = """\
# Every lesson opens with this cell: it finds the course, checks this kernel and chooses a profile.
# `uses` is what the `full` profile fetches from the hub; add what you use beside that.
{modules}
from pathlib import Path

here = Path.cwd()
{colab}course = next((folder for folder in (here, *here.parents) if (folder / "utils/environment.py").exists()), None)
if course is None:
    error = RuntimeError(f"The course is not in {{here}} or above it: {then}.")
    error._render_traceback_ = lambda: [str(error)]  # one line instead of a page
    raise error
sys.path.insert(0, str(course))

from utils.environment import begin

profile = begin({uses}){imports}"""

COLAB = """\
if "google.colab" in sys.modules:  # Colab has no course yet: fetch it, once
    here, new = Path("/content/course"), "/content/course.unfinished"
    if not here.exists():
        subprocess.run(["rm", "-rf", new])
        clone = ["git", "clone", "--quiet", "--depth", "1", "--branch", "{release}", "{address}", new]
        if subprocess.run(clone).returncode == 0:
            os.rename(new, here)
    os.chdir(here / "notebooks" if here.exists() else "/content")
"""
CHECKS = "\n\nfrom notebooks.source.{room}.checks import check"
USES = re.compile(r"(AutoTokenizer\.from_pretrained\()?\bprofile\.(\w+)")


def rooms(folder: Path = NOTEBOOKS) -> dict[str, Path]:
    """Name of each lesson's notebook -> the folder with everything of that lesson, in order."""
    return {name_of(path): path.parent for path in sorted((folder / "source").glob("lesson_*/lesson.py"))}


def lessons(folder: Path = NOTEBOOKS) -> list[str]:
    """Names of the lessons, in order."""
    return list(rooms(folder))


def exercises(folder: Path = NOTEBOOKS) -> list[str]:
    """Names of the lessons that have exercises, in order."""
    return [name for name, room in rooms(folder).items() if (room / "exercises.py").exists()]


def deeper(folder: Path = NOTEBOOKS) -> dict[str, Path]:
    """Name of each deeper notebook, such as `deeper/02_an_honest_split` -> its source in the lesson's room."""
    return {f"deeper/{name_of(path)}": path for path in sorted((folder / "source").glob("lesson_*/deeper_*.py"))}


def name_of(path: Path) -> str:
    """The name of a lesson's notebook, from the header of its source.

    Raises:
        ValueError: the header has none.
    """
    name = re.search(r"^#     name: (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if name is None:
        raise ValueError(f"{path.parent.name}/{path.name}: the header lacks name under `jupyter: course:`.")
    return name[1]


def load_checks() -> None:
    """Register the checks of all lessons with `utils.checks`."""
    for room in rooms().values():
        if (room / "checks.py").exists():
            importlib.import_module(f"notebooks.source.{room.name}.checks")


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook that a lesson's percent script stands for: no outputs, stable ids, generated header and first cell.

    Raises:
        ValueError: the script's header lacks a field.
    """
    script, course = _read(path, FIELDS)
    notebook = _new_notebook(course)
    deep = path.name.startswith("deeper_")
    notebook.cells = [_header(course, "deeper/" * deep), _first_cell(uses(path.read_text(encoding="utf-8")))]
    for cell in script.cells:
        new = new_code_cell if cell.cell_type == "code" else new_markdown_cell
        tags, text = list(cell.metadata.get("tags", [])), cell.source
        if text.startswith(f"{MARKER}\n"):
            tags, text = [*tags, COMPARED], text.removeprefix(f"{MARKER}\n")
        notebook.cells.append(new(text, metadata={"tags": tags} if tags else {}))
    if not deep:
        _add_quiz(notebook, path)
    _link_terms(notebook, path.parents[2] / GLOSSARY, "../" * deep)
    _number(notebook)
    return notebook


def read_exercises(path: Path, solved: bool) -> nbformat.NotebookNode:
    """The notebook of the exercises that lie beside a lesson, with the marked lines or without them.

    Raises:
        ValueError: the header lacks a field, a mark lacks its partner, or what is left is no Python.
    """
    script, course = _read(path, ("title",))
    name = name_of(path.with_name("lesson.py"))
    notebook = _new_notebook({"exercises": name})
    intro = _SOLVED if solved else _BLANK
    title = f"# {course['title']}\n\n{intro.format(name=name)}"
    reads = uses(path.read_text(encoding="utf-8"))
    notebook.cells = [new_markdown_cell(title), _first_cell(reads, CHECKS.format(room=path.parent.name))]
    for cell in script.cells:
        if cell.cell_type != "code":
            notebook.cells.append(new_markdown_cell(cell.source))
            continue
        blank = without_solution(cell.source)
        try:
            ast.parse(blank)
        except SyntaxError as error:
            raise ValueError(
                f"{path.parent.name}/{path.name}: without the student's lines this is no Python ({error}):\n{blank}"
            ) from None
        compared = solved and CHECK.match(cell.source)
        metadata = {"tags": [COMPARED]} if compared else {}
        notebook.cells.append(new_code_cell(cell.source if solved else blank, metadata=metadata))
    _number(notebook)
    return notebook


def without_solution(source: str) -> str:
    """A cell's text without the lines between the two marks.

    Raises:
        ValueError: a mark without its partner, or nothing between them.
    """
    blank = []
    inside = None  # lines since the first mark; None outside
    for line in source.splitlines():
        mark = line.strip()
        if mark == START and inside is None:
            inside = 0
        elif mark == END and inside:
            inside = None
        elif mark in (START, END):
            raise ValueError(f"Expected {START!r}, lines, {END!r}, in this order; see:\n{source}")
        elif inside is not None:
            inside += 1
            continue
        blank.append(line)
    if inside is not None:
        raise ValueError(f"{START!r} without {END!r} in:\n{source}")
    return "\n".join(blank)


def glossary(path: Path) -> dict[str, str]:
    """Each term of the glossary in each of its forms, lower case -> the anchor of its heading.

    Raises:
        ValueError: a form that stands twice.
    """
    forms: dict[str, str] = {}
    anchor = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            terms = [line.removeprefix("### ")]
            anchor = terms[0].lower().replace(" ", "-")
        elif line.startswith("Also: "):
            terms = line.removeprefix("Also: ").split(", ")
        else:
            continue
        for form in map(str.lower, terms):
            if form in forms:
                raise ValueError(f"{path.name}: {form!r} stands there twice.")
            forms[form] = anchor
    return forms


def _link_terms(notebook: nbformat.NotebookNode, path: Path, way: str) -> None:
    """Link each emphasised term of the glossary, where a notebook emphasises it first; `way` leads to its folder."""
    forms = glossary(path) if path.exists() else {}
    linked = set()

    def link(match: re.Match) -> str:
        anchor = forms.get(" ".join(match[1].lower().split()))
        if anchor is None or anchor in linked:
            return match[0]
        linked.add(anchor)
        return f"[*{match[1]}*]({way}{path.name}#{anchor})"

    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            parts = re.split(r"(```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\))", cell.source, flags=re.DOTALL)
            cell.source = "".join(part if place % 2 else EMPHASIS.sub(link, part) for place, part in enumerate(parts))


def _add_quiz(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Put the lesson's questions in front of its closing cell; each choice unfolds into what is right or wrong with it.

    Plain Markdown with HTML's own disclosures: it works in JupyterLab, in Colab, on GitHub, on the site, without a
    kernel and by keyboard.
    """
    quiz = path.with_name(QUIZ)
    if not quiz.exists():
        return
    questions = yaml.safe_load(quiz.read_text(encoding="utf-8"))
    parts = ["## Quiz\n\nOpen the answer that you would give."]
    for number, question in enumerate(questions, 1):
        parts.append(f"---\n\n**{number}.** {question['question']}")
        for choice in question["choices"]:
            verdict = "✓ Right." if choice.get("right") else "✗ No."
            text = html.escape(choice["text"], quote=False)  # a summary is HTML, not Markdown
            text = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", re.sub(r"`([^`]+)`", r"<code>\1</code>", text))
            parts.append(f"<details><summary>{text}</summary>\n\n{verdict} {choice['because']}\n\n</details>")
    closing = [place for place, cell in enumerate(notebook.cells) if cell.source.startswith(CLOSING)]
    notebook.cells.insert(closing[0] if closing else len(notebook.cells), new_markdown_cell("\n\n".join(parts)))


_BLANK = """\
To [the lesson](../{name}.ipynb). Run the cells in order. Write between the two marks, in as many lines as you like, and
change nothing else; the cell below says whether it is right, or gives a hint. After three wrong tries it gives a
stronger one. Lesson 00 shows what you have solved. The [solutions](../solutions/{name}.ipynb) are there too: try
first."""

_SOLVED = """\
These are the solutions: one way to solve each of [the exercises](../exercises/{name}.ipynb) of
[the lesson](../{name}.ipynb). Other ways are as good; the checks look at what your lines do."""


def _read(path: Path, fields: tuple[str, ...]):
    script = jupytext.read(path, fmt="py:percent")
    course = script.metadata.get("course", {})
    missing = [field for field in fields if not course.get(field)]
    if missing:
        raise ValueError(
            f"{path.parent.name}/{path.name}: the header lacks {', '.join(missing)} under `jupyter: course:`."
        )
    return script, course


def _new_notebook(course: dict) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(metadata={
        "course": dict(course),
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": LANGUAGE,
    })  # fmt: skip


def _header(course: dict, folder: str) -> nbformat.NotebookNode:
    address = repository()
    colab = f" · [Open in Colab]({colab_address(folder + course['name'], address)})" if address else ""
    goals = "\n".join(f"- {goal}" for goal in course["goals"])
    yours = f"yours {duration(course['minutes_yours'])}; the machine's on " if "minutes_yours" in course else ""
    gpu = f"; a GPU: {duration(course['minutes_gpu'])}" if "minutes_gpu" in course else ""
    return new_markdown_cell(textwrap.dedent("""\
        # {title}

        **You will be able to**

        {goals}

        **Time** {yours}two CPU cores: {cpu}{gpu} · **Needs** {needs}{colab}""").format(
            title=course["title"], goals=goals, cpu=duration(course["minutes_cpu"]),
            gpu=gpu, yours=yours, needs=course["needs"], colab=colab,
        ))  # fmt: skip


def duration(minutes: str | int) -> str:
    """A header's minutes with their unit; words that stand in for a number as they are."""
    return f"{minutes} min" if str(minutes)[0].isdigit() else str(minutes)


def uses(source: str) -> list[str]:
    """What a notebook reads of the hub's repositories, in the words of `utils.profiles.detect`, sorted.

    A model whose tokenizer alone is loaded, by `AutoTokenizer.from_pretrained(profile.NAME…)`, gets "/tokenizer".
    """
    names = set()
    whole = {"gpt2_tokenizer", "imdb"}
    for tokenizer, name in USES.findall(source):
        if name in ON_THE_HUB:
            names.add(name)
            if not tokenizer:
                whole.add(name)
    return sorted(name if name in whole else f"{name}/tokenizer" for name in names)


def _first_cell(reads: list[str], imports: str = "") -> nbformat.NotebookNode:
    address = repository()
    colab = COLAB.format(address=address, release=release()) if address else ""
    modules = "import os, subprocess, sys" if address else "import sys"
    listed = ", ".join(f'"{name}"' for name in reads)
    then = "open this notebook inside the cloned course" + ("; in Colab, run this cell again" if address else "")
    parts = {"modules": modules, "colab": colab, "then": then, "imports": imports, "uses": f"uses=[{listed}]"}
    return new_code_cell(FIRST_CELL.format(**parts))


def _number(notebook: nbformat.NotebookNode) -> None:
    """Ids that change only when a cell's own text does, so that a diff shows what was edited."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
