"""The quiz and the glossary, and that every link inside the course leads somewhere."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml

from tools.notebooks.files import NOTEBOOKS, ROOT
from tools.notebooks.source import QUIZ, glossary, lessons, read_source, rooms

QUESTIONS = {
    name[:2]: yaml.safe_load((room / QUIZ).read_text(encoding="utf-8"))
    for name, room in rooms().items() if (room / QUIZ).exists()
}  # fmt: skip
GLOSSARY = NOTEBOOKS / "glossary.md"
# Not the copies that JupyterLab keeps in hidden folders.
OUR_NOTEBOOKS = [
    path for folder in (".", "exercises", "solutions") for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))
]


def test_each_lesson_but_the_first_has_questions():
    assert [name[:2] for name in lessons() if name[:2] not in QUESTIONS] == ["00"]
    assert all(len(questions) >= 3 for questions in QUESTIONS.values())


@pytest.mark.parametrize(("lesson", "question"), [(name, one) for name, some in QUESTIONS.items() for one in some])
def test_a_question_has_one_right_choice_and_explains_all(lesson, question):
    choices = question["choices"]
    assert len(choices) >= 3
    assert [choice.get("right") for choice in choices].count(True) == 1
    assert len({choice["text"] for choice in choices}) == len(choices)
    for choice in choices:
        assert set(choice) <= {"text", "because", "right"}
        assert len(choice["because"]) > 20


def test_the_right_choice_stands_now_here_now_there():
    places = Counter(
        [choice.get("right", False) for choice in question["choices"]].index(True)
        for questions in QUESTIONS.values()
        for question in questions
    )
    assert max(places.values()) < 0.6 * sum(places.values())


@pytest.mark.parametrize("name", [name for name in lessons() if name[:2] in QUESTIONS])
def test_the_quiz_is_in_the_notebook_before_its_closing_cell(name):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    (place,) = (number for number, cell in enumerate(cells) if cell.source.startswith("## Quiz"))
    assert cells[place + 1].source.startswith("## To remember")
    assert cells[place].source.count("<details>") == sum(len(one["choices"]) for one in QUESTIONS[name[:2]])
    assert cells[place].source.count("✓ Right.") == len(QUESTIONS[name[:2]])


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", lessons())
def test_a_choice_shows_every_letter(name):
    """A summary is HTML: what stands in it as `<extra_id_0>` would be taken for a tag and not be shown."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        for summary in re.findall(r"<summary>(.*?)</summary>", cell.source, re.DOTALL):
            assert set(re.findall(r"<[^>]*>", summary)) <= {"<code>", "</code>", "<em>", "</em>"}, summary
            assert not re.search(r"[`*]", re.sub(r"<code>.*?</code>", "", summary)), summary


def test_the_glossary_is_in_order_and_each_term_is_explained():
    parts = re.split(r"^### ", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    terms = [part.splitlines()[0] for part in parts]
    assert terms == sorted(terms, key=str.lower)
    assert set(glossary(GLOSSARY).values()) == anchors(GLOSSARY) - {"glossary"}
    for part in parts:
        _, _, words = part.partition("\n")
        assert len(re.sub(r"^Also:.*$", "", words, flags=re.MULTILINE).split()) >= 8, part
        assert re.search(r"\[(lesson 0\d\]\(|deeper 0\d\]\(deeper/)0\d_\w+\.ipynb\)", words), part


def test_a_page_that_the_glossary_names_uses_the_term():
    entries = re.split(r"^### ", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    forms, unused = glossary(GLOSSARY), []
    for entry in entries:
        term = entry.splitlines()[0]
        words = [form.strip("`") for form, anchor in forms.items() if anchor == forms[term.lower()]]
        for page in set(re.findall(r"\(((?:deeper/)?\d\d_\w+\.ipynb)\)", entry)):
            text = " ".join(" ".join(cell.source for cell in nbformat.read(NOTEBOOKS / page, 4).cells).lower().split())
            if not any(word in text for word in words):
                unused.append(f"{term}: {page}")
    assert unused == []


def test_a_form_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "glossary.md"
    path.write_text("### token\nAlso: tokens\n\nA.\n\n### piece\nAlso: tokens\n\nB.\n")
    with pytest.raises(ValueError, match="'tokens' stands there twice"):
        glossary(path)


def test_a_term_is_linked_where_it_is_emphasised_first_and_nowhere_else(tmp_path):
    (tmp_path / "source" / "lesson_07").mkdir(parents=True)
    (tmp_path / "glossary.md").write_text("### top-p\n\nA.\n\n### masked token\nAlso: masked tokens\n\nB.\n")
    path = tmp_path / "source" / "lesson_07" / "lesson.py"
    header = (
        "name: 07_lesson\n#     title: x\n#     goals: [y]\n#     minutes_cpu: 1\n#     minutes_gpu: 1\n#     needs: z"
    )
    text = "*Masked\n# tokens*, **top-p**, "
    text += "`*top-p*`, $a *top-p* b$, *top-p*, *top-p*, *other*, 2 * top-p * 3, *masked token*"
    path.write_text(f"# ---\n# jupyter:\n#   course:\n#     {header}\n# ---\n\n# %% [markdown]\n# {text}\n")
    assert read_source(path).cells[-1].source == (
        "[*Masked\ntokens*](glossary.md#masked-token), **top-p**, `*top-p*`, $a *top-p* b$, "
        "[*top-p*](glossary.md#top-p), *top-p*, *other*, 2 * top-p * 3, *masked token*"
    )


@pytest.mark.parametrize(
    "path", [*OUR_NOTEBOOKS, GLOSSARY, ROOT / "README.md", ROOT / "models/README.md"],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)  # fmt: skip
def test_every_link_inside_the_course_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        texts += [output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]
        text = "\n".join(texts)
    text = re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        other = (path.parent / file).resolve() if file else path
        assert other.exists(), target
        if anchor and other.suffix == ".md":
            assert anchor in anchors(other), target
