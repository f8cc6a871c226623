"""The test of weighting schemes over all ensembles against every exchange, counted."""

from collections.abc import Callable
from itertools import permutations, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recomputed import simulated
from scipy.stats import binom
from statsmodels.stats.contingency_tables import cochrans_q

from wen.evaluation import schemes
from wen.evaluation.schemes import compare_schemes, smallest_scheme_difference


def brute_force(right: np.ndarray, unit: np.ndarray) -> float:
    """Share of all exchanges of schemes within units whose sum of Q is at least the observed one."""
    _, k, n = right.shape
    spread = [(k * of_one.sum(axis=0) - of_one.sum(axis=0) ** 2).sum() for of_one in right]

    def statistic(decisions: np.ndarray) -> float:
        totals = decisions.sum(axis=2)
        return sum(
            (k - 1) * (k * (row**2).sum() - row.sum() ** 2) / s for row, s in zip(totals, spread, strict=True) if s
        )

    found = []
    for orders in product(list(permutations(range(k))), repeat=int(unit.max()) + 1):
        moved = np.stack([right[:, orders[unit[image]], image] for image in range(n)], axis=2)
        found.append(statistic(moved))
    return float(np.mean(np.array(found) >= statistic(right) - 1e-9))


@settings(max_examples=25)
@given(arrays(int, (2, 3, 4), elements=st.integers(0, 1)))
def test_p_is_the_share_of_all_exchanges(right: np.ndarray) -> None:
    assert compare_schemes(right, np.arange(4), 0).p == pytest.approx(brute_force(right, np.arange(4)))
    unit = np.array([0, 0, 1, 2])
    assert compare_schemes(right, unit, 0).p == pytest.approx(brute_force(right, unit))


def test_random_exchanges_come_near_all_of_them() -> None:
    right = (np.random.default_rng(1).random((2, 3, 6)) < [[[0.9], [0.5], [0.4]]]).astype(int)
    exact = brute_force(right, np.arange(6))
    assert 0.01 < exact < 0.99
    assert compare_schemes(right, np.arange(6), 0).p == pytest.approx(exact, abs=0.02)


@given(arrays(int, (2, 3, 12), elements=st.integers(0, 1)))
def test_the_statistic_is_the_sum_of_cochran_s_q(right: np.ndarray) -> None:
    found = compare_schemes(right, np.arange(12), 0)
    disputed = [(of_one.min(axis=0) < of_one.max(axis=0)).any() for of_one in right]
    expected = [cochrans_q(of_one.T).statistic if some else 0.0 for of_one, some in zip(right, disputed, strict=True)]
    assert found.q == pytest.approx(expected)
    assert found.statistic == pytest.approx(sum(expected))


def test_schemes_that_decide_alike_do_not_differ() -> None:
    right = np.broadcast_to(np.arange(50) % 9 > 0, (4, 3, 50)).astype(int)
    assert compare_schemes(right, np.arange(50), 0)[:2] == (0.0, 1.0)


def test_a_scheme_that_is_better_in_every_ensemble_is_found_more_often_over_all_of_them() -> None:
    rng, over_all, in_each = np.random.default_rng(5), [], []
    for _ in range(20):
        right = (rng.random((4, 3, 300)) < np.array([0.85, 0.8, 0.8])[:, None]).astype(int)
        found = compare_schemes(right, np.arange(300), 0)
        over_all.append(found.p < 0.05)
        in_each.append(np.mean([p < 0.05 for p in found.p_of_each]))
    assert np.mean(over_all) > np.mean(in_each) + 0.1


def noisy(rng: np.random.Generator, n: int, difference: float) -> np.ndarray:
    """Ensembles by schemes that dispute one image in fifty, and a first scheme that is better by so much."""
    right = np.ones((4, 3, n), dtype=int)
    for of_one in right:
        images = np.flatnonzero(rng.random(n) < 0.02)
        of_one[rng.integers(3, size=len(images)), images] = 0
    gained = rng.random(n) < difference
    right[:, 1:, gained] = 0
    right[:, 0, gained] = 1
    return right


@pytest.mark.parametrize("people", [0, 28])
def test_the_difference_that_it_says_it_detects_is_found_in_four_of_five_studies(people: int) -> None:
    rng, found = np.random.default_rng(7), []
    unit = np.sort(rng.integers(people, size=400)) if people else np.arange(400)
    unit = np.unique(unit, return_inverse=True)[1]
    for _ in range(6):
        difference = smallest_scheme_difference(noisy(rng, 400, 0.0), unit, 0.0125, 0)
        assert difference is not None
        found += [compare_schemes(noisy(rng, 400, difference), unit, 0).p < 0.0125 for _ in range(30)]
    assert 0.7 <= np.mean(found) <= 0.93


def test_where_all_decide_alike_five_images_of_one_scheme_are_needed() -> None:
    right = np.ones((4, 3, 130), dtype=int)
    difference = smallest_scheme_difference(right, np.arange(130), 0.0125, 0)
    assert difference == pytest.approx(6.65 / 130, rel=0.01)  # P(Binomial(130, x) >= 5) = 0.8; 3^-4 < 0.0125 < 3^-3


@pytest.mark.parametrize("cancels", [False, True])
def test_where_no_subject_favours_a_scheme_five_subjects_of_one_scheme_are_needed(cancels: bool) -> None:
    right, unit = np.ones((4, 3, 200), dtype=int), np.arange(200) // 20
    if cancels:  # on each subject, every scheme is wrong once, alone
        right[:, np.arange(200) % 20 % 3, np.arange(200)] = np.arange(200) % 20 > 2
    difference = smallest_scheme_difference(right, unit, 0.0125, 0)
    assert difference is not None
    assert binom.sf(4, 10, 1 - (1 - difference) ** 20) == pytest.approx(0.8, abs=0.06)


def test_five_subjects_are_enough_for_a_large_difference_and_four_are_not() -> None:
    right = (np.random.default_rng(3).random((2, 3, 50)) < 0.95).astype(int)
    of_five, of_four = (smallest_scheme_difference(right, np.arange(50) % people, 0.0125, 0) for people in (5, 4))
    assert of_five is not None
    assert of_five < 0.7
    assert of_four is None  # 3^-3 > 0.0125


def test_a_test_set_of_one_subject_detects_no_difference_however_large() -> None:
    assert smallest_scheme_difference(np.ones((4, 3, 40), dtype=int), np.zeros(40, dtype=int), 0.0125, 0) is None


@pytest.mark.parametrize(("e", "k", "n", "people"), [(1, 2, 30, 0), (3, 3, 60, 0), (1, 2, 40, 7), (2, 3, 60, 9)])
@pytest.mark.parametrize("disputed", [0.05, 0.3])
def test_the_smallest_difference_is_what_another_simulation_gives(
    e: int, k: int, n: int, people: int, disputed: float
) -> None:
    rng = np.random.default_rng(n)
    unit = np.unique(rng.integers(people, size=n), return_inverse=True)[1] if people else np.arange(n)
    right = (rng.random(n) < 0.8).astype(int) ^ (rng.random((e, k, n)) < disputed)
    source: Any = SimpleNamespace(unit=unit, size=np.bincount(unit), by_image=not people)
    expected, found = (
        simulated.smallest_by_exchange(source, right, 0.05), smallest_scheme_difference(right, unit, 0.05, 0)
    )  # fmt: skip
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected.value, abs=0.7 * expected.tolerance)


@pytest.mark.parametrize(("disputed", "n"), [(4, 100), (200, 2000)])
def test_of_two_schemes_the_power_by_image_is_that_of_the_exact_sign_test(disputed: int, n: int) -> None:
    right = np.ones((1, 2, n), dtype=int)
    right[0, np.arange(disputed) % 2, np.arange(disputed)] = 0
    difference = smallest_scheme_difference(right, np.arange(n), 0.05, 0)
    assert difference is not None
    power = 0.0
    for gained in range(n // 4):
        both = disputed + gained
        won = np.arange(disputed + 1) + gained
        found = 2 * binom.cdf(np.minimum(won, both - won), both, 0.5) < 0.05
        power += binom.pmf(gained, n, difference) * (binom.pmf(won - gained, disputed, 0.5) @ found)
    assert power == pytest.approx(0.8, abs=0.04)


def test_of_two_schemes_p_is_that_of_the_exact_sign_test_however_many_images_are_not_disputed() -> None:
    right = np.ones((1, 2, 130), dtype=int)
    right[0, (np.arange(13) < 5).astype(int), np.arange(13)] = 0
    found, expected = compare_schemes(right, np.arange(130), 0), 2 * binom.cdf(5, 13, 0.5)
    assert found.p == pytest.approx(expected, abs=1e-12)
    assert found.p_of_each == pytest.approx([expected], abs=1e-12)


def test_equal_seeds_give_equal_p_and_others_nearly_equal_ones() -> None:
    right = (np.random.default_rng(2).random((2, 3, 60)) < 0.8).astype(int)
    one, again, other = (compare_schemes(right, np.arange(60), seed) for seed in (0, 0, 1))
    assert one == again
    assert one.p != other.p
    assert one.p == pytest.approx(other.p, abs=0.03)


def test_images_that_the_schemes_decide_alike_are_exchanged_one_by_one() -> None:
    pattern = np.array(list(product([-1, 1], repeat=3)))[1:].repeat(2, axis=0)  # (14, 3), each twice
    right = np.stack([pattern > 0, pattern < 0], axis=2).transpose(1, 2, 0).astype(int)
    net = np.array(list(product([-1, 1], repeat=14))) @ pattern
    expected = ((net**2).sum(axis=1) >= (pattern.sum(axis=0) ** 2).sum()).mean()
    assert compare_schemes(right, np.arange(14), 0).p == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("people", [60, 9])
def test_equal_seeds_give_equal_smallest_differences_and_others_nearly_equal_ones(people: int) -> None:
    right = (np.random.default_rng(2).random((2, 3, 60)) < 0.8).astype(int)
    unit = np.arange(60) % people
    one, again, other = (smallest_scheme_difference(right, unit, 0.05, seed) for seed in (0, 0, 1))
    assert one == again
    assert one != other
    assert one == pytest.approx(other, rel=0.1)


def test_each_ensemble_has_its_own_p_by_the_same_exchanges() -> None:
    right = (np.random.default_rng(4).random((2, 2, 9)) < [[[0.9], [0.4]]]).astype(int)
    found = compare_schemes(right, np.arange(9), 0)
    expected = [brute_force(right[[k]], np.arange(9)) for k in range(2)]
    assert found.p_of_each == pytest.approx(expected)
    assert found.p == pytest.approx(brute_force(right, np.arange(9)))


def power_one_study_at_a_time(right: np.ndarray, unit: np.ndarray, alpha: float, difference: float) -> float:
    """The power by subject from the draws of `schemes` with seed 0: each study's table, exchange by exchange."""
    _, k, n = right.shape
    units, rng = int(unit.max()) + 1, np.random.default_rng(0)
    place, parts = rng.random((schemes.STUDIES, n)), np.cumsum(np.bincount(unit))[:-1]
    gained = np.array([[(part < difference).sum() for part in np.split(row, parts)] for row in place])
    sums = np.array([right[:, :, unit == u].sum(axis=2) for u in range(units)])
    square = np.array([(table - table.mean(axis=1)[:, None]) ** 2 for table in sums])
    m = square.sum() ** 2 / (square**2).sum()
    freedom = 2 * m * (k - 1) / k - 1
    scale = np.sqrt(freedom / rng.chisquare(freedom, schemes.STUDIES))
    orders = list(permutations(range(k)))
    of_study = rng.integers(len(orders), size=(schemes.STUDIES, units))
    exchanges = list(product([0], *[range(len(orders))] * (units - 1)))
    if len(exchanges) > schemes.ALL_OF_FEW:
        exchanges = [(0,) * units, *rng.integers(len(orders), size=(schemes.EXCHANGES, units)).tolist()]
    spread = np.array([(k * one.sum(axis=0) - one.sum(axis=0) ** 2).sum() for one in right])
    found = []
    for gain, ways, times in zip(gained, of_study, scale, strict=True):
        noise = np.sqrt(1 - difference) * times
        table = [noise * of_unit[:, orders[way]] for of_unit, way in zip(sums, ways, strict=True)]
        for of_unit, images in zip(table, gain, strict=True):
            of_unit[:, 0] += images
        below = noise**2 * spread + (k - 1) * gain.sum()
        q = []
        for exchange in exchanges:
            total = sum(of_unit[:, orders[way]] for of_unit, way in zip(table, exchange, strict=True))
            above = k * (total**2).sum(axis=1) - total.sum(axis=1) ** 2
            q.append((k - 1) * sum(a / b for a, b in zip(above, below, strict=True) if b > 0))
        found.append(np.mean(np.array(q) >= q[0] - 1e-9) < alpha)
    return float(np.mean(found))


@pytest.mark.parametrize("size", [[3, 1, 5, 2], [2, 5, 1, 1, 4, 3]], ids=["all exchanges", "random exchanges"])
@pytest.mark.parametrize(("e", "k"), [(1, 2), (3, 3)])
def test_the_power_by_subject_is_that_of_studies_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, size: list[int], e: int, k: int
) -> None:
    monkeypatch.setattr(schemes, "STUDIES", 30)
    monkeypatch.setattr(schemes, "EXCHANGES", 40)
    monkeypatch.setattr(schemes, "ALL_OF_FEW", 6**3)
    unit = np.repeat(np.arange(len(size)), size)
    sure = np.array([0.6, 0.9, 1])[:e]  # the third ensemble's schemes decide alike until one of them gains images
    right = (np.random.default_rng(k).random((e, k, len(unit))) < sure[:, None, None]).astype(int)
    alpha = {2: 0.3, 3: 0.1}[k]
    power_at = schemes._power_by_subject(right, unit, alpha, 0)
    differences = (0.0, 0.02, 0.1, 0.2, 0.4, 1.0)
    found = [power_at(difference) for difference in differences]
    assert found == [power_one_study_at_a_time(right, unit, alpha, difference) for difference in differences]
    assert len(set(found)) > 2


@pytest.mark.parametrize("alpha", [0.3, 0.05])
def test_the_power_by_image_is_that_of_its_own_draws_at_each_number_of_images(alpha: float) -> None:
    right = (np.random.default_rng(1).random((2, 3, 10)) < np.array([0.6, 0.9])[:, None, None]).astype(int)
    rng, sums = np.random.default_rng(0), right.transpose(2, 0, 1)
    alternative, null = schemes._drawn(sums, rng), schemes._drawn(sums, rng)
    spread = np.array([(3 * one.sum(axis=0) - one.sum(axis=0) ** 2).sum() for one in right])
    powers = np.ones(11)
    for amount in range(11):
        more = rng.multinomial(amount, [1 / 3] * 3, 2000)
        of_null, found = (
            sum(total[:, e].var(axis=1) * 18 / (spread[e] + 2 * amount) for e in range(2))
            for total in (null + more[:, None], alternative + np.array([amount, 0, 0]))
        )
        as_extreme = (of_null >= np.asarray(found)[:, None] - 1e-9).sum(axis=1)
        powers[amount] = ((1 + as_extreme) / 2001 < alpha).mean()
        if powers[amount] > 0.995:
            break
    power_at = schemes._power_by_image(right, np.arange(10), alpha, 0)
    for difference in (0.0, 0.1, 0.3, 0.6, 1.0):
        assert power_at(difference) == pytest.approx(binom.pmf(np.arange(11), 10, difference) @ powers, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3])
def test_without_noise_a_study_finds_what_is_gained_in_enough_subjects(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    monkeypatch.setattr(schemes, "STUDIES", 50)
    size = [1, 3, 2, 4, 1, 2]
    unit = np.repeat(np.arange(6), size)
    power_at = schemes._power_by_subject(np.ones((2, k, 13), dtype=int), unit, 0.06, 0)
    place = np.split(np.random.default_rng(0).random((50, 13)), np.cumsum(size)[:-1], axis=1)
    for difference in (0.0, 0.2, 0.3, 0.5, 1.0):
        subjects = sum((of_subject < difference).any(axis=1).astype(int) for of_subject in place)
        assert power_at(difference) == np.mean([k / k**number < 0.06 for number in subjects])


def test_one_disputed_image_of_two_schemes_has_the_statistic_1_and_p_1() -> None:
    right = np.ones((2, 2, 9), dtype=int)
    right[0, 1, 4] = 0
    assert compare_schemes(right, np.arange(9), 0) == (1.0, 1.0, (1.0, 0.0), (1.0, 1.0))


def test_more_than_thirteen_exchanged_pairs_are_drawn_at_random() -> None:
    right = np.ones((1, 2, 14), dtype=int)
    right[0, (np.arange(14) < 5).astype(int), np.arange(14)] = 0
    of_seed, exact = [compare_schemes(right, np.arange(14), seed).p for seed in range(3)], 2 * binom.cdf(5, 14, 0.5)
    assert len(set(of_seed)) == 3
    counts = np.array(of_seed) * (1 + schemes.REPEATS)
    np.testing.assert_allclose(counts, counts.round())
    assert of_seed == pytest.approx([exact] * 3, abs=0.02)


def test_no_random_exchange_changes_how_many_decisions_of_an_ensemble_are_right() -> None:
    right = (np.random.default_rng(3).random((2, 3, 40)) < np.array([0.6, 0.9])[:, None, None]).astype(int)
    drawn = schemes._drawn(right.transpose(2, 0, 1), np.random.default_rng(0))
    assert (drawn.sum(axis=2) == right.sum(axis=(1, 2))).all()
    assert drawn.std(axis=0).min() > 1


def test_few_subjects_are_exchanged_in_all_ways_and_more_at_random() -> None:
    few = schemes._ways(6, 5, np.random.default_rng(0))
    assert sorted(map(tuple, few)) == list(product([0], *[range(6)] * 4))
    assert not few[0].any()
    many = schemes._ways(6, 6, np.random.default_rng(0))
    assert many.shape == (1 + schemes.EXCHANGES, 6)
    assert not many[0].any()
    np.testing.assert_array_equal(many[1:], np.random.default_rng(0).integers(6, size=(schemes.EXCHANGES, 6)))


def saturating(root: float, most: float = 1.0) -> Callable[[float], float]:
    """A power that is 0.8 at the root and grows to ``most`` beyond it."""
    return lambda difference: min(most, float(1 - 0.2 ** (difference / root)))


@pytest.mark.parametrize("name", ["_power_by_image", "_power_by_subject"])
@pytest.mark.parametrize("root", [0.002, 0.013, 0.3, 0.9])
def test_the_smallest_difference_is_where_the_power_of_its_kind_of_units_is_80_percent(
    monkeypatch: pytest.MonkeyPatch, name: str, root: float
) -> None:
    asked = []
    power = {name: lambda *asked_for: asked.append(asked_for) or saturating(root)}
    for kind in ("_power_by_image", "_power_by_subject"):
        monkeypatch.setattr(schemes, kind, power.get(kind))
    right, unit = np.ones((1, 2, 40)), np.arange(40) % (40 if name == "_power_by_image" else 7)
    assert smallest_scheme_difference(right, unit, 0.02, 3) == pytest.approx(root, rel=0.01, abs=0.0001)
    ((given_right, given_unit, alpha, seed),) = asked
    assert given_right is right
    assert given_unit is unit
    assert (alpha, seed) == (0.02, 3)


def test_80_percent_power_that_only_the_complete_test_set_gives_is_enough_and_less_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for most, expected in ((0.8, 1.0), (0.7999, None)):
        power = saturating(1.0, most)
        monkeypatch.setattr(schemes, "_power_by_image", lambda *_, power=power: power)
        assert smallest_scheme_difference(np.ones((1, 2, 40)), np.arange(40), 0.02, 3) == expected
