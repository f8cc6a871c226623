from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recomputed import decisions

from wen.evaluation.decision import (
    at_thresholds,
    complement,
    cost,
    net_benefit,
    net_benefit_of_all,
    predictive_value,
    rates,
    threshold_at_specificity,
)
from wen.evaluation.metrics import confusion
from wen.evaluation.proportion import Estimate, share

levels = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0])
images = st.lists(st.tuples(st.integers(0, 1), levels), min_size=1, max_size=30)
LABEL = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
PROBABILITY = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.4, 0.3, 0.2, 0.1, 0.1])


@given(images, st.floats(0, 1))
def test_counts_at_many_thresholds_are_those_at_each_threshold(rows: list[tuple[int, float]], threshold: float) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    found = at_thresholds(label, probability, np.array([0.5, threshold]))
    for k, at in enumerate((0.5, threshold)):
        assert tuple(int(values[k]) for values in found) == confusion(label, probability, at)


def test_predictive_values_are_those_of_bayes() -> None:
    # Of 1000 people 50 are ill: 45 of them and 190 of 950 others are called ill.
    found = Estimate(0.9, 0.8, 0.95), Estimate(0.2, 0.1, 0.3)
    assert predictive_value(*found, 0.05).value == pytest.approx(45 / (45 + 190))
    sensitivity, specificity = found[0], complement(found[1])
    assert specificity == pytest.approx((0.8, 0.7, 0.9))
    negative = predictive_value(specificity, complement(sensitivity), 0.95)
    assert negative.value == pytest.approx(760 / (760 + 5))


@given(st.integers(0, 20), st.integers(0, 20), st.floats(0.01, 0.99))
@pytest.mark.filterwarnings("error")
def test_at_a_limit_the_contrast_of_both_shares_is_as_far_from_zero_as_their_intervals_reach(
    found: int, false: int, prevalence: float
) -> None:
    shares = [share(np.arange(20) < hits, np.arange(20)) for hits in (found, false)]
    value = predictive_value(*shares, prevalence)
    if found == false == 0:
        assert np.isnan(value).all()
        return
    assert 0 <= value.low <= value.value <= value.high <= 1
    right, wrong = shares
    for limit, gap_right, gap_wrong in (
        (value.low, right.value - right.low, wrong.high - wrong.value),
        (value.high, right.high - right.value, wrong.value - wrong.low),
    ):
        if 1e-9 < limit < 1 - 1e-9:
            # At the limit, a * right - b * wrong is as far from 0 as both intervals together.
            a, b = prevalence * (1 - limit), (1 - prevalence) * limit
            distance = abs(a * right.value - b * wrong.value)
            assert distance == pytest.approx(np.hypot(a * gap_right, b * gap_wrong), abs=1e-9)


@given(st.integers(0, 20), st.integers(0, 20), st.floats(0.01, 0.99))
def test_the_interval_is_that_of_a_ratio_by_donner_and_zou(found: int, false: int, prevalence: float) -> None:
    right, wrong = (share(np.arange(20) < hits, np.arange(20)) for hits in (found, false))
    expected = decisions.predictive(right._asdict(), complement(wrong)._asdict(), prevalence)
    value = predictive_value(right, wrong, prevalence)
    if expected["value"] is None:
        assert np.isnan(value).all()
    else:
        assert value == pytest.approx(tuple(expected.values()), abs=1e-7)


def test_intervals_of_predictive_values_have_about_their_nominal_coverage() -> None:
    rng = np.random.default_rng(0)
    truth = 0.85 * 0.2 / (0.85 * 0.2 + 0.1 * 0.8)
    found, false = rng.binomial(90, 0.85, 2000), rng.binomial(40, 0.1, 2000)
    inside = []
    for hits, alarms in zip(found, false, strict=True):
        shares = share(np.arange(90) < hits, np.arange(90)), share(np.arange(40) < alarms, np.arange(40))
        value = predictive_value(*shares, 0.2)
        inside.append(value.low <= truth <= value.high)
    assert 0.93 < np.mean(inside) < 0.98


@given(images, st.sampled_from([0.5, 0.8, 0.95]))
def test_the_threshold_is_the_lowest_of_sufficient_specificity(rows: list[tuple[int, float]], target: float) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    threshold = threshold_at_specificity(label, probability, target)
    negative = probability[label == 0]
    if not len(negative):
        assert np.isnan(threshold)
        return

    def enough(at: float) -> bool:
        return Fraction(int((negative < at).sum()), len(negative)) >= Fraction(str(target))

    candidates = [*np.unique(probability), 1.5]
    decisions = [probability >= at for at in candidates if enough(at)]
    np.testing.assert_array_equal(probability >= threshold, decisions[0])


def test_sensitivity_at_a_specificity_by_hand() -> None:
    # One false alarm of six HEM leaves a specificity of 5/6: at 0.6, three of four ALL are found.
    assert threshold_at_specificity(LABEL, PROBABILITY, 0.8) == 0.6
    sensitivity, specificity = rates(LABEL, PROBABILITY, np.arange(10), 0.6)
    assert (sensitivity.value, specificity.value) == pytest.approx((3 / 4, 5 / 6))
    assert sensitivity == share(np.array([1, 1, 1, 0]), np.arange(4))


def test_net_benefit_and_cost_by_hand() -> None:
    thresholds = np.array([0.25, 0.65])
    c = at_thresholds(LABEL, PROBABILITY, thresholds)
    # At 0.25: 3 true and 3 false positives, odds 1/3. At 0.65: 2 and 1, odds 13/7.
    np.testing.assert_allclose(net_benefit(c, thresholds), [(3 - 3 / 3) / 10, (2 - 13 / 7) / 10])
    np.testing.assert_allclose(net_benefit_of_all(0.4, thresholds), [0.4 - 0.6 / 3, 0.4 - 0.6 * 13 / 7])
    np.testing.assert_allclose(cost(c, 5), [(5 * 1 + 3) / 10, (5 * 2 + 1) / 10])


@given(images, st.floats(0.01, 0.99))
def test_at_a_threshold_that_all_reach_the_net_benefit_is_that_of_calling_everyone_positive(
    rows: list[tuple[int, float]], threshold: float
) -> None:
    label = np.array([kind for kind, _ in rows])
    at = np.array([threshold])
    found = net_benefit(at_thresholds(label, np.ones(len(label)), at), at)
    assert found == pytest.approx(net_benefit_of_all(label.mean(), at))
    assert net_benefit(at_thresholds(label, np.zeros(len(label)), at), at) == 0


@pytest.mark.filterwarnings("error")
def test_rates_of_an_absent_class_are_undefined() -> None:
    ones, zeros, unit = np.ones(5, int), np.zeros(5, int), np.arange(5)
    probability = np.full(5, 0.7)
    sensitivity, specificity = rates(ones, probability, unit, 0.5)
    assert sensitivity.value == 1
    assert np.isnan(specificity).all()
    assert np.isnan(predictive_value(sensitivity, complement(specificity), 0.2)).all()
    assert np.isnan(threshold_at_specificity(ones, probability, 0.95))
    assert np.isnan(rates(ones, probability, unit, np.nan)).all()
    never = threshold_at_specificity(zeros, probability, 0.95)
    assert not (probability >= never).any()
