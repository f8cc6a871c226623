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


def test_q_is_of_the_table_of_rights_and_wrongs() -> None:
    one = np.repeat([1, 1, 0, 0], [5, 2, 1, 3])
    other = np.repeat([1, 0, 1, 0], [5, 2, 1, 3])
    assert pairwise_q(np.stack([one, other]))[0, 1] == pytest.approx((5 * 3 - 2 * 1) / (5 * 3 + 2 * 1))


def test_q_is_undefined_where_no_outcome_tells() -> None:
    assert np.isnan(pairwise_q(np.ones((2, 4), dtype=int))).all()
