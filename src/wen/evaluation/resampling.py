"""The bootstrap: how much every measure would vary between test sets drawn in the same way.

It resamples units: images, or subjects with all their images if the split is by subject.
"""

import numpy as np

from wen.evaluation.metrics import MEASURES, OF_DECISIONS, Confusion, decide


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
    return drawn.astype(np.float64)[:, unit]


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
    cell = np.eye(4)[2 * np.asarray(label) + decide(probability)]
    c = Confusion(*(counts @ cell).T)
    values = {name: measure(c) for name, measure in OF_DECISIONS.items()}
    values["auc"] = _areas(np.asarray(label), np.asarray(probability), counts)
    return {name: values[name] for name in MEASURES}


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
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


def _areas(label: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mann-Whitney's statistic of each resampled test set: each ALL against the HEM below it, ties by half."""
    order = np.argsort(probability, kind="stable")
    _, start = np.unique(probability[order], return_index=True)
    positive = np.add.reduceat(counts[:, order] * label[order], start, axis=1)
    negative = np.add.reduceat(counts[:, order] * (1 - label[order]), start, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wins = (positive * below).sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
