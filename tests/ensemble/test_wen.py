from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wen.ensemble.weights import SCHEMES
from wen.ensemble.wen import combine, normalised
from wen.evaluation.metrics import decide

SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=15)


def test_weights_and_probability_are_those_of_the_example_by_hand() -> None:
    # w = (0.6, 0.3, 0.1) / 1.0; P = 0.6 * 0.9 + 0.3 * 0.4 + 0.1 * 0.2
    weight = normalised([0.6, 0.3, 0.1])
    np.testing.assert_allclose(weight, [0.6, 0.3, 0.1])
    np.testing.assert_allclose(combine(weight, np.array([[0.9], [0.4], [0.2]])), [0.68])


@pytest.mark.filterwarnings("ignore:no member has a positive score")
@given(SCORES)
def test_weights_are_never_negative_and_sum_to_one(scores: list[float]) -> None:
    weight = normalised(scores)
    assert (weight >= 0).all()
    assert weight.sum() == pytest.approx(1)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=15), st.floats(0.001, 1000))
def test_weights_do_not_depend_on_the_scores_unit(scores: list[float], factor: float) -> None:
    np.testing.assert_allclose(normalised(scores), normalised([factor * score for score in scores]))


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(arrays(float, n, elements=st.floats(0, 1)),
                                                     arrays(float, (n, 5), elements=st.floats(0, 1)))))  # fmt: skip
@pytest.mark.filterwarnings("ignore:no member has a positive score")
def test_an_ensemble_lies_between_its_members(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, probabilities = case
    combined = combine(normalised(scores), probabilities)
    assert (combined >= probabilities.min(axis=0)).all()
    assert (combined <= probabilities.max(axis=0)).all()


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=15), st.floats(0, 1))
def test_members_that_agree_are_quoted_to_the_last_digit(scores: list[float], probability: float) -> None:
    agreed = [*[[probability, 0.0, 1.0]] * len(scores), [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    assert combine(normalised([*scores, 0.0, -1.0]), np.array(agreed)).tolist() == [probability, 0, 1]


def test_votes_whose_mean_is_the_threshold_are_decided_as_positive() -> None:
    votes = np.array([vote for vote in product([0, 0.25, 0.5, 0.75, 1], repeat=3) if sum(vote) == 1.5]).T
    assert (combine(normalised([1, 1, 1]), votes) == 0.5).all()
    assert (decide(combine(normalised([0.9, 0.8, 0.7]), np.array([[0.1], [0.5], [0.9 + 1e-9]]))) == 0).all()


def test_very_small_scores_are_weighted_by_their_shares() -> None:
    np.testing.assert_allclose(normalised([2e-200, 6e-200]), [0.25, 0.75])


def test_negative_and_undefined_scores_count_as_nothing() -> None:
    scores = [-0.2, 0.3, float("nan"), 0.1, float("inf"), float("-inf")]
    np.testing.assert_allclose(normalised(scores), [0, 0.75, 0, 0.25, 0, 0])


def test_without_a_positive_score_weights_are_equal_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="all get equal weights"):
        np.testing.assert_allclose(normalised([0, -0.1]), [0.5, 0.5])


def test_an_ensemble_without_members_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        normalised([])


def test_uniform_is_the_plain_average() -> None:
    label, probability = np.array([0, 1]), np.array([0.9, 0.1])
    assert SCHEMES["uniform"](label, probability) == 1
