"""Choose the champion of a learning rate, the fold model that represents it in Intra-LR ensembles (3.3)."""

from collections.abc import Mapping, Sequence

import numpy as np

JUDGED_BY = ("accuracy", "precision", "recall", "f1", "kappa")
"""The metrics by which a champion is chosen."""


def champion(rows: Sequence[Mapping[str, float]]) -> int:
    """Choose the model with the lowest mean rank over the five metrics of section 3.3.

    Parameters
    ----------
    rows : sequence of mappings
        Metrics of each fold model, in the order of the folds, as `wen.evaluation.metrics.evaluate` returns them.
        Metrics on test data give the reading ``as_written`` (that of the thesis), metrics on validation data the
        reading ``leak_free``.

    Returns
    -------
    int
        Index in ``rows``. Models with equal mean ranks are ordered by kappa, then by fold.
    """
    rank = mean_ranks(rows)
    return min(range(len(rows)), key=lambda k: (rank[k], -rows[k]["kappa"], k))


def mean_ranks(rows: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Return the mean rank of each model over the five metrics; 1 is the best, and ties share their mean rank."""
    return np.mean([ranks([row[metric] for row in rows]) for metric in JUDGED_BY], axis=0)


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank values from 1, the highest; ties share the mean of their ranks."""
    v = np.asarray(values, dtype=np.float64)
    higher = (v[None, :] > v[:, None]).sum(axis=1)
    equal = (v[None, :] == v[:, None]).sum(axis=1)
    return higher + (equal + 1) / 2
