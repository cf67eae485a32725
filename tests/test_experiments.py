"""Results are kept by all that decides them, and a kill at any point loses one run at most."""

import dataclasses
import json
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass

import pytest

from utils import experiments, files
from utils.experiments import Experiments


@dataclass(frozen=True)
class Profile:
    name: str = "embedded"
    encoder: str = "one"
    why: tuple = ("a reason",)
    quick: bool = False


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


CALLS = []


def square(number, seed=0):
    CALLS.append(number)
    return {"square": number**2, "list": [1.5, True], "seed": seed}


def helper():
    return 1


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def make(**changes):
    how = {"name": "test", "profile": Profile(), "data": ["a", "b"], "code": [helper]} | changes
    return Experiments(**how)


CONFIGURATIONS = [{"number": number} for number in (3, 1, 2)]


def test_a_second_run_is_read_and_equal():
    first = make().run(square, CONFIGURATIONS, "squares")
    assert [result["square"] for result in first] == [9, 1, 4]
    assert CALLS == [3, 1, 2]
    assert make().run(square, CONFIGURATIONS, "squares") == first
    assert CALLS == [3, 1, 2]


def test_only_what_is_missing_is_run_and_a_twin_once():
    make().run(square, CONFIGURATIONS[:1], "squares")
    found = make().run(square, [{"number": 5}, *CONFIGURATIONS, {"number": 5}], "squares")
    assert [result["square"] for result in found] == [25, 9, 1, 4, 25]
    assert CALLS == [3, 5, 1, 2]


def other_helper():
    return 2


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": Profile(name="full")}, {"profile": Profile(encoder="two")}, {"data": ["a", "c"]},
        {"code": [other_helper]}, {"name": "other"},
    ],
)  # fmt: skip
def test_what_decides_is_never_mixed(changes):
    make().run(square, CONFIGURATIONS, "squares")
    make(**changes).run(square, CONFIGURATIONS, "squares")
    assert len(CALLS) == 6


def test_a_helper_that_is_defined_anew_starts_afresh(monkeypatch):
    kept = make()
    kept.run(square, CONFIGURATIONS, "squares")
    monkeypatch.setitem(square.__globals__, "helper", other_helper)  # as a cell that is run again does
    kept.run(square, CONFIGURATIONS, "squares")
    assert len(CALLS) == 6


ANSWERS = {
    "def answer():\n    return 1\n": True,
    'def answer():\n    """Say it."""\n    # a comment\n    return (\n        1  # the answer\n    )\n': True,
    "def answer():\n    return 2\n": False,
    "def answer():\n    return True\n": False,
    "def answer():\n    return '1'\n": False,
    "def answer(seed=0):\n    return 1\n": False,
}


@pytest.mark.parametrize(("text", "same"), ANSWERS.items())
def test_a_comment_costs_no_run(text, same, tmp_path):
    def key(text):
        path = tmp_path / f"answer_{len(text)}.py"
        path.write_text(text)
        scope = {}
        exec(compile(text, str(path), "exec"), scope)
        return make()._key(scope["answer"], {"number": 1})

    assert (key(text) == key(next(iter(ANSWERS)))) == same


def test_quick_runs_are_small_few_and_kept_apart(tmp_path):
    path = beforehand(tmp_path / "squares.json")
    calls = []

    def fit(labels, seed, rate):
        calls.append((labels, seed, rate))
        return {"rate": rate}

    runs = [{"labels": labels, "seed": seed, "rate": 0.1} for labels in (100, 500) for seed in (0, 1)]
    quick = make(profile=Profile(quick=True), beforehand=path)
    assert quick.run(fit, runs, "") == [{"rate": 0.1}] * 4
    assert calls == [(24, 0, 0.1)]
    assert make().read(fit, runs[0]) is None
    assert quick.run(square, CONFIGURATIONS, "")[0]["square"] == 9  # what comes with the course is taken as it is
    assert CALLS == []
    with pytest.raises(ValueError, match="COURSE_SIZES=quick"):
        quick.write_beforehand({fit: runs}, path, [])


def test_another_release_of_a_library_starts_afresh(monkeypatch):
    make().run(square, CONFIGURATIONS, "squares")
    monkeypatch.setattr(experiments, "_release", lambda name: "0.0")
    make().run(square, CONFIGURATIONS, "squares")
    assert len(CALLS) == 6


def test_seeds_and_functions_are_never_mixed():
    def cube(number):
        return {"square": number**3}

    kept = make()
    assert kept.run(square, [{"number": 2, "seed": 1}], "")[0]["seed"] == 1
    assert kept.run(square, [{"number": 2, "seed": 2}], "")[0]["seed"] == 2
    assert kept.run(cube, [{"number": 2}], "")[0]["square"] == 8
    assert kept.run(square, [{"number": 2}], "")[0]["square"] == 4


def test_the_reasons_of_a_profile_decide_nothing():
    make().run(square, CONFIGURATIONS, "squares")
    make(profile=dataclasses.replace(Profile(), why=("another reason",))).run(square, CONFIGURATIONS, "squares")
    assert len(CALLS) == 3


@pytest.mark.parametrize("damage", ["", "{", '{"result": 1}', '{"configuration": {"number": 9}, "result": {}}', "[]"])
def test_a_damaged_file_is_run_again(cache, damage):
    make().run(square, CONFIGURATIONS[:1], "squares")
    (path,) = (cache / "experiments" / "test").glob("*.json")
    path.write_text(damage)
    assert make().run(square, CONFIGURATIONS[:1], "squares")[0]["square"] == 9
    assert json.loads(path.read_text())["result"]["square"] == 9


def test_an_interrupt_keeps_what_was_finished():
    def until_the_third(number):
        if number == 2 and len(CALLS) == 2:
            raise KeyboardInterrupt
        return square(number)

    kept = make()
    with pytest.raises(KeyboardInterrupt):
        kept.run(until_the_third, CONFIGURATIONS, "squares")
    assert CALLS == [3, 1]
    CALLS.append("resumed")
    assert [result["square"] for result in kept.run(until_the_third, CONFIGURATIONS, "squares")] == [9, 1, 4]
    assert CALLS == [3, 1, "resumed", 2]


def test_an_error_is_the_error_and_the_rest_is_kept():
    def fail_at_three(number):
        if number == 3:
            raise ValueError("three")
        return {"number": number}

    kept = make()
    with pytest.raises(ValueError, match="three"):
        kept.run(fail_at_three, [{"number": number} for number in (1, 2, 3)], "")
    assert kept.read(fail_at_three, {"number": 2}) == {"number": 2}
    assert kept.read(fail_at_three, {"number": 3}) is None


def slow(number):
    time.sleep(0.02)
    return {"square": number**2, "much": list(range(20_000))}


def run_slowly(cache):
    os.environ[files.CACHE_VARIABLE] = str(cache)
    make().run(slow, [{"number": number} for number in range(200)], "squares")


@pytest.mark.parametrize("after", [0.1, 0.15, 0.3, 0.5])
def test_a_kill_leaves_whole_results_only(cache, after):
    process = multiprocessing.get_context("fork").Process(target=run_slowly, args=(cache,))
    process.start()
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    for path in (cache / "experiments" / "test").glob("*.json"):
        kept = json.loads(path.read_text())
        assert kept["result"]["square"] == kept["configuration"]["number"] ** 2
    found = make().run(slow, [{"number": number} for number in range(5)], "squares")
    assert [result["square"] for result in found] == [0, 1, 4, 9, 16]


def test_several_jobs_give_the_same_and_are_kept(cache):
    def cube(number):  # defined here, as a cell of a notebook would
        return {"cube": number**3, "process": os.getpid()}

    found = make(jobs=2).run(cube, CONFIGURATIONS, "cubes")
    assert [result["cube"] for result in found] == [27, 1, 8]
    assert os.getpid() not in {result["process"] for result in found}
    assert make(jobs=2).run(cube, CONFIGURATIONS, "cubes") == found


def test_an_error_in_one_of_several_jobs_is_the_error():
    def fail_at_three(number):
        if number == 3:
            raise ValueError(f"Expected another number than {number}.")
        return {"number": number}

    kept = make(jobs=2)
    with pytest.raises(ValueError, match="another number than 3"):
        kept.run(fail_at_three, [{"number": number} for number in (1, 2, 3)], "")
    assert kept.read(fail_at_three, {"number": 3}) is None


def beforehand(path, **changes):
    made = make(**changes)
    made.run(square, CONFIGURATIONS, "squares")
    made.write_beforehand({square: CONFIGURATIONS}, path, ["a machine"])
    CALLS.clear()
    return path


def test_results_measured_beforehand_are_taken(cache, tmp_path, monkeypatch):
    path = beforehand(tmp_path / "results" / "squares.json")
    first = make().run(square, CONFIGURATIONS, "squares")
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "another student"))
    monkeypatch.setattr(experiments, "_release", lambda name: "another")
    other = make(beforehand=path, profile=Profile(encoder="elsewhere"))
    assert other.run(square, CONFIGURATIONS, "squares") == first
    assert CALLS == []
    assert other.is_beforehand(square, CONFIGURATIONS[0])
    other.run(square, [{"number": 7}], "squares")
    assert CALLS == [7]
    assert not other.is_beforehand(square, {"number": 7})
    assert not other.is_beforehand(square, {"number": 8})


@pytest.mark.parametrize("changes", [{"profile": Profile(name="full")}, {"data": ["a", "c"]}, {"code": [other_helper]}])
def test_results_measured_beforehand_on_something_else_are_not(tmp_path, monkeypatch, changes):
    path = beforehand(tmp_path / "squares.json")
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "another student"))
    make(beforehand=path, **changes).run(square, CONFIGURATIONS, "squares")
    assert len(CALLS) == 3


@pytest.mark.parametrize("value", [
    {"right": [0, 1, 1]}, {"right": [[0, 1], [1, 0]], "curve": [0.5, 1.0]}, {"one": True, "many": [2, 1], "none": []},
    {"text": "0101", "nested": {"bits": [1]}},
])  # fmt: skip
def test_what_is_written_beforehand_is_read_as_it_was(value):
    assert experiments._unpacked(json.loads(json.dumps(experiments._packed(value)))) == value


def test_results_are_not_measured_in_quick_sizes(monkeypatch, tmp_path):
    """Neither the runs nor the rates that a lesson's `beforehand.py` writes."""
    from utils import beforehand
    from utils.errors import CourseError

    monkeypatch.setattr(beforehand, "planned", lambda room: {"profile": Profile(quick=True)})
    for part in ("runs", "rates"):
        monkeypatch.setattr("sys.argv", ["beforehand", part])
        with pytest.raises(CourseError, match="COURSE_SIZES is quick"):
            beforehand.run_part("", tmp_path, lambda lesson: {}, lambda lesson: None)


def test_what_comes_with_lesson_03_is_from_its_code_and_data():
    """Lessons 04 and 05 keep their plans in their rooms, see their own tests."""
    from tests.conftest import planned

    with planned("03") as (beforehand, names):
        ((function, configurations),) = beforehand.from_beforehand(names).items()
        key = names["experiments"]._key
        comes = {key(function, one) for one in configurations}
        assert comes == set(names["experiments"].beforehand)
        assert comes == set(json.loads((beforehand.HERE / "results" / "runs.json").read_text())["results"])
        live = [one for one in names["runs"] if key(function, one) not in comes]
        assert len(live) == 4
        assert {one["seed"] for one in live} == {names["SEEDS"][0]}
