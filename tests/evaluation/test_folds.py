import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import f_oneway, permutation_test, spearmanr

from wen.evaluation.folds import centred, fold_share, order_p


def test_the_share_of_folds_by_hand() -> None:
    # Means of the folds 2 and 3, of all 2.5: between folds 2 x 0.25 + 2 x 0.25 = 1 of 2.25 + 0.25 + 0.25 + 2.25 = 5.
    assert fold_share(np.array([[1.0, 2.0], [3.0, 4.0]])) == pytest.approx(0.2)


def test_the_share_of_folds_is_that_of_the_one_way_analysis_of_variance() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 5)) + 2 * np.arange(5)
    statistic = f_oneway(*scores.T).statistic
    assert fold_share(scores) == pytest.approx(statistic * 4 / (statistic * 4 + 10))


def test_without_an_effect_of_folds_the_share_is_that_expected_by_chance() -> None:
    shares = [fold_share(scores) for scores in np.random.default_rng(0).normal(size=(4000, 3, 5))]
    assert np.mean(shares) == pytest.approx((5 - 1) / (3 * 5 - 1), abs=0.01)


def test_equal_scores_have_no_share() -> None:
    assert np.isnan(fold_share(np.full((3, 5), 0.1)))


@given(arrays(float, (3, 5), elements=st.floats(0, 1)), arrays(float, 5, elements=st.floats(-1, 1)))
def test_centred_scores_have_no_effect_of_folds(scores: np.ndarray, effect: np.ndarray) -> None:
    np.testing.assert_allclose(centred(scores).mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(centred(scores + effect), centred(scores), atol=1e-9)


def test_scores_that_are_equal_but_for_rounding_stay_equal() -> None:
    left, right = centred(np.array([[0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2 - 2**-54], [0.3, 0.3]]))[2]
    assert left == right == 0


def test_the_p_of_an_order_by_scipy_s_permutations_of_one_rate() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=5), np.round(rng.normal(size=5))
    scipys = permutation_test(
        (one,), lambda x: spearmanr(x, other).statistic, permutation_type="pairings", alternative="greater"
    )
    assert order_p(one[None], other[None], seed=0) == pytest.approx(scipys.pvalue)


def test_the_p_of_an_order_by_scipy_s_permutations_of_rates_with_different_ties() -> None:
    one = np.array([[0.5, 0.5, 0.5, 0.5, 0.7], [0.1, 0.2, 0.3, 0.4, 0.5], [0.3, 0.3, 0.1, 0.2, 0.2]])
    other = np.array([[0.9, 0.8, 0.7, 0.8, 0.6], [0.2, 0.1, 0.3, 0.5, 0.4], [0.4, 0.4, 0.4, 0.5, 0.5]])

    def agreement(order: np.ndarray) -> float:
        folds = order.astype(int)
        return float(
            np.mean([spearmanr(first[folds], second).statistic for first, second in zip(one, other, strict=True)])
        )

    scipys = permutation_test((np.arange(5),), agreement, permutation_type="pairings", alternative="greater")
    assert order_p(one, other, seed=0) == pytest.approx(scipys.pvalue)


def test_seven_folds_have_all_their_orders() -> None:
    scores = np.arange(7.0)[None]
    assert order_p(scores, scores, seed=0) == pytest.approx(1 / 5040)


def test_the_random_orders_of_many_folds_depend_on_the_seed_alone() -> None:
    one, other = np.random.default_rng(1).normal(size=(2, 1, 9))
    assert order_p(one, other, seed=0) == order_p(one, other, seed=0) != order_p(one, other, seed=1)


def test_rates_that_depend_on_the_same_folds_are_no_more_evidence_than_one() -> None:
    scores = np.arange(4.0)
    assert order_p(np.tile(scores, (3, 1)), np.tile(scores, (3, 1)), seed=0) == order_p(scores[None], scores[None], 0)
    assert order_p(scores[None], scores[None], seed=0) == pytest.approx(1 / 24)


def test_many_folds_have_random_orders() -> None:
    scores = np.arange(9.0)[None]
    assert order_p(scores, scores, seed=0) == pytest.approx(1 / 10_000)
    assert order_p(scores, -scores, seed=0) == 1


def test_scores_without_a_relation_are_an_order_in_at_most_one_study_of_twenty() -> None:
    rng = np.random.default_rng(0)
    p = [order_p(rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), 0) for _ in range(2000)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.05  # p has steps, of which five orders have 120
