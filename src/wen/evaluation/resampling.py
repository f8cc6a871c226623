"""Confidence intervals of the measures of one classifier.

If the units are images, they are percentile intervals of the bootstrap. Over few subjects of unequal sizes these would
be too narrow; there, the standard error is from the jackknife over subjects, and the interval is Student's t on the
logit scale. A measure with its largest or smallest value has Wilson's interval, because no resampled test set and no
subject left out would change it.
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t

from wen.evaluation.metrics import MEASURES, OF_DECISIONS, Confusion, decide
from wen.evaluation.proportion import LEVEL, share
from wen.evaluation.units import degrees_of_freedom, effective, jackknife_variance


def resample(unit: np.ndarray, repeats: int, seed: int) -> np.ndarray:
    """Resample the test set's units with replacement.

    Parameters
    ----------
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    repeats : int
        Number of resampled test sets.
    seed : int
        Equal arguments give equal draws.

    Returns
    -------
    ndarray of shape (repeats, n)
        Number of times that each image is in each resampled test set.
    """
    units = int(unit.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=repeats)
    # Contiguous in memory by image, because the AUC sorts images.
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
        Each measure of `wen.evaluation.metrics.evaluate` except the counts, of shape (repeats,). AUC is NaN where a
        class is absent.
    """
    cell = 2 * np.asarray(label) + decide(probability)
    c = Confusion(*(counts.T[cell == k].sum(axis=0) for k in range(4)))
    values = {name: measure(c) for name, measure in OF_DECISIONS.items()}
    values["auc"] = _areas(np.asarray(label), np.asarray(probability), counts)
    return {name: values[name] for name in MEASURES}


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Compute the percentile interval of resampled values (Efron 1979).

    Parameters
    ----------
    values : ndarray of shape (repeats,)
        One measure on each resampled test set. Values that are not finite are left out.
    level : float
        Share of the values inside the interval.

    Returns
    -------
    tuple of 2 floats
        Lower and upper limit; NaN if no value is finite.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def image_intervals(label: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> dict[str, tuple[float, float]]:
    """95% interval of every measure of a classifier over images.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
    counts : ndarray of shape (repeats, n)
        From `resample`.

    Returns
    -------
    dict
        Each measure of `resampled_measures`: the percentile interval of the resampled test sets, or that of `at_ends`.
        NaN where the measure is undefined.
    """
    resampled = resampled_measures(label, probability, counts)
    found = {name: interval(values) for name, values in resampled.items()}
    return found | at_ends(label, probability, np.arange(len(label)))


def subject_intervals(label: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> dict[str, tuple[float, float]]:
    """Compute the 95% interval of every measure of a classifier over subjects.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
    unit : ndarray of shape (n,)
        Each image's subject, numbered from 0.

    Returns
    -------
    dict
        Each measure of `resampled_measures`, by `logit_interval`, or with two subjects or more that of `at_ends`; NaN
        where the measure is undefined.
    """
    size = np.bincount(unit)
    values = resampled_measures(label, probability, np.ones((1, len(unit))))
    without = resampled_measures(label, probability, 1.0 - (unit == np.arange(len(size))[:, None]))
    intervals = {}
    for name in MEASURES:
        scale = 2 if name == "kappa" else 1  # kappa is in [-1, 1], and is mapped to [0, 1] first
        share = (values[name] + scale - 1) / scale
        low, high = logit_interval(share, (without[name][None] + scale - 1) / scale, size)
        intervals[name] = (float(low[0]) * scale - (scale - 1), float(high[0]) * scale - (scale - 1))
    return intervals | (at_ends(label, probability, unit) if len(size) > 1 else {})


def at_ends(label: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> dict[str, tuple[float, float]]:
    """95% interval of every measure that is at either end of its range: that of `wen.evaluation.proportion.share`.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.

    Returns
    -------
    dict
        Intervals over the images that a measure depends on: all (accuracy, weighted F1), those of a class (recall,
        specificity), those called positive (precision), or those of the class with fewer units (the others). NaN
        without such images.
    """
    classes = [label == kind for kind in (0, 1)]
    smaller = min(classes, key=lambda images: effective(np.bincount(unit[images])) if images.any() else 0.0)
    depends = dict.fromkeys(MEASURES, smaller) | {"specificity": classes[0], "recall": classes[1]}
    depends |= {"precision": decide(probability) == 1}
    depends |= dict.fromkeys(("accuracy", "weighted_f1"), np.full(len(label), True))
    intervals = {}
    for name, (value,) in resampled_measures(label, probability, np.ones((1, len(label)))).items():
        lowest = -1 if name == "kappa" else 0
        if value in (lowest, 1):
            images = depends[name]
            found = share(np.full(images.sum(), value == 1), unit[images])
            intervals[name] = (lowest + found.low * (1 - lowest), lowest + found.high * (1 - lowest))
    return intervals


def logit_interval(value: np.ndarray, without: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of a share over units: Student's t interval on the logit scale.

    The variance is the jackknife's, but at least that of independent images. The degrees of freedom are those of the
    effective number of units.

    Parameters
    ----------
    value : ndarray of shape (...,)
        The share, in [0, 1].
    without : ndarray of shape (..., units)
        The share without each unit.
    size : ndarray of shape (units,)
        Number of images of each unit.

    Returns
    -------
    tuple of 2 ndarrays of shape (...,)
        Lower and upper limit. They are 0 and 1 if there is only one unit, or if the share is undefined without a unit.
    """
    n = size.sum()
    clipped = np.clip(value, 1 / (2 * n), 1 - 1 / (2 * n))
    of_one_image = clipped * (1 - clipped)
    variance = np.maximum(jackknife_variance(without), of_one_image / n)
    variance = np.where(np.isfinite(variance) & (len(size) > 1), variance, np.inf)
    half_width = t.isf((1 - LEVEL) / 2, degrees_of_freedom(size)) * np.sqrt(variance) / of_one_image
    low, high = expit(logit(clipped) - half_width), expit(logit(clipped) + half_width)
    return np.minimum(low, value), np.maximum(high, value)


def _areas(label: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """AUC of each resampled test set by the Mann-Whitney statistic: ALL that outrank HEM; ties count half."""
    hem = np.flatnonzero(label == 0)
    hem, all_ = hem[np.argsort(probability[hem])], np.flatnonzero(label == 1)
    positive = counts.T[all_]
    negative = np.cumsum(counts.T[hem], axis=0)  # number of HEM up to each, and 0 at the start
    negative = np.concatenate([np.zeros((1, len(counts))), negative])
    less, at_most = (np.searchsorted(probability[hem], probability[all_], side) for side in ("left", "right"))
    wins = (positive * negative[less]).sum(axis=0) + (positive * negative[at_most]).sum(axis=0)
    pairs = 2 * positive.sum(axis=0) * negative[-1]
    return np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
