import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wen.evaluation.metrics import MEASURES, evaluate
from wen.evaluation.resampling import interval, resample, resampled_measures

images = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.integers(0, 3)), min_size=1, max_size=20
)


@given(images)
def test_a_resampled_test_set_is_measured_as_if_its_images_were_repeated(rows: list[tuple[int, float, int]]) -> None:
    label, probability, count = (np.array(column) for column in zip(*rows, strict=True))
    measured = resampled_measures(label, probability, count[None].astype(float))
    expected = evaluate(np.repeat(label, count), np.repeat(probability, count))
    for name in MEASURES:
        np.testing.assert_allclose(measured[name], [expected[name]], atol=1e-12)


def test_units_are_drawn_whole_and_as_many_as_there_are() -> None:
    unit = np.array([0, 0, 1, 2, 2, 2])
    counts = resample(unit, 50, seed=1)
    assert counts.shape == (50, 6)
    for k in range(3):
        own = counts[:, unit == k]
        assert (own == own[:, :1]).all()
    assert (counts[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(counts, axis=0)) > 5
    assert (resample(unit, 50, seed=1) == counts).all()


def test_a_share_has_the_interval_of_the_binomial() -> None:
    label = np.ones(400, dtype=int)
    probability = np.repeat([1.0, 0.0], [320, 80])
    low, high = interval(resampled_measures(label, probability, resample(np.arange(400), 4000, 0))["recall"])
    assert (low, high) == pytest.approx((0.8 - 1.96 * 0.02, 0.8 + 1.96 * 0.02), abs=0.004)


def test_an_interval_leaves_out_what_is_undefined() -> None:
    assert interval(np.array([np.nan, 1.0, 3.0]), level=1.0) == (1.0, 3.0)
    assert np.isnan(interval(np.array([np.nan]))).all()
