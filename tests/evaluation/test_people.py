import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, ttest_1samp
from sklearn.metrics import recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.people import (
    MIXED,
    area,
    by_person,
    mean_accuracy,
    proportion,
    sensitivity,
    specificity,
    verdicts,
)
from wen.evaluation.statistics import delong

CELLS = st.lists(
    st.tuples(st.sampled_from(["7", "H7", "12"]), st.integers(0, 1), st.integers(0, 8).map(lambda k: k / 8)),
    min_size=1, max_size=30,
)  # fmt: skip


@given(CELLS)
def test_people_are_the_groups_of_their_cells(cells: list[tuple[str, int, float]]) -> None:
    table = pd.DataFrame(cells, columns=["person", "label", "probability"])
    people = by_person(*(table[name].to_numpy() for name in ("person", "label", "probability")))
    table["called"] = (table.probability >= 0.5).astype(int)
    table["right"] = (table.called == table.label).astype(int)
    groups = table.groupby("person")
    assert people.person.tolist() == list(groups.groups)
    assert people.cells.tolist() == groups.size().tolist()
    assert people.right.tolist() == groups.right.sum().tolist()
    np.testing.assert_allclose(people.accuracy, groups.right.mean())
    np.testing.assert_allclose(people.share, groups.called.mean())
    np.testing.assert_allclose(people.probability, groups.probability.mean())
    classes = [MIXED if labels.nunique() > 1 else labels.iloc[0] for _, labels in groups.label]
    assert people.label.tolist() == classes


def test_the_two_verdicts_differ_where_one_sure_cell_outweighs_two_doubtful_ones() -> None:
    people = by_person(np.array(["a", "a", "a"]), np.array([1, 1, 1]), np.array([0.9, 0.4, 0.4]))
    decided = verdicts(people)
    assert decided["mean"].tolist() == [1]  # 1.7 / 3 is above a half
    assert decided["share"].tolist() == [0]  # one cell of three is called ALL


def test_half_the_cells_called_all_is_a_verdict_of_all() -> None:
    people = by_person(np.array(["a", "a"]), np.array([1, 1]), np.array([0.5, 0.1]))
    assert verdicts(people)["share"].tolist() == [1]


def test_the_mean_over_persons_has_the_interval_of_the_one_sample_t_test() -> None:
    accuracy = np.array([0.5, 0.75, 0.8, 1.0, 0.6])
    reference = ttest_1samp(accuracy, 0).confidence_interval()
    assert mean_accuracy(accuracy) == pytest.approx((accuracy.mean(), *reference))


def test_the_interval_of_the_mean_over_persons_does_not_leave_0_to_1() -> None:
    assert mean_accuracy(np.array([0.0, 1.0]))[1:] == (0, 1)


@pytest.mark.parametrize("accuracy", [[0.5], [1.0, 1.0, 1.0]])
def test_without_variation_between_persons_their_mean_has_no_interval(accuracy: list[float]) -> None:
    value, low, high = mean_accuracy(np.array(accuracy))
    assert value == accuracy[0]
    assert np.isnan([low, high]).all()


def test_a_share_has_wilson_s_interval_and_one_of_zero_persons_has_none() -> None:
    assert proportion(3, 7) == pytest.approx((3 / 7, *proportion_confint(3, 7, method="wilson")))
    assert proportion(0, 5).low == 0
    assert np.isnan(proportion(0, 0)).all()


LABELS = st.lists(st.sampled_from([0, 1, MIXED]), min_size=1, max_size=30)


@given(LABELS, st.data())
def test_sensitivity_and_specificity_over_persons_are_the_recalls_of_those_with_one_class(
    labels: list[int], data: st.DataObject
) -> None:
    label = np.array(labels)
    verdict = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(label), max_size=len(label))))
    for positive, found in ((1, sensitivity(label, verdict)), (0, specificity(label, verdict))):
        if (label == positive).any():
            counted = label != MIXED
            reference = recall_score(label[counted], verdict[counted], pos_label=positive)
            assert found.value == pytest.approx(reference)
        else:
            assert np.isnan(found).all()


@given(LABELS, st.data())
def test_the_area_over_persons_is_scikit_learn_s_and_inside_its_interval(
    labels: list[int], data: st.DataObject
) -> None:
    label = np.array(labels)
    score = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(label), max_size=len(label)))) / 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = area(label, score)
    counted = label != MIXED
    if len(np.unique(label[counted])) == 2:
        assert found.value == pytest.approx(roc_auc_score(label[counted], score[counted]))
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert found.high - found.low > 0.05
    else:
        assert np.isnan(found).all()


@pytest.mark.parametrize("right", [0, 3, 17, 24])
def test_the_interval_of_the_area_holds_every_area_that_the_observed_one_does_not_refute(right: int) -> None:
    m, n = 6, 4
    label, score = _with_area(right, m, n)
    true = np.linspace(0, 1, 100_001)
    q1, q2, half = true / (2 - true), 2 * true**2 / (1 + true), (m + n) / 2 - 1  # Hanley & McNeil's
    error = np.sqrt((true * (1 - true) + half * (q1 - true**2) + half * (q2 - true**2)) / (m * n))
    held = true[np.abs(right / (m * n) - true) <= norm.ppf(0.975) * error]
    assert area(label, score) == pytest.approx((right / (m * n), held.min(), held.max()), abs=2e-5)


def test_the_interval_of_the_area_covers_the_true_area_even_with_few_persons() -> None:
    rng, true, covered = np.random.default_rng(0), 0.9, 0
    label = np.repeat([1, 0], [14, 9])
    for _ in range(600):
        found = area(label, rng.normal(size=23) + label * norm.ppf(true) * np.sqrt(2))
        covered += found.low <= true <= found.high
    assert 0.925 < covered / 600 < 0.985


def test_the_interval_of_the_area_over_many_persons_is_near_delong_s() -> None:
    rng = np.random.default_rng(1)
    label = np.repeat([1, 0], 500)
    score = rng.normal(size=1000) + label
    areas, covariance = delong(label, score[None], np.arange(1000))
    reach = 1.96 * np.sqrt(covariance[0, 0])
    assert area(label, score) == pytest.approx((areas[0], areas[0] - reach, areas[0] + reach), abs=0.003)


def _with_area(right: int, m: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of m with ALL above 0 to n of the healthy, so that ``right`` pairs are in order."""
    above = [min(n, max(0, right - n * k)) for k in range(m)]
    return np.repeat([1, 0], [m, n]), np.array([*(k - 0.5 for k in above), *range(n)], dtype=float)
