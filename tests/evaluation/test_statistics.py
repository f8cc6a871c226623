"""Each test against a reference that is not its own code: scipy, worked examples, brute force, simulation."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, norm, t, ttest_1samp
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.multitest import multipletests

from wen.evaluation.statistics import (
    accuracy_difference,
    auc_difference,
    bonferroni,
    compare_several,
    compare_two,
    delong,
    difference_by_unit,
)


def paired(both: int, only_one: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    one = np.repeat([1, 1, 0, 0], [both, only_one, only_other, neither])
    other = np.repeat([1, 0, 1, 0], [both, only_one, only_other, neither])
    return one, other, np.arange(len(one))


@given(only_one=st.integers(0, 6), only_other=st.integers(0, 6))
def test_mcnemar_counts_what_is_as_extreme_by_half(only_one: int, only_other: int) -> None:
    outcome = compare_two(*paired(5, only_one, only_other, 3), 0)
    disputed, observed = only_one + only_other, abs(only_one - only_other)
    extreme = [abs(2 * sum(toss) - disputed) for toss in product([0, 1], repeat=disputed)]
    expected = np.mean([(e > observed) + (e == observed) / 2 for e in extreme]) if disputed else 1.0
    assert outcome.name == "mcnemar_mid_p"
    assert outcome.p == pytest.approx(expected)


def test_with_many_discordant_pairs_mcnemar_is_near_the_chi_square_of_the_textbook() -> None:
    outcome = compare_two(*paired(101, 121, 59, 33), 0)  # (121 - 59)^2 / (121 + 59) = 21.3556
    assert outcome.p == pytest.approx(chi2.sf(21.3556, 1), rel=0.2)
    assert compare_two(*paired(0, 1060, 1000, 0), 0).p == pytest.approx(chi2.sf(60**2 / 2060, 1), rel=0.01)


@given(only_one=st.integers(0, 6), only_other=st.integers(0, 6))
def test_sign_flips_of_subjects_with_one_disputed_cell_each_are_the_sign_test(only_one: int, only_other: int) -> None:
    one, other, _ = paired(3, only_one, only_other, 2)
    unit = np.arange(len(one)).repeat(2)  # each subject has one more cell, on which both are right
    one, other = (np.stack([right, np.ones_like(right)], axis=1).ravel() for right in (one, other))
    outcome = compare_two(one, other, unit, 0)
    assert outcome.name == "sign_flip"
    disputed = only_one + only_other
    tosses = [abs(2 * sum(toss) - disputed) for toss in product([0, 1], repeat=disputed)]
    assert outcome.p == pytest.approx(np.mean([e >= abs(only_one - only_other) for e in tosses]))


def test_sign_flips_of_subjects_are_all_exchanges_counted() -> None:
    difference = np.array([3, -1, 2, 1])  # of cells right, subject by subject
    one = np.concatenate([np.repeat([d > 0, 0], [abs(d), 1]) for d in difference]).astype(int)
    other = np.concatenate([np.repeat([d < 0, 0], [abs(d), 1]) for d in difference]).astype(int)
    unit = np.repeat(np.arange(4), np.abs(difference) + 1)
    exchanged = [
        abs(sum(d * s for d, s in zip(difference, signs, strict=True))) for signs in product([1, -1], repeat=4)
    ]
    assert compare_two(one, other, unit, 0).p == np.mean([e >= 5 for e in exchanged])


def test_sign_flips_of_many_subjects_are_near_the_normal_limit() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.random((2, 600)) < np.array([[0.8], [0.75]])).astype(int)
    unit = np.arange(600) // 2
    sums = np.bincount(unit, one - other)
    z = sums.sum() / np.sqrt((sums**2).sum())
    assert compare_two(one, other, unit, 0).p == pytest.approx(2 * norm.sf(abs(z)), abs=0.02)


def each_subject_wins(subjects: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two cells a subject: the first classifier is right on both, the other on one."""
    return np.ones(2 * subjects, dtype=int), np.arange(2 * subjects) % 2, np.arange(2 * subjects) // 2


@pytest.mark.parametrize("subjects", [12, 13])
def test_sign_flips_of_thirteen_subjects_or_fewer_are_all_counted(subjects: int) -> None:
    assert compare_two(*each_subject_wins(subjects), 0).p == 2 / 2**subjects


def test_of_random_sign_flips_the_observed_one_is_one_of_ten_thousand() -> None:
    one, other, unit = each_subject_wins(40)
    assert compare_two(one, other, unit, 0).p == 1 / 10_000
    assert compare_several(np.stack([one, one, other], axis=1), unit, 0).p == 1 / 10_000


def test_an_outcome_names_its_test_and_its_counts() -> None:
    one, other, image = paired(9, 4, 1, 2)
    subject = image // 2
    assert compare_two(one, other, image, 0)[:2] == ("mcnemar_mid_p", 1)
    assert compare_two(one, other, subject, 0)[:2] == ("sign_flip", 3)
    three = np.stack([one, other, one], axis=1)
    q = pytest.approx(cochrans_q(three).statistic)
    assert compare_several(three, image, 0)[:2] == ("cochran_q", q)
    assert compare_several(three, subject, 0)[:2] == ("cochran_q_permuted", q)
    alike = np.stack([one, one], axis=1)
    assert compare_several(alike, image, 0)[:2] == ("cochran_q", 0)
    assert compare_several(alike, subject, 0)[:2] == ("cochran_q_permuted", 0)
    label = image % 2
    assert auc_difference(label, one, other, image)[0].name == "delong"
    assert auc_difference(label, one, other, subject)[0].name == "obuchowski"


def test_random_exchanges_depend_on_the_seed_alone() -> None:
    rng = np.random.default_rng(5)
    right, unit = (rng.random((120, 3)) < 0.7).astype(int), np.arange(120) // 3
    for test in (lambda seed: compare_two(right[:, 0], right[:, 1], unit, seed),
                 lambda seed: compare_several(right, unit, seed)):  # fmt: skip
        assert test(1) == test(1) != test(2)


def test_cochran_gives_what_the_formula_gives_by_hand() -> None:
    right = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    # Columns sum to 4, 4, 1, rows to 2, 1, 3, 1, 2, 0; Q = 2 (3 (16 + 16 + 1) - 81) / (3 x 9 - 19) = 4.5.
    outcome = compare_several(right, np.arange(6), 0)
    assert outcome.statistic == pytest.approx(4.5)
    assert outcome.p == pytest.approx(chi2.sf(4.5, 2))


decisions = st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=2, max_size=30).filter(
    lambda rows: any(len(set(row)) > 1 for row in rows)
)


@given(decisions)
def test_cochran_is_statsmodels(rows: list[list[int]]) -> None:
    outcome, expected = compare_several(np.array(rows), np.arange(len(rows)), 0), cochrans_q(np.array(rows))
    assert (outcome.statistic, outcome.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_classifiers_that_agree_everywhere_do_not_differ() -> None:
    right = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1]])
    assert compare_several(right, np.arange(3), 0)[1:] == (0.0, 1.0)


@pytest.mark.parametrize(
    "right",
    [
        [[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]],
        [[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1]],  # the statistic is nearly the smallest
    ],
)
def test_cochran_by_subject_counts_the_exchanges_within_subjects(right: np.ndarray) -> None:
    right, unit = np.array(right), np.array([0, 0, 1, 1, 2, 2])
    sums = np.stack([np.bincount(unit, column) for column in right.T], axis=1)
    observed = sums.sum(axis=0).var()
    every = [
        np.array([row[list(order)] for row, order in zip(sums, orders, strict=True)]).sum(axis=0).var()
        for orders in product(list(permutations(range(3))), repeat=3)
    ]
    exact = np.mean(np.array(every) >= observed - 1e-9)
    error = np.sqrt(exact * (1 - exact) / 9999)
    outcome = compare_several(right, unit, 0)
    assert outcome.p == pytest.approx(exact, abs=4 * error)
    assert outcome.statistic == pytest.approx(cochrans_q(right).statistic)


labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=25).filter(
    lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2
)


@given(labelled)
def test_areas_are_those_of_sklearn_with_ties(rows: list[tuple[bool, int, int]]) -> None:
    label, *scores = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    areas, _ = delong(label.astype(int), np.stack(scores), np.arange(len(label)))
    assert areas == pytest.approx([roc_auc_score(label, score) for score in scores])


@given(labelled)
def test_the_covariance_of_areas_is_delong_s_of_all_pairs(rows: list[tuple[bool, int, int]]) -> None:
    label, *scores = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    wins = np.stack(
        [np.sign(score[label == 1][:, None] - score[label == 0][None, :]) / 2 + 0.5 for score in scores]
    )  # psi of DeLong et al. (1988), of shape (2, m, n)
    expected = np.cov(wins.mean(axis=2)) / wins.shape[1] + np.cov(wins.mean(axis=1)) / wins.shape[2]
    _, covariance = delong(label.astype(int), np.stack(scores), np.arange(len(label)))
    np.testing.assert_allclose(covariance, expected, atol=1e-12)


@pytest.mark.parametrize("healthy", [[], [3], [1, 4]])
def test_by_subject_the_covariance_of_areas_is_obuchowski_s_of_all_pairs(healthy: list[int]) -> None:
    rng = np.random.default_rng(7)
    unit = np.repeat(np.arange(5), [6, 9, 4, 12, 7])
    label = np.concatenate([np.arange(size) % 3 > 0 for size in np.bincount(unit)]).astype(int)  # both, in everyone
    if healthy:
        label = (~np.isin(unit, healthy) | (unit == 0) & (label == 1)).astype(int)
        label[0] = 0  # of the first subject, who has both
    scores = label + rng.normal(size=5)[unit] + rng.integers(0, 3, (2, len(unit)))
    psi = np.stack([np.sign(score[label == 1][:, None] - score[label == 0][None, :]) / 2 + 0.5 for score in scores])
    area, (m, n) = psi.mean(axis=(1, 2)), psi.shape[1:]
    of_all, of_hem = psi.mean(axis=2), psi.mean(axis=1)
    # Obuchowski (1997), of 5 clusters: sums over a cluster less its number of images times the area.
    x = np.array(
        [[(values[unit[label == 1] == k] - a).sum() for k in range(5)] for values, a in zip(of_all, area, strict=True)]
    )
    y = np.array(
        [[(values[unit[label == 0] == k] - a).sum() for k in range(5)] for values, a in zip(of_hem, area, strict=True)]
    )
    i_10, i_01 = (len(set(unit[label == kind])) for kind in (1, 0))
    s_10, s_01 = i_10 / (i_10 - 1) / m * x @ x.T, i_01 / (i_01 - 1) / n * y @ y.T
    s_11 = 5 / 4 * x @ y.T
    expected = s_10 / m + s_01 / n + (s_11 + s_11.T) / (m * n)
    areas, covariance = delong(label, scores, unit)
    assert areas == pytest.approx(area)
    np.testing.assert_allclose(covariance, expected)


def test_areas_by_subject_vary_as_resampled_subjects_do() -> None:
    rng = np.random.default_rng(1)
    unit = np.arange(80).repeat(5)
    label = (np.arange(80) % 2).repeat(5)
    score = label + rng.normal(size=80).repeat(5) + rng.normal(size=400)
    _, covariance = delong(label, np.stack([score, score]), unit)
    drawn = [np.concatenate([np.arange(5) + 5 * k for k in rng.integers(0, 80, 80)]) for _ in range(600)]
    resampled = np.std([roc_auc_score(label[rows], score[rows]) for rows in drawn])
    assert np.sqrt(covariance[0, 0]) == pytest.approx(resampled, rel=0.12)
    _, independent = delong(label, np.stack([score, score]), np.arange(400))
    assert independent[0, 0] < covariance[0, 0]


def test_classifiers_that_rank_alike_do_not_differ_in_area() -> None:
    label, score = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.4, 0.9])
    alike_between_classes = score[[1, 0, 2, 3, 4]]
    for one, other in ((score, score**2), (score, alike_between_classes), (label + score, label + score**2)):
        outcome, difference = auc_difference(label, one, other, np.arange(5))
        assert outcome.p == 1
        assert difference == (0, 0, 0)


@pytest.mark.parametrize("upside_down", [False, True])
def test_two_classifiers_that_separate_few_images_may_differ_in_area_on_others(upside_down: bool) -> None:
    label = np.array([0, 0, 1, 1, 1])
    one, other = np.array([[0.1, 0.2, 0.7, 0.8, 0.9], [0.3, 0.2, 0.8, 0.6, 0.9]])
    outcome, difference = auc_difference(1 - label if upside_down else label, one, other, np.arange(5))
    assert (difference.value, outcome.statistic, outcome.p) == (0, 0, 1)
    error = math.sqrt(sum(np.var([0] * images + [1, -1]) / (images + 2) for images in (2, 3)))
    assert difference.high == -difference.low == pytest.approx(norm.isf(0.025) * error)


def test_a_single_subject_leaves_a_difference_open_and_a_single_image_has_an_interval() -> None:
    value, low, high = difference_by_unit(np.array([3.0]), np.array([1.0]), np.array([10]))
    assert (float(value), float(low), float(high)) == (0.2, -1.0, 1.0)
    value, low, high = difference_by_unit(np.array([1.0]), np.array([0.0]), np.array([1]))
    # Of one gained image and one more gained and lost: shares 2/3 and 1/3.
    assert float(value) == 1.0
    assert float(low) == pytest.approx(1 / 3 - norm.isf(0.025) * math.sqrt((1 - 1 / 9) / 3))
    assert float(high) == 1.0


@pytest.mark.parametrize(("positives", "negatives"), [(3, 3), (6, 4), (20, 20)])
def test_areas_that_differ_without_variance_differ_no_more_surely_than_by_all_exchanges(
    positives: int, negatives: int
) -> None:
    label = np.repeat([1, 0], [positives, negatives])
    perfect, constant = label.astype(float), np.full(len(label), 0.6)
    outcome, difference = auc_difference(label, perfect, constant, np.arange(len(label)))
    assert outcome.p >= 2 / math.comb(len(label), positives)  # of a rank test of the two classes
    assert (outcome.p < 0.05) == (positives == 20)
    assert difference.low < difference.value == 0.5 < difference.high
    worse, _ = auc_difference(label, constant, perfect, np.arange(len(label)))
    assert (worse.statistic, worse.p) == (-outcome.statistic, outcome.p)


@pytest.mark.parametrize(
    ("per_unit", "name", "freedom"),
    [(1, "delong", math.inf), (2, "obuchowski", 7)],  # eight subjects
)
def test_areas_that_differ_without_variance_have_that_of_two_opposite_units_more_in_each_class(
    per_unit: int, name: str, freedom: float
) -> None:
    label = np.repeat([1, 0], [5 * per_unit, 3 * per_unit])
    outcome, difference = auc_difference(
        label, label.astype(float), np.full(len(label), 0.6), np.arange(len(label)) // per_unit
    )
    error = math.sqrt(sum(np.var([0.5] * units + [1, -1]) / (units + 2) for units in (5, 3)))
    assert (outcome.name, outcome.statistic) == (name, pytest.approx(0.5 / error))
    assert outcome.p == pytest.approx(2 * t.sf(0.5 / error, freedom))
    assert difference.low == pytest.approx(max(0.5 - t.isf(0.025, freedom) * error, -1))


def test_areas_that_rise_and_fall_together_differ_more_surely() -> None:
    rng = np.random.default_rng(2)
    label = np.arange(200) % 2
    score = label + rng.normal(size=200)
    near, apart = score + 0.2 * rng.normal(size=200), label + rng.normal(size=200)
    errors = []
    for other in (near, apart):
        _, difference = auc_difference(label, score, other, np.arange(200))
        drawn = [rng.integers(0, 200, 200) for _ in range(400)]
        resampled = [roc_auc_score(label[k], score[k]) - roc_auc_score(label[k], other[k]) for k in drawn]
        errors.append((difference.high - difference.value) / norm.ppf(0.975))
        assert errors[-1] == pytest.approx(np.std(resampled), rel=0.12)
        assert difference.value - difference.low == pytest.approx(difference.high - difference.value)
    assert errors[0] < errors[1] / 2


@given(labelled)
def test_a_difference_of_areas_varies_as_the_differences_of_all_pairs_do(rows: list[tuple[bool, int, int]]) -> None:
    label, one, other = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    pairs = [np.sign(score[label == 1][:, None] - score[label == 0][None, :]) / 2 for score in (one, other)]
    lead = pairs[0] - pairs[1]  # no covariance is needed: each pair has one difference
    m, n = lead.shape
    error = np.sqrt(lead.mean(axis=1).var(ddof=1) / m + lead.mean(axis=0).var(ddof=1) / n)
    outcome, difference = auc_difference(label.astype(int), one, other, np.arange(m + n))
    assert difference.value == pytest.approx(lead.mean(), abs=1e-12)
    assert outcome.name == "delong"
    if error > 1e-6:
        assert outcome.statistic == pytest.approx(lead.mean() / error)
        assert outcome.p == pytest.approx(2 * norm.sf(abs(lead.mean()) / error))
    if error > 1e-6 or (lead.mean() == 0 and pairs[0].mean() not in (-0.5, 0.5)):
        limits = np.clip(lead.mean() + np.array([-1, 1]) * norm.ppf(0.975) * error, -1, 1)
        assert (difference.low, difference.high) == pytest.approx(limits, abs=2e-7)


def test_by_subject_areas_are_compared_by_t_of_the_effective_number_of_subjects() -> None:
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(6), [30, 10, 10, 10, 10, 10])
    label = np.arange(80) % 2
    one, other = label + rng.normal(size=(2, 80))
    outcome, difference = auc_difference(label, one, other, unit)
    freedom = 80**2 / (30**2 + 5 * 10**2) - 1
    error = (difference.high - difference.value) / t.ppf(0.975, freedom)
    assert error == pytest.approx(difference.value / outcome.statistic)
    assert outcome.p == pytest.approx(2 * t.sf(abs(difference.value / error), freedom))


def test_bonferroni_is_statsmodels() -> None:
    p = [0.01, 0.04, 0.3, 0.005]
    assert bonferroni(p) == pytest.approx(multipletests(p, method="bonferroni")[1])


def test_a_difference_of_accuracies_is_bonett_and_price_s() -> None:
    difference = accuracy_difference(*paired(40, 12, 5, 3))
    first, second = 13 / 62, 6 / 62
    error = np.sqrt((first + second - (first - second) ** 2) / 62)
    assert difference.value == pytest.approx(7 / 60)
    assert difference.low == pytest.approx(first - second - 1.959964 * error)
    assert difference.high == pytest.approx(first - second + 1.959964 * error)
    wider = accuracy_difference(*paired(40, 12, 5, 3), alpha=0.01)
    assert wider.high == pytest.approx(first - second + 2.575829 * error)


UNEQUAL = np.repeat(np.arange(7), [40, 5, 12, 30, 8, 21, 3])


def of_subjects(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return tuple((rng.normal(size=7)[unit] + rng.normal(size=len(unit)) > shift).astype(int) for shift in (-1, -0.2))  # type: ignore[return-value]


def test_by_subject_the_limits_of_a_difference_are_those_that_a_t_test_of_the_effective_number_just_rejects() -> None:
    one, other = of_subjects(UNEQUAL)
    difference = accuracy_difference(one, other, UNEQUAL)
    size = np.bincount(UNEQUAL)
    m = size.sum() ** 2 / (size**2).sum()
    for limit in (difference.low, difference.high):
        z = np.bincount(UNEQUAL, one - other) - limit * size
        square = z.sum() ** 2 / (z**2).sum()
        assert (m - 1) * square / (m - square) == pytest.approx(t.ppf(0.975, m - 1) ** 2)
    assert difference.low < difference.value < difference.high


def test_by_subjects_of_equal_size_a_difference_has_student_s_interval() -> None:
    unit = np.arange(7).repeat(17)
    one, other = of_subjects(unit)
    difference = accuracy_difference(one, other, unit)
    of_subject = np.bincount(unit, one - other) / 17
    low, high = ttest_1samp(of_subject, 0).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((low, high))


def test_a_difference_with_the_classifiers_exchanged_has_the_opposite_interval() -> None:
    one, other = of_subjects(UNEQUAL)
    difference, opposite = accuracy_difference(one, other, UNEQUAL), accuracy_difference(other, one, UNEQUAL)
    assert (opposite.value, opposite.low, opposite.high) == pytest.approx(
        (-difference.value, -difference.high, -difference.low)
    )


def test_by_subject_an_interval_contains_the_one_by_image_and_has_a_width_where_none_is_disputed() -> None:
    rng = np.random.default_rng(1)
    for share in (0.0, 0.02, 0.2):
        one = (rng.random(len(UNEQUAL)) < 0.8).astype(int)
        other = np.where(rng.random(len(UNEQUAL)) < share, 1 - one, one)
        by_subject = accuracy_difference(one, other, UNEQUAL)
        by_image = accuracy_difference(one, other, np.arange(len(UNEQUAL)))
        assert by_subject.low < by_image.low < by_image.high < by_subject.high


def test_two_subjects_bound_a_difference_within_one() -> None:
    one, other, _ = paired(20, 8, 8, 4)
    unit = np.arange(40) % 2
    without = [(one - other)[unit != k].mean() for k in (0, 1)]
    first, second = 9 / 42, 9 / 42
    images = (first + second - (first - second) ** 2) / 42
    half = accuracy_difference(one, other, unit, alpha=0.5)  # Student's quantile of one degree of freedom is 1
    assert half.high == pytest.approx(np.sqrt(max(images, (without[0] - without[1]) ** 2 / 4)))
    difference = accuracy_difference(one, other, unit)
    assert (difference.low, difference.high) == (-1, 1)  # Student's quantile of one degree of freedom is 12.7


def test_differences_of_many_studies_at_once_are_those_of_each() -> None:
    rng = np.random.default_rng(6)
    size = np.array([9, 14, 30, 7, 22])
    gained, lost = rng.binomial(size, 0.2, (8, 5)), rng.binomial(size, 0.1, (8, 5))
    together = np.stack(difference_by_unit(gained, lost, size), axis=1)
    each = [difference_by_unit(*row, size) for row in zip(gained, lost, strict=True)]
    np.testing.assert_allclose(together, each)


def test_one_subject_alone_bounds_no_difference() -> None:
    one, other, _ = paired(5, 6, 0, 1)
    difference = accuracy_difference(one, other, np.zeros(12, dtype=int))
    assert (difference.value, difference.low, difference.high) == (0.5, -1, 1)
    assert compare_two(one, other, np.zeros(12, dtype=int), 0).p == 1


PRELIMINARY = [5, 7, 9, 10, 12, 13, 18, 19, 20, 25, 29, 31, 35, 38, 47, 47, 54, 69, 77, 83, 84, 96, 111, 139, 162, 164,
               201, 262]  # fmt: skip
FOLD_1 = [53, 84, 97, 145, 146, 181, 190, 201, 212, 352, 373, 385, 405, 757]


@pytest.mark.parametrize("size", [[1] * 130, FOLD_1, PRELIMINARY], ids=["by image", "14 people", "28 people"])
def test_the_interval_of_a_difference_holds_the_truth_in_19_of_20_studies(size: list[int]) -> None:
    rng, images, studies = np.random.default_rng(len(size)), np.array(size), 2000
    shape = (studies, len(size))
    by_person = max(size) > 1  # people differ in how much is disputed, and in whose favour
    disputed = rng.binomial(images, rng.beta(1.8, 7.2, shape) if by_person else 0.2, shape)
    gained = rng.binomial(disputed, rng.beta(4.5, 4.5, shape) if by_person else 0.5)
    _, low, high = difference_by_unit(gained, disputed - gained, images)
    assert 0.93 <= ((low <= 0) & (high >= 0)).mean() <= 0.97


def exchanged(rng: np.random.Generator, unit: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of k classifiers under the null: exchanged at random within each unit."""
    label = (np.arange(unit.max() + 1) % 2)[unit]
    probabilities = 0.5 + 0.25 * (2 * label - 1) + 0.35 * rng.normal(size=(k, len(unit)))
    order = rng.permuted(np.tile(np.arange(k), (unit.max() + 1, 1)), axis=1)[unit].T
    return label, np.take_along_axis(probabilities, order, axis=0)


STUDIES = 800
ERROR = 3.3 * np.sqrt(0.05 * 0.95 / STUDIES)  # of a share of 5% of them


@pytest.mark.parametrize("images", [1, 5], ids=["by image", "by subject"])
def test_under_the_null_every_test_rejects_in_one_of_twenty_studies(images: int) -> None:
    rng = np.random.default_rng(2)
    unit = np.arange(300 // images).repeat(images)
    rejected = np.zeros((STUDIES if images == 1 else 250, 3))
    for row in rejected:
        label, probabilities = exchanged(rng, unit, 3)
        right = ((probabilities >= 0.5) == label).astype(int)
        row[0] = compare_two(right[0], right[1], unit, 0).p < 0.05
        row[1] = compare_several(right.T, unit, 0).p < 0.05 if images == 1 else np.nan
        row[2] = auc_difference(label, *probabilities[:2], unit)[0].p < 0.05
    error = ERROR * np.sqrt(STUDIES / len(rejected))
    shares = rejected.mean(axis=0)
    np.testing.assert_allclose(shares[~np.isnan(shares)], 0.05, atol=error)


def test_under_the_null_mid_p_rejects_in_no_more_than_one_of_twenty_studies_of_few_images() -> None:
    rng = np.random.default_rng(3)
    rejected = []
    for _ in range(STUDIES):
        label, probabilities = exchanged(rng, np.arange(24), 2)
        right = ((probabilities >= 0.5) == label).astype(int)
        rejected.append(compare_two(right[0], right[1], np.arange(24), 0).p < 0.05)
    assert np.mean(rejected) <= 0.05 + ERROR
