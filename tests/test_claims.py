import json

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
