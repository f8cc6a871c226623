import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.decision import rates
from wen.evaluation.metrics import MEASURES, evaluate
from wen.evaluation.resampling import (
    image_intervals,
    interval,
    logit_interval,
    resample,
    resampled_measures,
    subject_intervals,
)

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


def test_units_are_not_divided_and_as_many_are_drawn_as_there_are() -> None:
    unit = np.array([0, 0, 1, 2, 2, 2])
    counts = resample(unit, 50, seed=1)
    assert counts.shape == (50, 6)
    for k in range(3):
        of_unit = counts[:, unit == k]
        assert (of_unit == of_unit[:, :1]).all()
    assert (counts[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(counts, axis=0)) > 5
    assert (resample(unit, 50, seed=1) == counts).all()


def test_a_share_has_the_interval_of_the_binomial() -> None:
    label = np.ones(400, dtype=int)
    probability = np.repeat([1.0, 0.0], [320, 80])
    low, high = interval(resampled_measures(label, probability, resample(np.arange(400), 4000, 0))["recall"])
    assert (low, high) == pytest.approx((0.8 - 1.96 * 0.02, 0.8 + 1.96 * 0.02), abs=0.004)


def test_an_interval_leaves_out_2_5_percent_at_either_end() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_an_interval_ignores_undefined_values() -> None:
    assert interval(np.array([np.nan, 1.0, 3.0]), level=1.0) == (1.0, 3.0)
    assert np.isnan(interval(np.array([np.nan]))).all()


def of_images(label: list[int], probability: list[float]) -> dict[str, tuple[float, float]]:
    unit = np.arange(len(label))
    return image_intervals(np.array(label), np.array(probability), resample(unit, 500, 0))


def test_by_image_the_interval_of_a_perfect_classifier_is_wilsons_for_the_images_that_a_measure_depends_on() -> None:
    found = of_images([0] * 4 + [1] * 14, [0.1] * 4 + [0.9] * 14)
    wilson = {n: proportion_confint(n, n, method="wilson") for n in (4, 14, 18)}
    images = {"accuracy": 18, "weighted_f1": 18, "recall": 14, "precision": 14}
    for name in set(MEASURES) - {"kappa"}:
        assert found[name] == pytest.approx(wilson[images.get(name, 4)]), name
    assert found["kappa"] == pytest.approx((2 * wilson[4][0] - 1, 1))


def test_by_image_the_interval_of_a_classifier_that_is_always_wrong_is_wilsons_too() -> None:
    found = of_images([0] * 14 + [1] * 4, [0.9] * 14 + [0.1] * 4)
    assert found["specificity"] == pytest.approx(proportion_confint(0, 14, method="wilson"))
    assert found["recall"] == pytest.approx(proportion_confint(0, 4, method="wilson"))
    assert found["accuracy"] == pytest.approx(proportion_confint(0, 18, method="wilson"))


def test_by_image_what_is_undefined_has_no_interval_and_all_else_the_bootstraps() -> None:
    label, probability = [0, 1, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.2, 0.1]
    found = of_images(label, probability)
    assert np.isnan(found["precision"]).all()  # no image is called positive
    resampled = resampled_measures(np.array(label), np.array(probability), resample(np.arange(6), 500, 0))
    assert found["accuracy"] == interval(resampled["accuracy"])
    assert found["kappa"] == (0, 0)  # whichever images are drawn


def test_by_image_what_depends_on_both_classes_has_no_interval_if_one_is_absent() -> None:
    found = of_images([0], [0.1])
    assert np.isnan([found["f1"], found["recall"]]).all()  # both are 0
    assert found["specificity"] == pytest.approx(proportion_confint(1, 1, method="wilson"))


def test_by_subject_the_interval_is_that_of_leaving_out_each_subject_on_the_logit_scale() -> None:
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(6), [9, 14, 30, 7, 22, 11])
    label = np.arange(len(unit)) % 2
    probability = expit(label + rng.normal(size=6)[unit] + rng.normal(size=len(unit)))
    found = subject_intervals(label, probability, unit)
    assert list(found) == list(MEASURES)
    freedom = len(unit) ** 2 / sum(np.bincount(unit) ** 2) - 1
    without = [evaluate(label[unit != k], probability[unit != k]) for k in range(6)]
    for name in MEASURES:
        value, left = evaluate(label, probability)[name], np.array([row[name] for row in without])
        if name == "kappa":
            value, left = (1 + value) / 2, (1 + left) / 2
        variance = max(5 / 6 * sum((one - left.mean()) ** 2 for one in left), value * (1 - value) / len(unit))
        reach = t.ppf(0.975, freedom) * np.sqrt(variance) / (value * (1 - value))
        expected = expit([logit(value) - reach, logit(value) + reach])
        assert found[name] == pytest.approx(2 * expected - 1 if name == "kappa" else expected), name


def wilson_by_t(size: list[int]) -> float:
    """Lower limit of a share of 1: Wilson's for the effective number of subjects, by t."""
    units = sum(size) ** 2 / sum(n**2 for n in size)
    return float(units / (units + t.ppf(0.975, max(units - 1, 1)) ** 2))


@pytest.mark.parametrize(("fewer", "by_many"), [(0, ["recall", "precision"]), (1, ["specificity"])])
def test_by_subject_the_interval_of_a_perfect_measure_is_wilsons_for_the_subjects_that_it_depends_on(
    fewer: int, by_many: list[str]
) -> None:
    few, many = [40, 10, 5], [22] * 7
    unit = np.repeat(np.arange(10), few + many)
    label = np.where(unit < 3, fewer, 1 - fewer)
    found = subject_intervals(label, label.astype(float), unit)
    subjects = dict.fromkeys(("accuracy", "weighted_f1"), few + many) | dict.fromkeys(by_many, many)
    for name in set(MEASURES) - {"kappa"}:
        assert found[name] == pytest.approx((wilson_by_t(subjects.get(name, few)), 1)), name
    assert found["kappa"] == pytest.approx((2 * wilson_by_t(few) - 1, 1))
    sensitivity, specificity = rates(label, label.astype(float), unit, 0.5)
    assert [found["recall"], found["specificity"]] == [sensitivity[1:], specificity[1:]]


def test_by_subject_two_people_suffice_for_the_interval_of_a_perfect_measure() -> None:
    label, unit = np.array([0, 0, 1, 1] * 2), np.arange(2).repeat(4)
    found = subject_intervals(label, label.astype(float), unit)
    for name in set(MEASURES) - {"kappa"}:
        assert found[name] == pytest.approx((wilson_by_t([4, 4]), 1)), name


def test_by_subject_an_error_does_not_widen_the_interval_of_a_measure() -> None:
    unit = np.arange(10).repeat(20)
    label = (unit >= 3).astype(int)
    perfect, but_one = (np.where(label == 1, 0.9, 0.1) for _ in range(2))
    but_one[0] = 0.9
    low, low_but_one = (subject_intervals(label, score, unit)["specificity"][0] for score in (perfect, but_one))
    assert low < low_but_one


def test_by_subject_the_precision_of_a_classifier_that_calls_nothing_positive_is_undefined() -> None:
    unit = np.arange(6).repeat(5)
    found = subject_intervals(unit % 2, np.full(30, 0.2), unit)
    assert np.isnan(found["precision"]).all()
    assert found["recall"] == pytest.approx((0, 1 - wilson_by_t([5] * 3)))


@pytest.mark.parametrize("people", [2, 5])
def test_by_subject_a_share_of_none_or_all_is_taken_to_be_half_an_image_away(people: int) -> None:
    n, edge = 4 * people, 1 / (8 * people)
    error = 1 / np.sqrt(n * edge * (1 - edge))  # of the logit of a share of independent images
    farthest = expit(logit(edge) + t.ppf(0.975, people - 1) * error)
    value = np.array([0.0, 1.0])
    low, high = logit_interval(value, np.tile(value[:, None], people), np.full(people, 4))
    assert low == pytest.approx([0, 1 - farthest])
    assert high == pytest.approx([farthest, 1])


@pytest.mark.filterwarnings("error")
def test_by_subject_one_person_bounds_nothing_and_an_absent_class_has_no_area() -> None:
    label = np.ones(8, dtype=int)
    one = subject_intervals(label, np.full(8, 0.7), np.zeros(8, dtype=int))
    assert one["accuracy"] == (0, 1)
    assert np.isnan(one["auc"]).all()
    two = subject_intervals(np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.6, 0.2]), np.array([0, 0, 1, 1]))
    assert two["auc"] == (0, 1)  # without either person there is no area
