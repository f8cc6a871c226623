from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from recomputed import simulated

from wen.evaluation.coverage import coverage
from wen.evaluation.units import effective

PRELIMINARY = [5, 7, 9, 10, 12, 13, 18, 19, 20, 25, 29, 31, 35, 38, 47, 47, 54, 69, 77, 83, 84, 96, 111, 139, 162, 164,
               201, 262]  # fmt: skip


def test_the_preliminary_people_of_c_nmc_are_worth_14_of_equal_size() -> None:
    assert effective(np.array(PRELIMINARY)) == pytest.approx(14.4, abs=0.05)
    assert effective(np.full(9, 4)) == pytest.approx(9)


def study(size: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    unit = np.arange(len(size)).repeat(size)
    ease = rng.beta(8, 2, len(size))[unit]
    one = (rng.random(len(unit)) < ease).astype(int)
    other = np.where(rng.random(len(unit)) < 0.85, one, 1 - one)
    return one, other, (np.arange(len(size)) % 3 > 0).astype(int)[unit], unit


@pytest.mark.parametrize("size", [[1] * 130, PRELIMINARY])
def test_intervals_have_nearly_their_nominal_coverage(size: list[int]) -> None:
    found = coverage(*study(size), seed=1)
    assert 0.9 <= found.accuracy <= 0.98
    assert 0.9 <= found.difference <= 0.98
    assert found == coverage(*study(size), seed=1)


@pytest.mark.parametrize("images", [18, 130])
@pytest.mark.parametrize("value", [0, 1])
def test_by_image_the_interval_of_a_classifier_near_either_end_covers_the_truth(images: int, value: int) -> None:
    constant = np.full(images, value)  # its bootstrap has no width and would miss the truth in a third of the studies
    assert coverage(constant, constant, np.arange(images) % 2, np.arange(images), 0).accuracy > 0.93


def test_the_correlation_within_subjects_is_that_of_the_decisions() -> None:
    rng, unit = np.random.default_rng(3), np.arange(400).repeat(20)
    for correlation in (0.05, 0.2):
        strength = (1 - correlation) / correlation
        ease = rng.beta(0.8 * strength, 0.2 * strength, 400)[unit]
        right = (rng.random(len(unit)) < ease).astype(int)
        label = (np.arange(400) % 2)[unit]
        assert coverage(right, 1 - right, label, unit, 0).correlation == pytest.approx(correlation, rel=0.25)


@pytest.mark.parametrize("size", [[9], [9, 1], [1, 1]])
@pytest.mark.parametrize("value", [0, 1])
def test_test_sets_without_variation_have_a_coverage(size: list[int], value: int) -> None:
    unit = np.arange(len(size)).repeat(size)
    constant = np.full(len(unit), value)
    found = coverage(constant, constant, np.zeros(len(unit), dtype=int), unit, 0)
    assert 0 <= found.accuracy <= 1
    assert found.difference > 0.9


def test_an_interval_that_ends_at_the_true_accuracy_holds_it() -> None:
    half, unit = np.array([1, 1, 1, 0, 0, 0]), np.arange(6)
    # Of 0 to 6 right, only 0 and 6 have intervals without 3; that of 1 ends, and that of 5 begins there.
    assert coverage(half, half, np.ones(6, dtype=int), unit, 0).accuracy == pytest.approx(1 - 2 / 2**6, abs=0.015)


def source(one: np.ndarray, other: np.ndarray, label: np.ndarray, unit: np.ndarray) -> Any:
    """A study of two classifiers, as ``recomputed`` reads it."""
    size = np.bincount(unit)
    return SimpleNamespace(
        right=lambda classifier: classifier, focus=one, best_single=lambda _: other, label=label, unit=unit, size=size,
        by_image=bool((size == 1).all()),
    )  # fmt: skip


def uneven(size: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `study`, but HEM are decided worse than ALL, and some subjects have cells of both classes."""
    one, other, label, unit = study(size)
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(len(unit)) < 0.1, 1 - label, label)
    return np.where((label == 0) & (rng.random(len(unit)) < 0.4), 0, one), other, label, unit


@pytest.mark.parametrize(
    "size", [[1] * 9, [1] * 14, [1] * 60, [3, 4, 5, 6, 2, 8], [1, 1, 12, 3], [30, 2, 2, 2, 2], PRELIMINARY]
)
def test_coverage_is_what_another_simulation_or_the_sum_over_all_outcomes_gives(size: list[int]) -> None:
    made = uneven(size, seed=len(size))
    found, expected = coverage(*made, seed=3), simulated.coverage(source(*made))
    assert found.accuracy == pytest.approx(expected["accuracy"].value, abs=expected["accuracy"].tolerance)
    assert found.difference == pytest.approx(expected["difference"].value, abs=expected["difference"].tolerance)
    assert found.correlation == pytest.approx(expected["correlation"])


def unlike(size: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Subjects who differ very much in how well they are read, and in how often two classifiers dispute them."""
    rng, unit = np.random.default_rng(seed), np.arange(len(size)).repeat(size)
    one = (rng.random(len(unit)) < rng.beta(0.8, 0.5, len(size))[unit]).astype(int)
    other = np.where(rng.random(len(unit)) < rng.beta(0.5, 0.8, len(size))[unit], 1 - one, one)
    return one, other, (np.arange(len(size)) % 2)[unit], unit


@pytest.mark.parametrize(("size", "seed"), [([15, 20, 18, 15], 23), ([22, 26, 18], 2), ([22, 26, 18], 17)])
def test_coverage_is_that_of_a_simulation_where_disputes_are_uneven_over_subjects(size: list[int], seed: int) -> None:
    made = unlike(size, seed)
    found, expected = coverage(*made, seed=3), simulated.coverage(source(*made))
    assert found.difference == pytest.approx(expected["difference"].value, abs=0.03)
    assert found.accuracy == pytest.approx(expected["accuracy"].value, abs=0.03)


def test_two_subjects_with_many_images_have_a_coverage_below_1() -> None:
    unit = np.arange(2).repeat(3000)
    one = np.concatenate([np.arange(3000) < 2850, np.arange(3000) < 1200]).astype(int)
    made = one, 1 - one, np.ones(6000, dtype=int), unit
    expected = simulated.coverage(source(*made))["accuracy"].value
    assert expected < 0.96
    assert coverage(*made, seed=3).accuracy == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(("right", "expected"), [([1, 1, 1, 1, 0, 0, 0, 0], 0.5), ([1, 0, 1, 0, 1, 0, 1, 0], 0.01)])
def test_the_correlation_is_kept_between_a_hundredth_and_a_half(right: list[int], expected: float) -> None:
    one, unit = np.array(right), np.arange(8) // 4
    assert coverage(one, one, np.ones(8, dtype=int), unit, 0).correlation == expected


def test_a_subject_with_as_many_cells_of_both_classes_counts_as_healthy() -> None:
    """Of ALL all are right, of HEM none: so the mean of such a subject is that of HEM, 1 of 2 + 4."""
    label = np.array([0, 0, 1, 1, 0, 0, 1, 1, 1, 1])
    unit = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
    hits, size, mean = np.array([2, 0, 4]), np.array([4, 2, 4]), np.array([1 / 6, 1 / 6, 7 / 8])
    expected = simulated.correlation(hits, size, mean)
    assert 0.01 < expected < 0.5
    assert coverage(label, label, label, unit, 0).correlation == pytest.approx(expected)
