import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import t
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from wen.evaluation.calibration import brier, calibrated_errors, expected_error, log_loss, recalibration, reliability
from wen.evaluation.metrics import CLIP

images = st.lists(st.tuples(st.integers(0, 1), st.floats(0.001, 0.999)), min_size=2, max_size=40)


@given(images)
def test_reliability_and_brier_are_those_of_sklearn(rows: list[tuple[int, float]]) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    edges = np.linspace(0, 1, 11)
    assume(not np.isclose(probability[:, None], edges, atol=1e-9).any())  # where the two choose different bins
    observed, predicted = calibration_curve(label, probability, n_bins=10)
    bins = reliability(label, probability, np.arange(len(label)))
    np.testing.assert_allclose([bin_.observed for bin_ in bins], observed)
    np.testing.assert_allclose([bin_.predicted for bin_ in bins], predicted)
    assert brier(label, probability) == pytest.approx(brier_score_loss(label, probability, labels=[0, 1]))


def test_certain_images_are_in_the_last_bin() -> None:
    label, probability = np.array([1, 0, 1]), np.array([0.95, 1.0, 0.0])
    observed, predicted = calibration_curve(label, probability, n_bins=10)
    bins = reliability(label, probability, np.arange(3))
    assert [bin_.observed for bin_ in bins] == observed.tolist()
    assert [bin_.predicted for bin_ in bins] == predicted.tolist()


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_log_loss_is_that_of_sklearn(rows: list[tuple[int, float]]) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    expected = metrics.log_loss(label, probability, labels=[0, 1])
    assert log_loss(label, probability) == pytest.approx(expected, abs=1e-12)


def test_the_expected_error_is_the_weighted_mean_gap() -> None:
    label, probability = np.array([1, 0, 1, 1]), np.array([0.15, 0.15, 0.95, 0.95])
    assert expected_error(label, probability) == pytest.approx(0.5 * 0.35 + 0.5 * 0.05)


@given(images)
def test_the_expected_error_is_that_of_the_bins(rows: list[tuple[int, float]]) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    bins = reliability(label, probability, np.arange(len(label)))
    expected = sum(bin_.images * abs(bin_.predicted - bin_.observed) for bin_ in bins) / len(label)
    assert expected_error(label, probability) == pytest.approx(expected)


def test_certain_and_right_predictions_have_no_calibration_error() -> None:
    label = np.array([0, 1, 1])
    assert expected_error(label, label.astype(float)) == brier(label, label.astype(float)) == 0


def test_a_bin_of_few_subjects_has_a_wider_interval_than_one_of_as_many_images() -> None:
    label, probability = np.repeat([1, 1, 1, 0], 10), np.full(40, 0.75)
    (independent,) = reliability(label, probability, np.arange(40))
    (within,) = reliability(label, probability, np.repeat(np.arange(4), 10))
    assert (independent.observed, within.observed) == (0.75, 0.75)
    assert within.low < independent.low
    assert within.high > independent.high


def test_calibrated_errors_are_those_of_labels_drawn_one_by_one() -> None:
    probabilities = np.random.default_rng(1).beta(0.5, 0.5, (2, 30))
    uniform = np.random.default_rng(7).random((20, 30))
    expected = [
        [expected_error(np.array([u < p for u, p in zip(row, ordered, strict=True)]), ordered) for row in uniform]
        for ordered in map(np.sort, probabilities)
    ]
    np.testing.assert_allclose(calibrated_errors(probabilities, np.arange(30), 20, seed=7), expected)


def test_one_draw_decides_the_labels_of_a_subject() -> None:
    probability, unit = np.random.default_rng(1).beta(0.5, 0.5, 30), np.arange(30) % 4
    uniform = np.random.default_rng(7).random((20, 4))
    expected = [expected_error((row[unit] < probability).astype(int), probability) for row in uniform]
    np.testing.assert_allclose(calibrated_errors(probability[None], unit, 20, seed=7), [expected])


def test_calibrated_probabilities_of_28_people_are_seldom_called_miscalibrated() -> None:
    """A cell's value is that of its class, its person and its own; its probability is that of its class by Bayes."""
    rng, beyond = np.random.default_rng(0), np.zeros(2)
    for _ in range(100):
        size = rng.integers(15, 120, 28)
        unit, sick = np.repeat(np.arange(28), size), rng.random(28) < 0.65
        value = (2 * sick - 1 + 0.7 * rng.normal(size=28))[unit] + rng.normal(size=len(unit))
        probability = expit(2 * value / (0.7**2 + 1) + logit(0.65))
        error = expected_error(sick[unit].astype(int), probability)
        for k, units in enumerate((unit, np.arange(len(unit)))):
            beyond[k] += error > np.quantile(calibrated_errors(probability[None], units, 200, seed=1), 0.975)
    assert beyond[0] <= 10
    assert beyond[1] >= 80  # as if each of a person's cells had a label of its own


def test_a_calibrated_model_lies_where_calibrated_models_do() -> None:
    rng = np.random.default_rng(0)
    probability = rng.beta(0.6, 0.4, 400)
    (errors,) = calibrated_errors(probability[None], np.arange(400), 1000, seed=1)
    drawn = np.array([expected_error(rng.random(400) < probability, probability) for _ in range(1000)])
    assert drawn.mean() == pytest.approx(errors.mean(), abs=0.002)
    np.testing.assert_allclose(np.quantile(drawn, [0.025, 0.975]), np.quantile(errors, [0.025, 0.975]), atol=0.005)
    assert expected_error(rng.random(400) < expit(3 * logit(probability)), probability) > errors.max()


def test_calibrated_certain_probabilities_have_no_error() -> None:
    assert calibrated_errors(np.array([[0.0, 1.0, 1.0]]), np.arange(3), 10, seed=0).max() == 0


def miscalibrated(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.normal(0.5, 2, n)
    return (rng.random(n) < expit(0.4 + 0.6 * score)).astype(int), expit(score)


def test_slope_and_intercept_are_those_of_statsmodels() -> None:
    label, probability = miscalibrated()
    x = sm.add_constant(logit(probability))
    expected = sm.Logit(label, x).fit(disp=False)
    found = recalibration(label, probability, np.arange(len(label)))
    (a, b), intervals = expected.params, expected.conf_int()
    assert found.intercept == pytest.approx((a, *intervals[0]), abs=1e-6)
    assert found.slope == pytest.approx((b, *intervals[1]), abs=1e-6)
    level = sm.GLM(label, np.ones(len(label)), sm.families.Binomial(), offset=logit(probability)).fit()
    assert found.in_the_large == pytest.approx((level.params[0], *level.conf_int()[0]), abs=1e-6)


@pytest.mark.parametrize("subjects", [2, 30])
def test_by_subject_errors_are_the_cluster_robust_ones_of_statsmodels(subjects: int) -> None:
    label, probability = miscalibrated()
    unit = np.arange(300) % subjects
    expected = sm.Logit(label, sm.add_constant(logit(probability))).fit(
        disp=False, cov_type="cluster", cov_kwds={"groups": unit}, use_t=True
    )
    small_sample = np.sqrt(299 / 298)  # statsmodels' further factor, (n - 1) / (n - k), is that of linear regression
    found = recalibration(label, probability, unit)
    for value, estimate, error in zip(expected.params, (found.intercept, found.slope), expected.bse, strict=True):
        reach = t.ppf(0.975, subjects - 1) * error / small_sample
        assert estimate == pytest.approx((value, value - reach, value + reach), abs=1e-5)


def test_dividing_every_logit_by_a_number_multiplies_the_slope_by_it() -> None:
    label, probability = miscalibrated()
    unit = np.arange(len(label))
    once, twice = (recalibration(label, expit(logit(probability) / by), unit) for by in (1, 4))
    assert twice.slope == pytest.approx(4 * np.array(once.slope), rel=1e-5)
    assert twice.intercept == pytest.approx(once.intercept, abs=1e-5)


MIXED = np.array([0, 1, 0, 1, 1, 0, 1, 1])
CERTAIN = np.array([0.0, 1, 1, 1, 0, 0, 1, 1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [np.arange(8), np.arange(8) // 2, np.zeros(8, int)], ids=["image", "pair", "one"])
@pytest.mark.parametrize(
    "label", [MIXED, 1 - MIXED, np.ones(8, int), np.zeros(8, int)], ids=["mixed", "other", "ALL", "HEM"]
)
@pytest.mark.parametrize(
    "probability",
    [
        CERTAIN,
        MIXED.astype(float),
        np.zeros(8),
        np.ones(8),
        np.full(8, 0.5),
        np.full(8, 0.9),
        np.linspace(0, 1, 8),
        0.5 * MIXED + np.linspace(0.1, 0.4, 8),
        np.array([0.1, 0.5, 0.3, 0.7, 0.5, 0.5, 0.9, 0.8]),
    ],
    ids=["certain", "perfect", "0", "1", "0.5", "0.9", "spread", "apart", "touching"],
)
def test_estimates_without_a_finite_value_are_undefined_and_all_others_are_numbers(
    label: np.ndarray, probability: np.ndarray, unit: np.ndarray
) -> None:
    found = recalibration(label, probability, unit)
    both = len(set(label)) == 2
    high, low = probability[label == 1], probability[label == 0]
    overlap = both and not (low.max() <= high.min() or high.max() <= low.min())
    assert np.isfinite(found.in_the_large.value) == both
    assert np.isfinite([found.slope.value, found.intercept.value]).tolist() == [overlap, overlap]
    assert not np.isinf(np.array(found)).any()
    for estimate in found:
        assert np.isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high
    assert np.isfinite(log_loss(label, probability))
    assert expected_error(label, probability) <= 1
    assert sum(bin_.images for bin_ in reliability(label, probability, unit)) == 8


@pytest.mark.filterwarnings("error")
def test_a_variance_that_rounding_makes_negative_gives_no_interval() -> None:
    found = recalibration(np.array([1, 0, 0, 0, 1]), np.array([0, 0, 0, 0.5, 0.5]), np.array([2, 3, 3, 3, 3]))
    assert np.isfinite(found.intercept.value)
    assert np.isnan(found.intercept.low)


def test_of_two_images_that_are_almost_certain_the_two_errors_become_equal() -> None:
    # Of errors 1e-9 and 1e-5 with logits -20.72 and 11.51: shifted by half their sum, they are -16.12 and 16.12.
    found = recalibration(np.array([0, 1]), np.array([1e-9, 1 - 1e-5]), np.arange(2))
    assert found.in_the_large.value == pytest.approx((np.log(1e9) - np.log(1e5)) / 2, rel=1e-4)


def test_without_variation_between_subjects_calibration_in_the_large_has_no_interval() -> None:
    found = recalibration(np.array([0, 1, 0, 1]), np.full(4, 0.5), np.array([0, 0, 1, 1]))  # each is right on average
    assert found.in_the_large.value == 0
    assert np.isnan(found.in_the_large.low)


@pytest.mark.parametrize(("probability", "clipped"), [(1, 1 - CLIP), (0, CLIP)])
def test_a_logit_of_certainty_is_the_clipped_one(probability: float, clipped: float) -> None:
    found = recalibration(np.array([0, 1, 1, 1]), np.full(4, probability), np.arange(4))
    assert found.in_the_large.value == pytest.approx(np.log(3) - logit(clipped), abs=1e-3)
