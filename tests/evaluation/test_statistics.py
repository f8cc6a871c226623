"""Each test against a reference that is not its own code: scipy, worked examples, brute force, simulation."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, norm
from sklearn.metrics import roc_auc_score

from wen.evaluation.statistics import accuracy_difference, auc_difference, compare_several, compare_two, delong, holm


def paired(both: int, only_one: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    one = np.repeat([1, 1, 0, 0], [both, only_one, only_other, neither])
    other = np.repeat([1, 0, 1, 0], [both, only_one, only_other, neither])
    return one, other, np.arange(len(one))


@given(only_one=st.integers(0, 12), only_other=st.integers(0, 12))
def test_with_few_discordant_pairs_mcnemar_is_the_binomial_test(only_one: int, only_other: int) -> None:
    outcome = compare_two(*paired(5, only_one, only_other, 3), 0)
    expected = binomtest(only_one, only_one + only_other).pvalue if only_one + only_other else 1.0
    assert outcome.name == "mcnemar_exact"
    assert outcome.p == pytest.approx(expected)


def test_mcnemar_gives_what_the_formula_gives_by_hand() -> None:
    outcome = compare_two(*paired(101, 121, 59, 33), 0)  # (121 - 59)^2 / (121 + 59)
    assert outcome.name == "mcnemar"
    assert outcome.statistic == pytest.approx(21.3556, abs=1e-4)
    assert outcome.p == pytest.approx(chi2.sf(21.3556, 1), rel=1e-4)


@given(only_one=st.integers(0, 6), only_other=st.integers(0, 6))
def test_sign_flips_of_subjects_with_one_disputed_cell_each_are_mcnemar_exact(only_one: int, only_other: int) -> None:
    one, other, _ = paired(3, only_one, only_other, 2)
    unit = np.arange(len(one)).repeat(2)  # each subject has one more cell, on which both are right
    one, other = (np.stack([own, np.ones_like(own)], axis=1).ravel() for own in (one, other))
    outcome = compare_two(one, other, unit, 0)
    assert outcome.name == "sign_flip"
    assert outcome.p == pytest.approx(compare_two(*paired(3, only_one, only_other, 2), 0).p)


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


def test_cochran_gives_what_the_formula_gives_by_hand() -> None:
    right = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    # Columns sum to 4, 4, 1, rows to 2, 1, 3, 1, 2, 0; Q = 2 (3 (16 + 16 + 1) - 81) / (3 x 9 - 19) = 4.5.
    outcome = compare_several(right, np.arange(6), 0)
    assert outcome.statistic == pytest.approx(4.5)
    assert outcome.p == pytest.approx(chi2.sf(4.5, 2))


@given(only_one=st.integers(0, 40), only_other=st.integers(25, 40))
def test_cochran_of_two_is_mcnemar(only_one: int, only_other: int) -> None:
    one, other, unit = paired(4, only_one, only_other, 4)
    outcome = compare_several(np.stack([one, other], axis=1), unit, 0)
    assert outcome.statistic == pytest.approx(compare_two(one, other, unit, 0).statistic)


def test_classifiers_that_agree_everywhere_do_not_differ() -> None:
    right = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1]])
    assert compare_several(right, np.arange(3), 0)[1:] == (0.0, 1.0)


def test_cochran_by_subject_counts_the_exchanges_within_subjects() -> None:
    right = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    unit = np.array([0, 0, 1, 1, 2, 2])
    sums = np.stack([np.bincount(unit, column) for column in right.T], axis=1)
    observed = sums.sum(axis=0).var()
    every = [
        np.array([row[list(order)] for row, order in zip(sums, orders, strict=True)]).sum(axis=0).var()
        for orders in product(list(permutations(range(3))), repeat=3)
    ]
    exact = np.mean(np.array(every) >= observed - 1e-9)
    error = np.sqrt(exact * (1 - exact) / 9999)
    assert compare_several(right, unit, 0).p == pytest.approx(exact, abs=4 * error)


labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=25).filter(
    lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2
)


@given(labelled)
def test_areas_are_those_of_sklearn_with_ties(rows: list[tuple[bool, int, int]]) -> None:
    label, *scores = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    areas, _ = delong(label.astype(int), np.stack(scores), np.arange(len(label)))
    assert areas == pytest.approx([roc_auc_score(label, own) for own in scores])


@given(labelled)
def test_the_covariance_of_areas_is_delong_s_of_all_pairs(rows: list[tuple[bool, int, int]]) -> None:
    label, *scores = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    wins = np.stack(
        [np.sign(own[label == 1][:, None] - own[label == 0][None, :]) / 2 + 0.5 for own in scores]
    )  # psi of DeLong et al. (1988), of shape (2, m, n)
    expected = np.cov(wins.mean(axis=2)) / wins.shape[1] + np.cov(wins.mean(axis=1)) / wins.shape[2]
    _, covariance = delong(label.astype(int), np.stack(scores), np.arange(len(label)))
    np.testing.assert_allclose(covariance, expected, atol=1e-12)


def test_areas_by_subject_vary_as_resampled_subjects_do() -> None:
    rng = np.random.default_rng(1)
    unit = np.arange(80).repeat(5)
    label = (np.arange(80) % 2).repeat(5)
    score = label + rng.normal(size=80).repeat(5) + rng.normal(size=400)
    _, covariance = delong(label, np.stack([score, score]), unit)
    drawn = [np.concatenate([np.arange(5) + 5 * k for k in rng.integers(0, 80, 80)]) for _ in range(600)]
    resampled = np.std([roc_auc_score(label[rows], score[rows]) for rows in drawn])
    assert np.sqrt(covariance[0, 0]) == pytest.approx(resampled, rel=0.12)
    _, alone = delong(label, np.stack([score, score]), np.arange(400))
    assert alone[0, 0] < covariance[0, 0]


def test_classifiers_that_rank_alike_do_not_differ_in_area() -> None:
    label, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    outcome, difference = auc_difference(label, score, score**2, np.arange(4))
    assert outcome.p == 1
    assert difference.value == 0


def test_holm_gives_what_stepping_down_by_hand_gives() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_difference_of_accuracies_is_bonett_and_price_s() -> None:
    difference = accuracy_difference(*paired(40, 12, 5, 3))
    first, second = 13 / 62, 6 / 62
    error = np.sqrt((first + second - (first - second) ** 2) / 62)
    assert difference.value == pytest.approx(7 / 60)
    assert difference.low == pytest.approx(first - second - 1.959964 * error)
    assert difference.high == pytest.approx(first - second + 1.959964 * error)
    assert difference.smallest == pytest.approx(2.801585 * error)


@pytest.mark.parametrize("cells", [1, 4])
def test_the_interval_of_a_difference_holds_the_truth_in_19_of_20_studies(cells: int) -> None:
    rng = np.random.default_rng(cells)
    unit = np.arange(60).repeat(cells)
    held = []
    for _ in range(600):
        ease = rng.normal(size=60).repeat(cells)
        one, other = ((ease + rng.normal(size=60).repeat(cells) * 0.7 > shift).astype(int) for shift in (-1, -0.7))
        difference = accuracy_difference(one, other, unit)
        truth = norm.cdf(1 / np.sqrt(1.49)) - norm.cdf(0.7 / np.sqrt(1.49))
        held.append(difference.low <= truth <= difference.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


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


def test_under_the_null_the_exact_test_rejects_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(3)
    rejected = []
    for _ in range(STUDIES):
        label, probabilities = exchanged(rng, np.arange(24), 2)
        right = ((probabilities >= 0.5) == label).astype(int)
        outcome = compare_two(right[0], right[1], np.arange(24), 0)
        assert outcome.name == "mcnemar_exact"
        rejected.append(outcome.p < 0.05)
    assert np.mean(rejected) <= 0.05 + ERROR
