"""Test whether learning rates differ over all their runs, by the analysis of a multi-reader multi-case study.

Such a study compares imaging modalities: several readers read the same cases in each modality. Here the modalities are
learning rates, the readers are folds, and the cases are test images. Both runs and images are random samples, so a
difference is significant only if neither explains it.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import f, t

from wen.evaluation.power import noncentrality
from wen.evaluation.statistics import ALPHA
from wen.evaluation.units import degrees_of_freedom


class Runs(NamedTuple):
    """The comparison of k learning rates, each trained on r folds. Accuracies are shares, not points."""

    rates: int
    folds: int
    statistic: float
    """F: the variance between the rates' mean accuracies, relative to ``variance``."""
    df: tuple[float, float]
    """Degrees of freedom of F: of the rates and of the error."""
    p: float
    difference: float
    """Mean accuracy of the most accurate rate minus that of the least."""
    low: float
    high: float
    """Limits of the 95% interval of the difference, with a Bonferroni correction for the largest of all pairs."""
    deviation: float
    """Standard deviation of accuracy between runs, without the effect of a fold that is common to all rates."""
    variance: float
    """Error variance of one run in comparisons of rates: between runs, plus r times that between images."""

    @property
    def error(self) -> float:
        """Standard error of the difference between the mean accuracies of two rates."""
        return float(np.sqrt(2 * self.variance / self.folds))

    def smallest(self, alpha: float) -> float | None:
        """Compute the difference between most and least accurate rate that a test at ``alpha`` detects with 80% power.

        The other rates are assumed midway, which is the least favourable case. None if no difference is large enough.
        """
        between, within = self.df
        difference = noncentrality(alpha, between, within) * self.error * float(np.sqrt((self.rates - 1) / between))
        return difference if difference <= 1 else None


def compare_runs(right: np.ndarray, unit: np.ndarray) -> Runs:
    """Test whether learning rates differ in mean accuracy, over all runs and images.

    Parameters
    ----------
    right : ndarray of shape (k, r, n)
        1 where the run of a rate on a fold classifies a test image correctly, else 0; at least two rates and two folds.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.

    Returns
    -------
    Runs
        By Obuchowski & Rockette (1995) with the degrees of freedom of Hillis (2007). Their error variance is the mean
        square between runs plus r times the difference between the covariances, over test sets, of two runs of the same
        rate and of different rates. Here it is also at least the variance due to the sampling of images, so that few
        runs that agree by chance are not significant, and at least that of two additional disputed images (Bonett &
        Price 2012). Unequal variances of the rates reduce the degrees of freedom (Huynh & Feldt 1976).

    Raises
    ------
    ValueError
        If there is only one rate, fold or unit.
    """
    k, r, n = right.shape
    units = int(unit.max()) + 1
    if min(k, r, units) < 2:
        raise ValueError(f"needs two rates, folds and units or more, got {k}, {r} and {units}")
    accuracy = right.mean(axis=2)
    mean = accuracy.mean(axis=1)
    centred = accuracy - mean[:, None]
    residual = centred - centred.mean(axis=0)
    between_runs = _exact(residual @ residual.T / (r - 1))
    specific, shared = _between_images(right, unit)
    # Variances per contrast, of which k rates have k - 1.
    runs, images, noise = (float(np.trace(matrix)) / (k - 1) for matrix in (between_runs, r * shared, specific))
    at_random, images = max(runs, noise), max(images, 0.0)
    variance = max(at_random + images, r / (n + 2) ** 2)
    uncertainty = at_random**2 / (r - 1) + images**2 / degrees_of_freedom(np.bincount(unit))  # Satterthwaite's
    freedom = (at_random + images) ** 2 / uncertainty if uncertainty > 0 else units - 1.0
    df = _sphericity(between_runs + _scaled(shared, images * (k - 1)), freedom)
    statistic = r * float(mean.var(ddof=1)) / variance
    difference = float(np.ptp(mean))
    half_width = float(t.isf(ALPHA / (k * (k - 1)), freedom * df) * np.sqrt(2 * variance / r))
    return Runs(
        rates=k,
        folds=r,
        statistic=statistic,
        df=(df, freedom * df),
        p=float(f.sf(statistic, df, freedom * df)),
        difference=difference,
        low=max(difference - half_width, -1.0),
        high=min(difference + half_width, 1.0),
        deviation=float(np.sqrt(runs)),
        variance=variance,
    )


def _between_images(right: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance matrices of rates over test sets, of accuracies less the mean of all rates.

    The first is specific to a run, the second common to two runs of different folds. Sums over few or unequal subjects
    vary less about their mean than test sets do; the factor that corrects it has their effective number.
    """
    r, n = right.shape[1:]
    deviation = (right - right.mean(axis=2, keepdims=True)) / n
    deviation = deviation - deviation.mean(axis=0)
    units = int(unit.max()) + 1
    if units < n:
        deviation = np.apply_along_axis(lambda values: np.bincount(unit, values), 2, deviation)
    total = deviation.sum(axis=1)
    of_one = np.einsum("afu,bfu->ab", deviation, deviation) / r
    of_two = (total @ total.T - r * of_one) / (r * (r - 1))
    freedom = degrees_of_freedom(np.bincount(unit))
    return _exact((of_one - of_two) * (freedom + 1) / freedom), _exact(of_two * (freedom + 1) / freedom)


def _exact(covariance: np.ndarray) -> np.ndarray:
    """Set to 0 what is too small to be a covariance of shares of images, and so due to rounding."""
    return np.where(np.abs(covariance) < 1e-14, 0.0, covariance)


def _scaled(covariance: np.ndarray, trace: float) -> np.ndarray:
    """The positive semidefinite part of an estimated covariance, scaled to a given trace."""
    values, vectors = np.linalg.eigh(covariance)
    possible = (vectors * values.clip(min=0)) @ vectors.T
    return possible * (trace / np.trace(possible)) if trace else 0 * possible


def _sphericity(covariance: np.ndarray, freedom: float) -> float:
    """Degrees of freedom of k rates: k - 1 if all differences have equal variances, 1 if only one contrast varies.

    The estimate of Greenhouse & Geisser (1959) with the bias correction of Huynh & Feldt (1976), for a covariance with
    ``freedom`` degrees of freedom.
    """
    most = len(covariance) - 1.0
    if not covariance.any():
        return most
    estimate = float(np.trace(covariance) ** 2 / (covariance**2).sum())
    above, below = (freedom + 1) * estimate - 2, freedom - estimate
    if below <= 1e-9:  # fewer runs than rates: the estimated covariance is spherical or has rank 1
        return most if above > 1e-9 else 1.0
    return float(np.clip(above / below, 1.0, most))
