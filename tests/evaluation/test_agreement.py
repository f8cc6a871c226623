from collections import Counter
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from wen.evaluation.agreement import pairwise_kappa, pairwise_q


def test_kappa_between_members_is_that_of_sklearn() -> None:
    probabilities = np.random.default_rng(0).random((4, 50))
    values = pairwise_kappa(probabilities)
    for i in range(4):
        for j in range(4):
            expected = cohen_kappa_score(probabilities[i] >= 0.5, probabilities[j] >= 0.5)
            assert values[i, j] == pytest.approx(expected)


def test_members_that_always_say_the_same_agree_fully() -> None:
    assert (pairwise_kappa(np.ones((2, 5))) == 1).all()


def test_q_is_computed_from_the_table_of_right_and_wrong_decisions() -> None:
    one = np.repeat([1, 1, 0, 0], [5, 2, 1, 3])
    other = np.repeat([1, 0, 1, 0], [5, 2, 1, 3])
    assert pairwise_q(np.stack([one, other]))[0, 1] == pytest.approx((5 * 3 - 2 * 1) / (5 * 3 + 2 * 1))


def test_q_is_1_where_two_models_agree_on_one_right_and_one_wrong_image() -> None:
    assert (pairwise_q(np.array([[1, 0], [1, 0]])) == 1).all()


def test_q_is_undefined_where_all_decisions_are_right() -> None:
    assert np.isnan(pairwise_q(np.ones((2, 4), dtype=int))).all()


@pytest.mark.filterwarnings("error")
def test_q_of_all_pairs_at_once_is_that_of_each_pair() -> None:
    right = (np.random.default_rng(3).random((4, 60)) < [[0.8], [0.6], [0.5], [1.0]]).astype(int)
    found = pairwise_q(right)
    for i, j in product(range(4), repeat=2):
        count = Counter(zip(right[i].tolist(), right[j].tolist(), strict=True))
        same, different = count[1, 1] * count[0, 0], count[1, 0] * count[0, 1]
        expected = (same - different) / (same + different) if same + different else np.nan
        assert found[i, j] == pytest.approx(expected, nan_ok=True)


def test_a_probability_of_one_half_agrees_with_those_above_it() -> None:
    assert pairwise_kappa(np.array([[0.5, 0.1, 0.5], [0.9, 0.2, 0.6]]))[0, 1] == 1
