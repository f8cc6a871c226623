import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from wen.evaluation.calibration import brier, expected_error, reliability

images = st.lists(st.tuples(st.integers(0, 1), st.floats(0.001, 0.999)), min_size=2, max_size=40)


@given(images)
def test_reliability_and_brier_are_those_of_sklearn(rows: list[tuple[int, float]]) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    edges = np.linspace(0, 1, 11)
    assume(not np.isclose(probability[:, None], edges, atol=1e-9).any())  # where the two choose different bins
    observed, predicted = calibration_curve(label, probability, n_bins=10)
    bins = reliability(label, probability)
    np.testing.assert_allclose([own.observed for own in bins], observed)
    np.testing.assert_allclose([own.predicted for own in bins], predicted)
    assert brier(label, probability) == pytest.approx(brier_score_loss(label, probability, labels=[0, 1]))


def test_the_expected_error_is_the_weighted_mean_gap() -> None:
    label, probability = np.array([1, 0, 1, 1]), np.array([0.15, 0.15, 0.95, 0.95])
    assert expected_error(label, probability) == pytest.approx(0.5 * 0.35 + 0.5 * 0.05)


def test_certain_and_right_is_without_error() -> None:
    label = np.array([0, 1, 1])
    assert expected_error(label, label.astype(float)) == brier(label, label.astype(float)) == 0
