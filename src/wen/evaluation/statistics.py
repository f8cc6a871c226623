"""Paired tests of classifiers on the same test images, and intervals of their differences.

Images of one subject are not independent. If the split is by subject, a permutation test exchanges all images of a
subject together, and variances are between subjects. If units are images, these are the textbook tests.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binom, chi2, rankdata, t

from wen.evaluation.proportion import Estimate
from wen.evaluation.units import degrees_of_freedom, each_image_alone

ALPHA = 0.05
REPEATS = 9_999  # random exchanges of a permutation test
ALL_EXCHANGES = 13  # units up to which every exchange is tried instead


class Outcome(NamedTuple):
    """A test's name, statistic and two-sided p-value."""

    name: str
    statistic: float
    p: float


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
        McNemar's test by mid-p; by subject, the sign-flip permutation test. p is 1 if no image is disputed.
    """
    if each_image_alone(unit):
        only_one, only_other = int((one > other).sum()), int((one < other).sum())
        return Outcome("mcnemar_mid_p", float(min(only_one, only_other)), mcnemar_mid_p(only_one, only_other))
    difference = np.bincount(unit, one - other)
    observed = abs(difference.sum())
    signs = _signs(int(np.count_nonzero(difference)), seed)
    exchanged = np.abs(signs @ difference[difference != 0])
    return Outcome("sign_flip", float(difference.sum()), float((exchanged >= observed - 1e-9).mean()))


def mcnemar_mid_p(only_one: int, only_other: int) -> float:
    """Two-sided mid-p of McNemar's test: outcomes as extreme as the observed one count half (Fagerland et al. 2013).

    Parameters
    ----------
    only_one, only_other : int
        Discordant pairs of either kind. p is 1 if there is none.
    """
    disputed = only_one + only_other
    if not disputed:
        return 1.0
    fewer, alike = min(only_one, only_other), float(binom.pmf(only_one, disputed, 0.5))
    if only_one == only_other:
        return 1 - alike / 2
    return float(2 * binom.cdf(fewer, disputed, 0.5)) - alike


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
    by_image = each_image_alone(unit)
    k, (statistic, spread) = right.shape[1], cochran_q(right)
    if not spread:
        return Outcome("cochran_q" if by_image else "cochran_q_permuted", statistic, 1.0)
    if by_image:
        return Outcome("cochran_q", statistic, float(chi2.sf(statistic, k - 1)))
    sums = np.stack([np.bincount(unit, column) for column in right.T], axis=1)
    observed = sums.sum(axis=0).var()
    rng = np.random.default_rng(seed)
    exchanged = rng.permuted(np.tile(sums, (REPEATS, 1, 1)), axis=2).sum(axis=1).var(axis=1)
    as_extreme = 1 + np.count_nonzero(exchanged >= observed - 1e-9)
    return Outcome("cochran_q_permuted", statistic, as_extreme / (1 + REPEATS))


def cochran_q(right: np.ndarray) -> tuple[float, int]:
    """Return Cochran's Q and its denominator (k sum L - sum L^2); both are 0 if all agree on every image."""
    k, of_image = right.shape[1], right.sum(axis=1)
    spread = int((k * of_image - of_image**2).sum())
    between = k * int((right.sum(axis=0) ** 2).sum()) - int(right.sum()) ** 2
    return ((k - 1) * between / spread if spread else 0.0), spread


def accuracy_difference(one: np.ndarray, other: np.ndarray, unit: np.ndarray, alpha: float = ALPHA) -> Estimate:
    """Estimate the difference in accuracy between two classifiers (Bonett & Price 2012).

    Parameters
    ----------
    one, other : ndarray of shape (n,)
        1 where the classifier is right, else 0.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    alpha : float
        1 minus the level of the interval.

    Returns
    -------
    Estimate
        The value is the observed one; the interval lies about the adjusted one, see `difference_by_unit`. From -1 to 1
        if all images are of one subject.
    """
    gained, lost = (np.bincount(unit, found) for found in (one > other, one < other))
    value, low, high = difference_by_unit(gained, lost, np.bincount(unit), alpha)
    return Estimate(float(value), float(low), float(high))


def difference_by_unit(
    gained: np.ndarray, lost: np.ndarray, size: np.ndarray, alpha: float = ALPHA
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference of two accuracies and the limits of its interval, of many studies at once.

    Each image is a discordant pair or not; one more pair of either kind is assumed, so that the interval has a width
    even if none was seen (Bonett & Price 2012). By subject, the interval is by t with the degrees of freedom of the
    effective number of subjects, and extends at least to the limits of Fieller (1954) over subjects.

    Parameters
    ----------
    gained, lost : ndarray of shape (..., units)
        Images of each unit on which only the first, and only the second classifier is right.
    size : ndarray of shape (units,)
        Images of each unit.
    alpha : float

    Returns
    -------
    tuple of 3 ndarrays of shape (...,)
    """
    n, by_image = size.sum(), bool((size == 1).all())
    first, second = (gained.sum(axis=-1) + 1) / (n + 2), (lost.sum(axis=-1) + 1) / (n + 2)
    centre = first - second
    net = gained - lost
    value = net.sum(axis=-1) / n
    if len(size) < 2 and not by_image:
        return value, np.full(value.shape, -1.0), np.full(value.shape, 1.0)
    quantile = float(t.isf(alpha / 2, np.inf if by_image else degrees_of_freedom(size)))
    reach = quantile * np.sqrt((first + second - centre**2) / (n + 2))
    low, high = centre - reach, centre + reach
    if not by_image:
        below, above = _ratio_limits(net, size, quantile)
        low, high = np.minimum(low, below), np.maximum(high, above)
    return value, np.maximum(low, -1), np.minimum(high, 1)


def _ratio_limits(net: np.ndarray, size: np.ndarray, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the ratio of two sums over units, of ``net`` to ``size`` (Fieller 1954).

    A ratio is within them if a t test of the units' ``net - ratio * size`` does not reject it. Here the effective
    number of units takes the place of their number. If units are of equal size, this is Student's interval.
    """
    freedom = degrees_of_freedom(size)
    value = net.sum(axis=-1) / size.sum()
    residual = net - value[..., None] * size
    scale = quantile**2 * (freedom + 1) / freedom / size.sum() ** 2
    shift = scale * (residual * size).sum(axis=-1)
    reach = np.sqrt(shift**2 + scale * (residual**2).sum(axis=-1))
    return value - shift - reach, value - shift + reach


def auc_difference(label: np.ndarray, one: np.ndarray, other: np.ndarray, unit: np.ndarray) -> tuple[Outcome, Estimate]:
    """Compare two correlated areas under the ROC curve by DeLong, DeLong & Clarke-Pearson (1988).

    By subject, the structural components are summed over each subject first (Obuchowski 1997), and t has the degrees
    of freedom of the effective number of subjects.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive), both present and, by subject, of two subjects or more.
    one, other : ndarray of shape (n,)
        Probabilities of the positive class.
    unit : ndarray of shape (n,)

    Returns
    -------
    tuple of Outcome and Estimate
        z (by subject: t) and its p; p is 1 if the areas are equal and their difference has no variance. If areas
        without any variance differ, as if one classifier separates the classes and the other has one probability for
        all, or if both classifiers separate the classes and rank the images differently, the variance is that of
        `_variance_of_equal`.
    """
    areas, covariance = delong(label, np.stack([one, other]), unit)
    value = float(areas[0] - areas[1])
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0)))
    both_separate = areas[0] in (0, 1) and (rankdata(one) != rankdata(other)).any()
    if error < 1e-12 and (abs(value) > 1e-12 or both_separate):
        units = (len(np.unique(unit[label == kind])) for kind in (0, 1))
        error = float(np.sqrt(sum(_variance_of_equal(value, number) for number in units)))
    statistic = value / error if error > 1e-12 else 0.0
    by_image = each_image_alone(unit)
    freedom = np.inf if by_image else degrees_of_freedom(np.bincount(unit))
    reach = float(t.isf(ALPHA / 2, freedom)) * error
    outcome = Outcome("delong" if by_image else "obuchowski", statistic, float(2 * t.sf(abs(statistic), freedom)))
    return outcome, Estimate(value, max(value - reach, -1.0), min(value + reach, 1.0))


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
        By subject, the sum of squares of each class is corrected by the number of subjects with such images (Obuchowski
        1997).
    """
    positive = label == 1
    m, n = int(positive.sum()), int((~positive).sum())
    components = np.stack([_components(positive, probability) for probability in probabilities])
    areas = components[:, positive].mean(axis=1)
    centred = components - areas[:, None]
    if each_image_alone(unit):
        v10, v01 = centred[:, positive], centred[:, ~positive]
        return areas, v10 @ v10.T / max(m - 1, 1) / m + v01 @ v01.T / max(n - 1, 1) / n
    shares = np.where(positive, 1 / m, 0), np.where(positive, 0, 1 / n)
    of_all, of_hem = (np.stack([np.bincount(unit, component * share) for component in centred]) for share in shares)
    with_all, with_hem, units = (_correction(unit[images]) for images in (positive, ~positive, np.full(m + n, True)))
    between = of_all @ of_hem.T
    return areas, with_all * of_all @ of_all.T + with_hem * of_hem @ of_hem.T + units * (between + between.T)


def bonferroni(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of one family: min(1, m p), which is below 5% where p is below 5% / m."""
    return [min(1.0, len(p) * value) for value in p]


def _signs(units: int, seed: int) -> np.ndarray:
    """Return exchanges of two classifiers within units, of shape (exchanges, units): all of them, or random ones."""
    if units <= ALL_EXCHANGES:
        return 1 - 2.0 * (np.arange(2**units)[:, None] >> np.arange(units) & 1)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (1 + REPEATS, units))
    signs[0] = 1  # the observed assignment is one of the exchanges
    return signs


def _variance_of_equal(value: float, number: int) -> float:
    """Return the variance of the mean of equal numbers in [-1, 1], with 1 and -1 added (Bonett & Price 2012)."""
    mean = number * value / (number + 2)
    return ((number * value**2 + 2) / (number + 2) - mean**2) / (number + 2)


def _correction(unit: np.ndarray) -> float:
    """Return the number of units over the degrees of freedom of their variance."""
    units = len(np.unique(unit))
    return units / max(units - 1, 1)


def _components(positive: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return, for each image, the share of the other class that it is correctly ranked against; ties count half."""
    above, below = np.sort(probability[positive]), np.sort(probability[~positive])
    against_hem = np.searchsorted(below, probability, "left") + np.searchsorted(below, probability, "right")
    against_all = np.searchsorted(above, probability, "left") + np.searchsorted(above, probability, "right")
    return np.where(positive, against_hem / (2 * len(below)), 1 - against_all / (2 * len(above)))
