import json
from types import SimpleNamespace

import pytest

from utils import claims
from utils.intervals import Number


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What was displayed; records go to a folder of their own."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def record(tests, id="01.1", words="A < B & C", profile="embedded"):
    claims.record(id, words, {"a share": Number(40.0, 30.9, 49.8, "%"), "plain": 3}, tests, "A source", profile)


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        ([True, True], "holds"),
        ([True, False], "holds in part"),
        ([True, None], "holds in part"),
        ([False, False], "does not hold"),
        ([False, None], "not settled here"),
        ([None], "not settled here"),
    ],
)
def test_the_verdict_follows_from_the_tests(shown, tests, verdict):
    record({str(number): met for number, met in enumerate(tests)})
    (claim,) = claims.ledger("embedded")
    assert claim.verdict == verdict
    assert shown[0][claims.MIME]["verdict"] == verdict


def test_a_verdict_cannot_be_typed():
    with pytest.raises(TypeError):
        claims.Claim("01.1", "words", {}, {"a": True}, "source", "embedded", verdict="holds")
    kept = claims.as_json(claims.Claim("01.1", "words", {}, {"a": False}, "source", "embedded"))
    assert claims.from_json(kept | {"verdict": "holds"}).verdict == "does not hold"


def test_the_card_says_all_in_text_and_in_html(shown):
    record({"it is so": True, "it is not": False, "who knows": None})
    text, page = shown[0]["text/plain"], shown[0]["text/html"]
    for part in (
        "holds in part",
        "40.0% (30.9 to 49.8)",
        "plain",
        "3",
        "met: it is so",
        "not met: it is not",
        "A source",
    ):
        assert part in text
        assert part in page
    assert "cannot tell: who knows" in text
    assert "A &lt; B &amp; C" in page


def test_a_record_is_replaced_by_a_later_one_and_profiles_are_kept_apart(shown):
    record({"a": True})
    record({"a": False})
    record({"a": True}, profile="full")
    assert [claim.verdict for claim in claims.ledger("embedded")] == ["does not hold"]
    assert [claim.verdict for claim in claims.ledger("full")] == ["holds"]


def test_the_ledger_is_in_order_and_skips_what_cannot_be_read(shown):
    for id in ("01.10", "01.9", "00.1"):
        record({"a": True}, id=id)
    (claims.ledger_folder("embedded") / "01.3.json").write_text('{"id": "01.3", "wor')
    (claims.ledger_folder("embedded") / "01.4.json").write_text(json.dumps({"id": "01.4"}))
    assert [claim.id for claim in claims.ledger("embedded")] == ["00.1", "01.9", "01.10"]


@pytest.mark.parametrize(("id", "tests"), [("1.1", {"a": True}), ("01.x", {"a": True}), ("01.1", {})])
def test_a_claim_without_a_proper_id_or_a_test_is_an_error(shown, id, tests):
    with pytest.raises(ValueError, match="Expected an id like"):
        record(tests, id=id)


def test_numbers_of_numpy_are_kept_as_plain_ones(shown):
    import numpy as np

    claims.record("01.1", "w", {"a": np.float32(0.25)}, {"t": np.bool_(True)}, "s", "embedded")
    (claim,) = claims.ledger("embedded")
    assert claim.numbers == {"a": Number(0.25)}
    assert claim.tests == {"t": True}


def test_the_table_of_claims_says_words_verdict_numbers_and_source(shown):
    record({"a": True, "b": False})
    table = claims.table(claims.ledger("embedded"))
    for part in ("01.1", "A &lt; B &amp; C", "holds in part", "40.0% (30.9 to 49.8)", "A source"):
        assert part in table["text/html"]
    assert "01.1  ◐ holds in part" in table["text/plain"]


def test_the_ledger_can_be_kept_elsewhere(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "other"))
    record({"a": True})
    assert (tmp_path / "other" / "embedded" / "01.1.json").exists()
    monkeypatch.delenv("COURSE_CLAIMS")
    assert claims.ledger("embedded") == []


def test_lesson_06_says_which_lessons_were_not_run(monkeypatch, capsys, tmp_path):
    """Its own cells that show the ledger, where no lesson has left a card."""
    from tests.conftest import cells_of
    from tools.notebooks.files import NOTEBOOKS, ROOT

    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path))
    scope = {"course": ROOT, "profile": SimpleNamespace(name="embedded")}
    for cell in cells_of("06", "recorded"):
        exec(cell.source, scope)
    lessons = {claim.id[:2] for claim in claims.in_notebooks(NOTEBOOKS)}
    assert len(lessons) == 6
    assert capsys.readouterr().out.count("Not run on this machine under `embedded` yet") == len(lessons)
