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
