"""Paired tests of classifiers on the same test images, and the differences that such a test set can detect.

Images of one subject are not independent. If the split is by subject, a permutation test exchanges all images of a
subject together, and variances are between subjects. With each image a unit of its own, these are the textbook's tests.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests

FEW = 25  # discordant pairs below which McNemar's test is exact
ALPHA, POWER = 0.05, 0.8


class Outcome(NamedTuple):
    """A test's name, statistic and two-sided p-value."""

    name: str
    statistic: float
    p: float


class Difference(NamedTuple):
    """A difference between two classifiers, its standard error and 95% interval."""

    value: float
    error: float
    low: float
    high: float

    @property
    def smallest(self) -> float:
        """The smallest true difference that a test at 5% detects on this test set with 80% power."""
        return float((norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)) * self.error)


def compare_two(one: np.ndarray, other: np.ndarray, unit: np.ndarray, seed: int) -> Outcome:
    """Test whether two classifiers are equally accurate.

    Parameters
    ----------
    one, other : ndarray of shape (n,)
        1 where the classifier is right, else 0.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    seed : int
        For the exchange of units, where they hold more than one image.

    Returns
    -------
    Outcome
        McNemar's (1947), exact below `FEW` discordant pairs; by subject, the sign-flip permutation test, which
        with a unit for each image is McNemar's exact test.
    """
    if _each_image_alone(unit):
        only_one, only_other = int((one > other).sum()), int((one < other).sum())
        exact = only_one + only_other < FEW
        # Without the continuity correction, which makes the test reject less often than its level.
        result = mcnemar([[0, only_one], [only_other, 0]], exact=exact, correction=False)
        return Outcome("mcnemar_exact" if exact else "mcnemar", float(result.statistic), min(1.0, float(result.pvalue)))
    difference = np.bincount(unit, np.asarray(one, dtype=float) - other)
    observed = abs(difference.sum())
    signs = _signs(int(np.count_nonzero(difference)), seed)
    exchanged = np.abs(signs @ difference[difference != 0])
    return Outcome("sign_flip", float(difference.sum()), float((exchanged >= observed - 1e-9).mean()))


def compare_several(right: np.ndarray, unit: np.ndarray, seed: int) -> Outcome:
    """Test whether several classifiers are equally accurate.

    Parameters
    ----------
    right : ndarray of shape (n, k)
        1 where a classifier is right, else 0.
    unit : ndarray of shape (n,)
    seed : int

    Returns
    -------
    Outcome
        Cochran's Q (1950); by subject, the same statistic's permutation test, which exchanges the classifiers
        within each subject. Q is 0 and p is 1 if all agree on every image.
    """
    disputed = right.min(axis=1) < right.max(axis=1)
    if not disputed.any():
        return Outcome("cochran_q", 0.0, 1.0)
    result = cochrans_q(right)
    if _each_image_alone(unit):
        return Outcome("cochran_q", float(result.statistic), float(result.pvalue))
    sums = np.stack([np.bincount(unit, column) for column in right.T], axis=1)
    observed = sums.sum(axis=0).var()
    rng = np.random.default_rng(seed)
    exchanged = [rng.permuted(sums, axis=1).sum(axis=0).var() for _ in range(REPEATS)]
    as_extreme = 1 + np.count_nonzero(np.array(exchanged) >= observed - 1e-9)
    return Outcome("cochran_q_permuted", float(result.statistic), as_extreme / (1 + REPEATS))


def accuracy_difference(one: np.ndarray, other: np.ndarray, unit: np.ndarray) -> Difference:
    """Estimate how much more often one classifier is right, after Bonett & Price (2012).

    Each image is a discordant pair or not; one more pair of either kind is assumed, so that the interval has a
    width even if none was seen. By subject, the variance is that of the sums over subjects.

    Parameters
    ----------
    one, other : ndarray of shape (n,)
        1 where the classifier is right, else 0.
    unit : ndarray of shape (n,)

    Returns
    -------
    Difference
        The value is the observed one; the interval lies about the adjusted one.
    """
    n = len(one)
    only_one, only_other = (one > other).sum(), (one < other).sum()
    first, second = (only_one + 1) / (n + 2), (only_other + 1) / (n + 2)
    centre = first - second
    variance = (first + second - centre**2) / (n + 2)
    if not _each_image_alone(unit):
        size = np.bincount(unit)
        deviation = np.bincount(unit, np.asarray(one, dtype=float) - other) - size * (only_one - only_other) / n
        units = len(size)
        variance = max(variance, (deviation**2).sum() / n**2 * units / (units - 1))
    error = float(np.sqrt(variance))
    reach = norm.ppf(1 - ALPHA / 2) * error
    value = float((only_one - only_other) / n)
    return Difference(value, error, float(max(centre - reach, -1)), float(min(centre + reach, 1)))


def auc_difference(
    label: np.ndarray, one: np.ndarray, other: np.ndarray, unit: np.ndarray
) -> tuple[Outcome, Difference]:
    """Compare two correlated areas under the ROC curve by DeLong, DeLong & Clarke-Pearson (1988).

    By subject, the structural components are summed over each subject first (Obuchowski 1997).

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (HEM) or 1 (ALL), both present.
    one, other : ndarray of shape (n,)
        Probabilities of ALL.
    unit : ndarray of shape (n,)

    Returns
    -------
    tuple of Outcome and Difference
        z and its p; p is 1 if the two rank all pairs alike.
    """
    areas, covariance = delong(label, np.stack([one, other]), unit)
    value = float(areas[0] - areas[1])
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0)))
    z = value / error if error > 1e-12 else 0.0
    reach = float(norm.ppf(1 - ALPHA / 2)) * error
    name = "delong" if _each_image_alone(unit) else "obuchowski"
    return Outcome(name, z, float(2 * norm.sf(abs(z)))), Difference(value, error, value - reach, value + reach)


def delong(label: np.ndarray, probabilities: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the ROC curves of k classifiers and their covariance.

    Parameters
    ----------
    label : ndarray of shape (n,)
    probabilities : ndarray of shape (k, n)
    unit : ndarray of shape (n,)

    Returns
    -------
    tuple of ndarray of shape (k,) and ndarray of shape (k, k)
    """
    positive = label == 1
    m, n = int(positive.sum()), int((~positive).sum())
    components = np.stack([_components(positive, probability) for probability in probabilities])
    areas = components[:, positive].mean(axis=1)
    centred = components - areas[:, None]
    if _each_image_alone(unit):
        v10, v01 = centred[:, positive], centred[:, ~positive]
        return areas, v10 @ v10.T / (m - 1) / m + v01 @ v01.T / (n - 1) / n
    share = np.where(positive, 1 / m, 1 / n)
    sums = np.stack([np.bincount(unit, component * share) for component in centred])
    units = sums.shape[1]
    return areas, sums @ sums.T * units / (units - 1)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of one family so that its error rate is at most 5% (Holm 1979)."""
    return [float(value) for value in multipletests(p, alpha=ALPHA, method="holm")[1]]


REPEATS = 9_999  # random exchanges of a permutation test
ALL_EXCHANGES = 13  # units up to which every exchange is tried instead


def _signs(units: int, seed: int) -> np.ndarray:
    """Exchanges of two classifiers within units, of shape (exchanges, units): every one, or random ones."""
    if units <= ALL_EXCHANGES:
        return 1 - 2.0 * (np.arange(2**units)[:, None] >> np.arange(units) & 1)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (1 + REPEATS, units))
    signs[0] = 1  # the observed assignment is one of the exchanges
    return signs


def _components(positive: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """For each image, the share of the other class that it is ranked correctly against; ties count half."""
    above, below = np.sort(probability[positive]), np.sort(probability[~positive])
    against_hem = np.searchsorted(below, probability, "left") + np.searchsorted(below, probability, "right")
    against_all = np.searchsorted(above, probability, "left") + np.searchsorted(above, probability, "right")
    return np.where(positive, against_hem / (2 * len(below)), 1 - against_all / (2 * len(above)))


def _each_image_alone(unit: np.ndarray) -> bool:
    return len(np.unique(unit)) == len(unit)
