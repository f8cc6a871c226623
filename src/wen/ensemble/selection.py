"""The champion of one learning rate: the fold model that represents it in Intra-LR (3.3)."""

from collections.abc import Mapping, Sequence

import numpy as np

JUDGED_BY = ("accuracy", "precision", "recall", "f1", "kappa")


def champion(rows: Sequence[Mapping[str, float]]) -> int:
    """Choose the model with the lowest mean rank over the five metrics of section 3.3.

    Parameters
    ----------
    rows : sequence of mappings
        One for each fold, in the order of the folds, as `wen.evaluation.metrics.evaluate` returns.
        Measured on test data they give the reading ``as_written`` (the thesis'), on validation data ``leak_free``.

    Returns
    -------
    int
        Position in ``rows``. Equal values share their mean rank; ties of mean ranks are broken by kappa, then by the
        earlier fold.
    """
    rank = mean_ranks(rows)
    return min(range(len(rows)), key=lambda k: (rank[k], -rows[k]["kappa"], k))


def mean_ranks(rows: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Mean rank of each model over the five metrics, 1 being the best; equal values share their mean rank."""
    return np.mean([ranks([row[metric] for row in rows]) for metric in JUDGED_BY], axis=0)


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank 1 for the highest value; ties share the mean of their ranks."""
    v = np.asarray(values, dtype=np.float64)
    higher = (v[None, :] > v[:, None]).sum(axis=1)
    equal = (v[None, :] == v[:, None]).sum(axis=1)
    return higher + (equal + 1) / 2
