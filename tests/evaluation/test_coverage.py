import numpy as np
import pytest

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
def test_intervals_cover_nearly_what_they_say(size: list[int]) -> None:
    found = coverage(*study(size), seed=1)
    assert 0.9 <= found.accuracy <= 0.98
    assert 0.9 <= found.difference <= 0.98
    assert found == coverage(*study(size), seed=1)


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
def test_test_sets_that_tell_nothing_have_a_coverage(size: list[int], value: int) -> None:
    unit = np.arange(len(size)).repeat(size)
    constant = np.full(len(unit), value)
    found = coverage(constant, constant, np.zeros(len(unit), dtype=int), unit, 0)
    assert 0 <= found.accuracy <= 1
    assert found.difference > 0.9
