import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.proportion import Estimate, quantile, share
from wen.evaluation.units import effective

hits = st.lists(st.booleans(), min_size=1, max_size=40)


@given(hits)
def test_of_independent_images_it_is_wilsons_interval(hit: list[bool]) -> None:
    found = share(np.array(hit), np.arange(len(hit)))
    low, high = proportion_confint(sum(hit), len(hit), method="wilson")
    assert found == pytest.approx((sum(hit) / len(hit), low, high))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40))
@pytest.mark.filterwarnings("error")
def test_an_interval_contains_its_value_and_lies_between_0_and_1(rows: list[tuple[bool, int]]) -> None:
    hit, unit = (np.array(column) for column in zip(*rows, strict=True))
    found = share(hit, unit)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0


def test_images_that_all_agree_within_their_subject_count_as_one_image() -> None:
    person = np.array([1, 1, 1, 0, 1, 1, 0, 1, 1, 1])
    hit, unit = np.repeat(person, 20), np.repeat(np.arange(10), 20)
    found = share(hit, unit)
    # The design effect is 20 * 10 / 9 and no less than 20, so 200 images are worth 10; Student's quantile is of 9.
    z = t.ppf(0.975, 9)
    centre, reach = (0.8 + z**2 / 20) / (1 + z**2 / 10), z * np.sqrt(0.16 / 10 + z**2 / 400) / (1 + z**2 / 10)
    assert found == pytest.approx((0.8, centre - reach, centre + reach))


@pytest.mark.parametrize("subjects", [2, 6])
def test_by_subject_a_share_is_of_as_many_images_as_its_variance_between_subjects_says(subjects: int) -> None:
    unit = np.arange(subjects).repeat(30)
    hit = (np.arange(30) < 15 + 6 * (np.arange(subjects) % 2)[:, None]).ravel()  # 15 or 21 of each one's thirty
    error = np.std([hit[unit == k].mean() for k in range(subjects)], ddof=1) / np.sqrt(subjects)
    value, z = hit.mean(), t.ppf(0.975, subjects - 1)
    images = value * (1 - value) / error**2
    assert subjects < images < len(unit)
    alike = 2 * norm.sf(z)  # the level at which the normal quantile is Student's
    low, high = proportion_confint(value * images, images, alike, method="wilson")
    assert share(hit, unit) == pytest.approx((value, low, high))


def test_where_all_subjects_have_equal_shares_each_counts_once() -> None:
    hit, unit = np.tile([1, 0, 1, 1], 5), np.arange(5).repeat(4)
    low, high = proportion_confint(0.75 * 5, 5, 2 * norm.sf(t.ppf(0.975, 4)), method="wilson")
    assert share(hit, unit) == pytest.approx((0.75, low, high))


def test_a_difference_is_recorded_by_name() -> None:
    assert Estimate(0.1, -0.2, 0.3).as_difference() == {"difference": 0.1, "low": -0.2, "high": 0.3}


def test_images_that_are_no_more_alike_within_a_subject_count_nearly_as_many() -> None:
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(50), 20)
    single = share(rng.random(1000) < 0.8, np.arange(1000))
    within = share(rng.random(1000) < 0.8, unit)
    assert within.high - within.low == pytest.approx(single.high - single.low, rel=0.3)  # alike, it would be 4.5 times


def test_the_effective_number_of_units_is_that_of_equal_ones_or_less() -> None:
    assert effective(np.bincount(np.repeat([0, 1, 2], 5))) == pytest.approx(3)
    assert effective(np.bincount(np.array([0, 0, 0, 1]))) == pytest.approx(16 / 10)
    assert effective(np.bincount(np.array([7, 7, 7]))) == 1


def test_the_quantile_is_normal_by_image_and_students_by_subject() -> None:
    assert quantile(np.arange(30)) == pytest.approx(1.959964, abs=1e-6)
    assert quantile(np.repeat(np.arange(8), 3)) == pytest.approx(t.ppf(0.975, 7))
    assert quantile(np.array([0, 0])) == pytest.approx(t.ppf(0.975, 1))


def test_without_images_it_is_undefined() -> None:
    assert np.isnan(share(np.array([]), np.array([], int))).all()
