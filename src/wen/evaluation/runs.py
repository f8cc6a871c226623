"""Test whether learning rates differ, by all their runs: the analysis of variance of a multi-reader multi-case study.

Such a study asks whether several displays differ when each of several readers reads the same cases on each of them.
Here the displays are the learning rates, the readers the folds, and the cases the test images. Runs and images are both
random samples, so a difference counts only if it is larger than both of them explain.
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
    """The 95% interval of the difference, wide enough (by Bonferroni) for the largest among all pairs of rates."""
    deviation: float
    """Standard deviation of accuracy between runs, less what the rates of one fold share."""
    variance: float
    """Variance of one run's accuracy that bears on the rates: between runs, plus r times that between images."""

    @property
    def error(self) -> float:
        """Standard error of the difference between the mean accuracies of two rates."""
        return float(np.sqrt(2 * self.variance / self.folds))

    def smallest(self, alpha: float) -> float | None:
        """Compute the difference between most and least accurate rate that a test at ``alpha`` detects with 80% power.

        The other rates are taken to lie midway, where they help least. None if no difference is large enough.
        """
        between, within = self.df
        difference = noncentrality(alpha, between, within) * self.error * float(np.sqrt((self.rates - 1) / between))
        return difference if difference <= 1 else None


def compare_runs(right: np.ndarray, unit: np.ndarray) -> Runs:
    """Test whether learning rates differ in mean accuracy, over all runs and images.

    Parameters
    ----------
    right : ndarray of shape (k, r, n)
        1 where the run of a rate on a fold decides a test image rightly, else 0; at least two rates and two folds.
    unit : ndarray of shape (n,)
        Each image's unit (what is resampled together), numbered from 0.

    Returns
    -------
    Runs
        By Obuchowski & Rockette (1995) with Hillis' (2007) degrees of freedom. Their error is the mean square between
        runs plus r times the covariance of two runs' accuracies over test sets, as far as it differs between and
        within rates. Here it is also at least what images explain by themselves, so that few runs that are equal by
        chance prove nothing, and at least that of Bonett & Price's (2012) two disputed images. Rates whose runs
        spread unequally cost degrees of freedom, by Huynh & Feldt (1976).

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
    alone, shared = _between_images(right, unit)
    # Variances in each of the k - 1 ways in which rates can differ.
    runs, images, noise = (float(np.trace(matrix)) / (k - 1) for matrix in (between_runs, r * shared, alone))
    at_random, images = max(runs, noise), max(images, 0.0)
    variance = max(at_random + images, r / (n + 2) ** 2)
    uncertainty = at_random**2 / (r - 1) + images**2 / degrees_of_freedom(np.bincount(unit))  # Satterthwaite's
    freedom = (at_random + images) ** 2 / uncertainty if uncertainty > 0 else units - 1.0
    df = _sphericity(between_runs + _scaled(shared, images * (k - 1)), freedom)
    statistic = r * float(mean.var(ddof=1)) / variance
    difference = float(np.ptp(mean))
    reach = float(t.isf(ALPHA / (k * (k - 1)), freedom * df) * np.sqrt(2 * variance / r))
    return Runs(
        rates=k,
        folds=r,
        statistic=statistic,
        df=(df, freedom * df),
        p=float(f.sf(statistic, df, freedom * df)),
        difference=difference,
        low=max(difference - reach, -1.0),
        high=min(difference + reach, 1.0),
        deviation=float(np.sqrt(runs)),
        variance=variance,
    )


def _between_images(right: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances over test sets of accuracies less the rates' mean: what a run has alone, and what two runs share."""
    r, n = right.shape[1:]
    deviation = (right - right.mean(axis=2, keepdims=True)) / n
    deviation = deviation - deviation.mean(axis=0)
    units = int(unit.max()) + 1
    if units < n:
        deviation = np.apply_along_axis(lambda values: np.bincount(unit, values, units), 2, deviation)
    total = deviation.sum(axis=1)
    of_one = np.einsum("afu,bfu->ab", deviation, deviation) / r
    of_two = (total @ total.T - r * of_one) / (r * (r - 1))
    return _exact((of_one - of_two) * units / (units - 1)), _exact(of_two * units / (units - 1))


def _exact(covariance: np.ndarray) -> np.ndarray:
    """Set to 0 what is below every possible covariance of shares of images: it comes from rounding."""
    return np.where(np.abs(covariance) < 1e-14, 0.0, covariance)


def _scaled(covariance: np.ndarray, trace: float) -> np.ndarray:
    """The positive semidefinite part of an estimated covariance, scaled to a given trace."""
    values, vectors = np.linalg.eigh(covariance)
    possible = (vectors * values.clip(min=0)) @ vectors.T
    return possible * (trace / np.trace(possible)) if trace else 0 * possible


def _sphericity(covariance: np.ndarray, freedom: float) -> float:
    """Degrees of freedom of k rates: k - 1 if all differences vary equally, 1 if a single contrast varies.

    Greenhouse & Geisser's (1959) estimate from a covariance of so many degrees of freedom, less its bias.
    """
    most = len(covariance) - 1.0
    if not covariance.any():
        return most
    estimate = float(np.trace(covariance) ** 2 / (covariance**2).sum())
    above, below = (freedom + 1) * estimate - 2, freedom - estimate
    if below <= 1e-9:  # fewer runs than rates: the estimated covariance is spherical, or has a single dimension
        return most if above > 1e-9 else 1.0
    return float(np.clip(above / below, 1.0, most))
