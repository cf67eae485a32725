import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from notebooks.source.lesson_02.beforehand import right_beforehand
from tools.notebooks.files import NOTEBOOKS
from utils import claims
from utils.intervals import Number


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What was displayed; records go to a folder of their own."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def record(tests, id="01.1", words="A < B & C", profile="embedded", **changes):
    options = {
        "number": {"a share": Number(40.0, 30.9, 49.8, "%")}, "context": {"plain": 3}, "origin": claims.MEASURED_HERE,
        "model": "mini-bert, 4.3 million weights", "source": "A source", "on": "the weather",
    }  # fmt: skip
    claims.record(id, words, tests=tests, profile=profile, **options | changes)


def verdict(*outcomes):
    tests = {f"part {number}": met for number, met in enumerate(outcomes)}
    return claims.Claim("01.1", "words", tests, {"a": Number(1)}, claims.PUBLISHED, "", "s", "embedded", "x").verdict


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([True], "holds"),
        ([False], "does not hold"),
        ([None], "not settled here"),
        ([True, True], "holds"),
        ([True, False], "depends"),
        ([True, None], "not settled here"),
        ([False, False], "does not hold"),
        ([False, None], "does not hold"),
        ([True, False, None], "depends"),
    ],
)
def test_the_verdict_follows_from_the_tests(shown, outcomes, expected):
    record({str(number): met for number, met in enumerate(outcomes)})
    (claim,) = claims.ledger("embedded")
    assert claim.verdict == shown[0][claims.MIME]["verdict"] == verdict(*outcomes) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_what_is_true_of_every_verdict(count):
    """Over all outcomes of so many parts."""
    for outcomes in itertools.product((True, False, None), repeat=count):
        found = verdict(*outcomes)
        assert all(verdict(*order) == found for order in itertools.permutations(outcomes))
        assert (found == claims.HOLDS) == (set(outcomes) == {True})
        assert (found == claims.DEPENDS) == ({True, False} <= set(outcomes))
        if False in outcomes:  # a failed part is hidden by nothing
            assert found in (claims.FAILS, claims.DEPENDS)
        if None in outcomes:  # deciding a part: only what was open before may change between holding and not
            place = outcomes.index(None)
            decided = {verdict(*outcomes[:place], met, *outcomes[place + 1 :]) for met in (True, False)}
            assert len(decided) == 2 or claims.DEPENDS in decided or found == claims.OPEN


def test_a_claim_that_depends_says_on_what(shown):
    record({"bytes": True, "pieces": False, "letters": None}, on="the tokenizer")
    line = "◐ depends on the tokenizer (yes: bytes; no: pieces; open: letters)"
    assert line in shown[0]["text/plain"]
    assert line in shown[0]["text/html"]
    record({"bytes": True, "pieces": True}, on="the tokenizer")
    assert "on the tokenizer" not in shown[1]["text/plain"]
    record({"bytes": False, "pieces": None}, on="the tokenizer")
    assert "✗ does not hold (no: bytes; open: pieces)" in shown[2]["text/plain"]


def test_a_verdict_cannot_be_typed():
    fields = ("01.1", "words", {"a": False}, {"n": Number(1)}, claims.MEASURED_HERE, "model", "source", "embedded")
    with pytest.raises(TypeError):
        claims.Claim(*fields, verdict="holds")
    kept = claims.as_json(claims.Claim(*fields))
    assert claims.from_json(kept | {"verdict": "holds"}).verdict == "does not hold"


def test_the_card_says_all_in_text_and_in_html(shown):
    record(
        {"it is so": True, "it is not": False, "who knows": None},
        origin=claims.Origin(yours=3, beforehand=54, seeds=10),
    )
    text, page = shown[0]["text/plain"], shown[0]["text/html"]
    for part in (
        "depends on the weather", "a share: ", "40.0% (30.9 to 49.8)", "plain: 3", "met: it is so",
        "not met: it is not",
        "A source", "mini-bert, 4.3 million weights",
        "3 of 57 runs from this machine, the others came with the course, 10 seeds",
    ):  # fmt: skip
        assert part in text
        assert part in page.replace("<strong>", "")
    assert "cannot tell: who knows" in text
    assert "A &lt; B &amp; C" in page
    assert page.index("40.0%") < page.index("<details>") < page.index("plain: 3")  # the rest is folded


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (claims.Origin(), "published by others"),
        (claims.Origin(yours=1), "measured on this machine"),
        (claims.Origin(yours=6, seeds=3), "measured on this machine, 3 seeds"),
        (claims.Origin(beforehand=1), "came with the course: 1 run"),
        (claims.Origin(beforehand=30, seeds=10), "came with the course: 30 runs, 10 seeds"),
    ],
)
def test_the_origin_of_the_numbers_is_said(origin, words):
    assert str(origin) == words


def test_a_model_is_shown_with_its_size():
    import torch

    assert claims.with_size("models/mini", torch.nn.Linear(999, 1000)) == "mini, 1.0 million weights"
    assert claims.with_size("large", torch.nn.Linear(10_000, 1100)) == "large, 11 million weights"


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
    (claims.ledger_folder("embedded") / "01.5.json").write_text("[]")
    assert [claim.id for claim in claims.ledger("embedded")] == ["00.1", "01.9", "01.10"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "1.1"}, "Expected an id like"),
        ({"id": "01.x"}, "Expected an id like"),
        ({"tests": {}}, "Expected an id like"),
        ({"number": {}}, "one number that decides"),
        ({"number": {"a": 1, "b": 2}}, "one number that decides"),
        ({"tests": {"a": True, "b": True}, "on": ""}, "2 parts; say in `on`"),
    ],
)
def test_a_claim_that_lacks_something_is_an_error(shown, changes, message):
    with pytest.raises(ValueError, match=message):
        record(**{"tests": {"a": True}} | changes)


def test_numbers_of_numpy_are_kept_as_plain_ones(shown):
    record({"t": np.bool_(True)}, number={"a": np.float32(0.25)}, context={"b": np.int64(3)})
    (claim,) = claims.ledger("embedded")
    assert (claim.number, claim.context, claim.tests) == ({"a": Number(0.25)}, {"b": Number(3)}, {"t": True})
    assert claims.from_json(json.loads(json.dumps(claims.as_json(claim)))) == claim


def test_the_table_of_claims_says_words_verdict_number_and_source(shown):
    record({"a": True, "b": False})
    table = claims.table(claims.ledger("embedded"))
    for part in ("01.1", "A &lt; B &amp; C", "depends on the weather", "a share: 40.0% (30.9 to 49.8)", "A source"):
        assert part in table["text/html"]
    assert "01.1  ◐ depends" in table["text/plain"]


def test_the_ledger_can_be_kept_elsewhere(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "other"))
    record({"a": True})
    assert (tmp_path / "other" / "embedded" / "01.1.json").exists()
    monkeypatch.delenv("COURSE_CLAIMS")
    assert claims.ledger("embedded") == []


def test_a_guess_is_scored_beside_the_two_simplest(shown):
    record({"a": True})
    record({"a": False}, id="01.2")
    record({"a": True, "b": False}, id="01.3")
    asked = claims.ledger("embedded")
    assert claims.tally(asked) == "✓ holds: 1 · ◐ depends: 1 · ✗ does not hold: 1 · ? not settled here: 0"
    assert claims.score(asked, set()).startswith("Write numbers into `doubted`")
    assert claims.score(asked, {"01.2", "01.3"}).splitlines() == [
        "you guessed 3 of 3 right", "believing all gets 1, doubting all 2", "look again at: none"
    ]  # fmt: skip
    wrong = claims.score(asked, {"01.1", "99.1"})
    assert "you guessed 0 of 3 right" in wrong
    assert wrong.endswith("look again at: 01.1, 01.2, 01.3\nno such sentence: 99.1")


def test_lesson_06_says_which_lessons_were_not_run(monkeypatch, capsys, tmp_path):
    """Its own cells that show the ledger, where no lesson has left a card."""
    from tests.conftest import cells_of
    from tools.notebooks.files import NOTEBOOKS, ROOT

    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path))
    scope = {"course": ROOT, "profile": SimpleNamespace(name="embedded")}
    for cell in cells_of("06", "recorded"):
        if "ledger(" in cell.source:
            exec(cell.source, scope)
    lessons = {claim.id[:2] for claim in claims.in_notebooks(NOTEBOOKS)}
    assert len(lessons) == 6
    assert capsys.readouterr().out.count("Not run on this machine under `embedded` yet") == len(lessons)


@pytest.mark.parametrize("page", ["README.md", "site/index.md"])
def test_the_front_door_says_what_the_cards_say(page):
    recorded = {claim.id: claim for claim in claims.in_notebooks(NOTEBOOKS)}
    text = " ".join((NOTEBOOKS.parent / page).read_text(encoding="utf-8").split())
    assert f"{len(recorded)} claims" in text
    assert recorded["04.3"].words.startswith("One single epoch is enough")
    assert recorded["04.3"].verdict == claims.FAILS
    assert "“one epoch is enough”, for example, does not hold" in text
    few, many = right_beforehand("fine-tuning", 50), right_beforehand("counting words", 1000)
    assert "fine-tuned on 50 film reviews, it does about what counting words does with 1,000" in text
    assert abs(few.mean() - many.mean()) < 0.02
