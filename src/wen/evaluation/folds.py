"""The effect of folds on validation scores: how much of a score is due to the fold rather than the model."""

import numpy as np


def fold_share(scores: np.ndarray) -> float:
    """Share of the variance of scores that folds explain (one-way eta squared).

    Parameters
    ----------
    scores : ndarray of shape (rates, folds)

    Returns
    -------
    float
        In [0, 1]; NaN if all scores are equal. Without an effect of folds, its expectation is
        (folds - 1) / (rates x folds - 1).
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
        Rounded to 12 decimals, so that equal scores stay equal.
    """
    return np.round(scores - scores.mean(axis=0), 12)
