"""Lesson 06's table of jobs, held against the cards of the committed lessons."""

from notebooks.source.lesson_06 import jobs
from tools.notebooks.files import NOTEBOOKS
from utils import claims


def test_each_row_rests_on_sentences_that_the_lessons_have():
    recorded = {claim.id for claim in claims.in_notebooks(NOTEBOOKS)}
    named = {id for *_, ids in jobs.JOBS for id in ids}
    assert named
    assert named <= recorded


def test_the_table_shows_the_numbers_of_this_machine():
    recorded = claims.in_notebooks(NOTEBOOKS)
    (claim,) = [claim for claim in recorded if claim.id == "01.4"]
    ((name, number),) = claim.number.items()
    assert f"| 01.4: {name}: {number} |" in jobs.table(recorded)
    (claim,) = [claim for claim in recorded if claim.id == "04.4"]
    key, shown = jobs.SHOWN["04.4"]
    assert f"| 04.4: {shown}: {claim.context[key]} |" in jobs.table(recorded)
    assert "01.4: not run yet" in jobs.table([])


def test_the_glossary_explains_a_term_without_links_and_other_forms(tmp_path, capsys):
    glossary = tmp_path / "glossary.md"
    glossary.write_text("# Glossary\n\n### one\nAlso: ones\n\nFirst\nline. See [there](a.md).\n\n### two\n\nSecond.\n")
    jobs.explain(glossary, "two", "one")
    assert capsys.readouterr().out == "two: Second.\n\none: First line. See there.\n\n"
