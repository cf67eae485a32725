import numpy as np
import pytest

from utils.intervals import Number, leave_one_out, mean, over_seeds, paired_difference, share, smallest


def test_a_share_has_wilson_s_interval():
    found = share([True] * 40 + [False] * 60)
    n, p, z = 100, 0.4, 1.959964  # Wilson 1927, written out
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (found.value, found.low, found.high) == pytest.approx((40, 100 * (centre - half), 100 * (centre + half)))
    assert str(found) == "40.0% (30.9 to 49.8)"


def test_a_paired_difference_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        first = rng.random(300) < 0.7
        second = np.where(rng.random(300) < 0.8, first, rng.random(300) < 0.5)  # truth: 0.7 - (0.8 * 0.7 + 0.1) = 0.04
        found = paired_difference(first, second)
        covered += found.low <= 4 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("number", "above", "below"),
    [
        (Number(3, 1, 5), True, False),
        (Number(-3, -5, -1), False, True),
        (Number(1, -1, 3), None, None),
        (Number(2), True, False),
        (Number(0), False, False),
        (Number(-2), False, True),
        (paired_difference([1, 1], [1, 1]), None, None),  # no difference seen is no proof of one
    ],
)
def test_where_the_interval_holds_the_bound_the_data_cannot_tell(number, above, below):
    assert number.above(0) is above
    assert number.below(0) is below


@pytest.mark.parametrize(
    ("number", "within"),
    [
        (Number(0.5, -1, 2), True),
        (Number(-2, -2.9, -1), True),
        (Number(2, -1, 4), None),
        (Number(5, 3.5, 6), False),
        (Number(-5, -6, -3.5), False),
        (Number(0, -9, 9), None),  # knowing little is no equivalence
        (Number(2), True),
        (Number(-3), False),
    ],
)
def test_equivalence_needs_the_whole_interval_inside_the_margin(number, within):
    assert number.within(3) is within


def test_what_differs_by_the_margin_is_called_equivalent_at_most_5_times_in_100():
    rng, called = np.random.default_rng(0), 0
    for _ in range(1000):
        called += mean(rng.normal(3, 8, 200)).within(3) is True
    assert called / 1000 <= 0.05


def test_a_value_inside_the_interval_is_held():
    assert Number(15.2, 14.8, 15.6).holds(15)
    assert not Number(15.2, 15.1, 15.6).holds(15)
    assert Number(1).holds(1)


@pytest.mark.parametrize("call", [lambda: share([]), lambda: paired_difference([1], [0]), lambda: share([[True]])])
def test_too_few_outcomes_are_an_error_that_says_so(call):
    with pytest.raises(ValueError, match="Expected"):
        call()


def test_other_seeds_and_other_items_both_widen_the_interval():
    rng = np.random.default_rng(0)
    items = (rng.random((1, 1000)) < 0.7).astype(float)
    same = over_seeds(np.repeat(items, 3, axis=0))  # three equal runs: only the items speak
    assert same.value == pytest.approx(items.mean())
    assert same.high - same.value == pytest.approx(mean(items[0]).high - items.mean(), rel=0.01)
    apart = over_seeds(np.array([[0.5], [0.6], [0.7]]) + np.zeros((3, 1000)))  # only the seeds speak: t with 2 freedom
    assert apart.high - apart.value == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert over_seeds(np.ones((3, 5))) == Number(1, 1, 1)


def test_the_opposite_of_a_difference():
    assert -Number(-7, -12, -2, " points") == Number(7, 2, 12, " points")
    assert -Number(3) == Number(-3)


def test_what_never_varied_may_still_vary():
    unseen = 100 * (1 - 0.025 ** (1 / 200))  # Clopper and Pearson's upper end for 0 of 200
    always = over_seeds(np.full((3, 200), 100.0), "%")
    assert (always.value, always.high - always.value) == pytest.approx((100, unseen))
    assert paired_difference([1] * 200, [1] * 200).above(0) is None
    assert paired_difference([1] * 200, [1] * 200).within(3) is True
    assert paired_difference([1] * 20, [1] * 20).within(3) is None  # twenty items show no equivalence within 3 points


def test_the_jackknife_of_a_mean_is_its_t_interval_and_that_of_a_ratio_holds_the_truth():
    values = np.random.default_rng(0).normal(size=40)
    without = (values.sum() - values) / 39
    expected = mean(values)
    found = leave_one_out(values.mean(), without)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        below = rng.gamma(4, size=60)
        above = below * rng.uniform(0.1, 0.5, size=60)  # truth: 0.3
        ratio = leave_one_out(above.sum() / below.sum(), (above.sum() - above) / (below.sum() - below))
        held += ratio.holds(0.3)
    assert 0.92 <= held / 400 <= 0.98


def test_the_weakest_part_is_the_one_that_surely_fails_before_the_one_that_is_uncertain():
    sure, wide, good = Number(1.0, 0.5, 1.5), Number(3.0, -4.0, 10.0), Number(5.0, 4.0, 6.0)
    assert smallest({"good": good, "wide": wide}) is wide
    assert smallest({"good": good, "wide": wide, "sure": sure}) is wide  # all may lie above 0
    assert smallest({"good": good, "wide": wide, "sure": sure}, bound=2) is sure
    assert smallest({"exact": Number(-1), "wide": wide}) == Number(-1)


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
@pytest.mark.parametrize("effects", ["normal", "uniform", "t with 4 degrees of freedom"])
@pytest.mark.parametrize("spread", [1.0, 3.0])  # of the seeds' effects, against the error of the mean over items
def test_the_interval_over_seeds_holds_the_truth_at_least_93_times_in_100(seeds, effects, spread):
    rng, held, items, runs = np.random.default_rng(0), 0, 100, 1500
    draw = {
        "normal": lambda: rng.normal(size=seeds), "uniform": lambda: rng.uniform(-1, 1, seeds) * np.sqrt(3),
        "t with 4 degrees of freedom": lambda: rng.standard_t(4, seeds) / np.sqrt(2),
    }[effects]  # fmt: skip
    for _ in range(runs):
        effect = spread * 0.5 / np.sqrt(items) * np.sqrt(seeds) * draw()
        scores = 0.6 + effect[:, None] + rng.normal(0, 0.5, items) + rng.normal(0, 0.3, (seeds, items))
        held += over_seeds(scores).holds(0.6)
    assert held / runs >= 0.93


@pytest.mark.parametrize("values", [[0.5, 0.6], [[0.5, 0.6]], [[0.5], [0.6]]])
def test_one_seed_or_one_item_has_no_interval(values):
    with pytest.raises(ValueError, match="at least two of each"):
        over_seeds(values)
