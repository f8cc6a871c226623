"""How much a validation score says about the fold that it was measured on, rather than about the model."""

import numpy as np


def fold_share(scores: np.ndarray) -> float:
    """Share of the variance of scores that folds explain (one-way eta squared).

    Parameters
    ----------
    scores : ndarray of shape (rates, folds)

    Returns
    -------
    float
        In [0, 1]; NaN if all scores are equal. If folds made no difference, (folds - 1) / (rates x folds - 1) would be
        expected.
    """
    if np.ptp(scores) == 0:
        return float("nan")
    between = len(scores) * ((scores.mean(axis=0) - scores.mean()) ** 2).sum()
    return float(between / ((scores - scores.mean()) ** 2).sum())


def centred(scores: np.ndarray) -> np.ndarray:
    """Subtract from each score the mean of all rates on the same fold, so that easy folds have no advantage.

    Parameters
    ----------
    scores : ndarray of shape (rates, folds)

    Returns
    -------
    ndarray of the same shape
        Rounded to 12 decimals, so that scores that are equal stay equal.
    """
    return np.round(scores - scores.mean(axis=0), 12)
