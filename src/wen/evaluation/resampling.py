"""How much every measure of one classifier would vary between test sets drawn in the same way.

By image, the bootstrap tells. Of few subjects of unequal sizes its intervals are too narrow; by subject, the jackknife
over subjects gives the standard error, and t on the logit scale the interval.
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t

from wen.evaluation.metrics import MEASURES, OF_DECISIONS, Confusion, decide
from wen.evaluation.units import degrees_of_freedom, jackknife_variance

LEVEL = 0.95


def resample(unit: np.ndarray, repeats: int, seed: int) -> np.ndarray:
    """Resample the test set's units with replacement.

    Parameters
    ----------
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    repeats : int
        How many test sets.
    seed : int
        Equal arguments give equal draws.

    Returns
    -------
    ndarray of shape (repeats, n)
        How often each image is in each resampled test set.
    """
    units = int(unit.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=repeats)
    # In memory, a row for each image, by which AUC sorts them.
    return np.ascontiguousarray(drawn.T.astype(np.float64))[unit].T


def resampled_measures(label: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate a classifier on resampled test sets.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
    counts : ndarray of shape (repeats, n)
        From `resample`.

    Returns
    -------
    dict
        Each measure of `wen.evaluation.metrics.evaluate` but the counts, of shape (repeats,). AUC is NaN
        where a class is absent.
    """
    cell = 2 * np.asarray(label) + decide(probability)
    c = Confusion(*(counts.T[cell == k].sum(axis=0) for k in range(4)))
    values = {name: measure(c) for name, measure in OF_DECISIONS.items()}
    values["auc"] = _areas(np.asarray(label), np.asarray(probability), counts)
    return {name: values[name] for name in MEASURES}


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval of resampled values (Efron 1979), of those that are defined.

    Returns
    -------
    tuple of 2 floats
        NaN if none is defined.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def subject_intervals(label: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> dict[str, tuple[float, float]]:
    """95% interval of every measure of a classifier over subjects.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
    unit : ndarray of shape (n,)
        Each image's subject, numbered from 0.

    Returns
    -------
    dict
        Each measure of `resampled_measures`, by `logit_interval`; NaN where the measure is undefined.
    """
    size = np.bincount(unit)
    values = resampled_measures(label, probability, np.ones((1, len(unit))))
    without = resampled_measures(label, probability, 1.0 - (unit == np.arange(len(size))[:, None]))
    intervals = {}
    for name in MEASURES:
        scale = 2 if name == "kappa" else 1  # kappa lies in [-1, 1], so its place there is what is transformed
        place = (values[name] + scale - 1) / scale
        low, high = logit_interval(place, (without[name][None] + scale - 1) / scale, size)
        intervals[name] = (float(low[0]) * scale - (scale - 1), float(high[0]) * scale - (scale - 1))
    return intervals


def logit_interval(value: np.ndarray, without: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of a share over units: t of the effective number of units, on the logit scale.

    Parameters
    ----------
    value : ndarray of shape (...,)
        In [0, 1].
    without : ndarray of shape (..., units)
        The share without each unit; its jackknife variance is the share's, but at least that of independent images.
    size : ndarray of shape (units,)
        Images of each unit.

    Returns
    -------
    tuple of 2 ndarrays of shape (...,)
        From 0 to 1 where the share is undefined without one of the units, or there is only one.
    """
    n = size.sum()
    inside = np.clip(value, 1 / (2 * n), 1 - 1 / (2 * n))
    spread = inside * (1 - inside)
    variance = np.maximum(jackknife_variance(without), spread / n)
    variance = np.where(np.isfinite(variance) & (len(size) > 1), variance, np.inf)
    reach = t.isf((1 - LEVEL) / 2, degrees_of_freedom(size)) * np.sqrt(variance) / spread
    low, high = expit(logit(inside) - reach), expit(logit(inside) + reach)
    return np.where(np.isnan(value), np.nan, np.minimum(low, value)), np.where(
        np.isnan(value), np.nan, np.maximum(high, value)
    )


def _areas(label: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mann-Whitney's statistic of each resampled test set: each ALL against the HEM below it, ties by half."""
    hem = np.flatnonzero(label == 0)
    hem, all_ = hem[np.argsort(probability[hem])], np.flatnonzero(label == 1)
    positive = counts.T[all_]
    negative = np.cumsum(counts.T[hem], axis=0)  # of the HEM up to each, and before it none
    negative = np.concatenate([np.zeros((1, len(counts))), negative])
    less, at_most = (np.searchsorted(probability[hem], probability[all_], side) for side in ("left", "right"))
    wins = (positive * negative[less]).sum(axis=0) + (positive * negative[at_most]).sum(axis=0)
    pairs = 2 * positive.sum(axis=0) * negative[-1]
    return np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
