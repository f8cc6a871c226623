"""The difference reported as detected with 80% power is detected in 80% of simulated test sets."""

import numpy as np
import pytest
from scipy.stats import multinomial

from wen.evaluation.power import smallest_difference
from wen.evaluation.statistics import mcnemar_mid_p


def found(disputed: int, images: int, alpha: float) -> float:
    """Share of test sets in which McNemar's test finds the difference that one like them says it detects."""
    difference = smallest_difference(disputed, images, alpha)
    assert difference is not None
    rng, share = np.random.default_rng(disputed), max((disputed + 0.5) / (images + 1), difference)
    first = rng.multinomial(images, [(share + difference) / 2, (share - difference) / 2, 1 - share], 3000)[:, :2]
    return float(np.mean([mcnemar_mid_p(*map(int, row)) < alpha for row in first]))


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
@pytest.mark.parametrize(("disputed", "images"), [(0, 130), (4, 130), (20, 130), (30, 261), (250, 2506)])
def test_the_smallest_difference_is_detected_in_four_of_five_studies(disputed: int, images: int, alpha: float) -> None:
    assert 0.78 <= found(disputed, images, alpha) <= 0.82


@pytest.mark.parametrize(("disputed", "images"), [(2, 20), (9, 20), (6, 35)])
def test_the_power_at_the_smallest_difference_is_four_fifths_of_all_outcomes(disputed: int, images: int) -> None:
    difference = smallest_difference(disputed, images, 0.05)
    assert difference is not None
    share = max((disputed + 0.5) / (images + 1), difference)
    likely = [(share + difference) / 2, max(share - difference, 0) / 2, 1 - share]
    power = sum(
        multinomial.pmf([one, other, images - one - other], images, likely)
        for one in range(images + 1) for other in range(images + 1 - one) if mcnemar_mid_p(one, other) < 0.05
    )  # fmt: skip
    assert power == pytest.approx(0.8, abs=2e-4)


def test_a_stricter_level_detects_only_a_larger_difference() -> None:
    levels = [smallest_difference(20, 130, alpha) for alpha in (0.05, 0.0125, 0.001)]
    assert levels == sorted(levels, key=lambda value: value or 1)
    assert len(set(levels)) == 3


def test_a_few_images_detect_no_difference_however_large() -> None:
    assert smallest_difference(0, 4, 0.05) is None  # 2^-4 > 0.05
    assert smallest_difference(0, 6, 0.05) is not None
