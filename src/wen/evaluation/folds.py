"""The effect of folds on validation scores, and how well these scores rank the models of a learning rate."""

from itertools import permutations

import numpy as np
from scipy.stats import rankdata

from wen.evaluation.statistics import REPEATS

ALL_ORDERS = 7  # folds up to which every order is tried


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


def order_p(one: np.ndarray, other: np.ndarray, seed: int) -> float:
    """One-sided p-value of the mean over rates of Spearman's correlation between two scores, by exchange of folds.

    The folds of the second score are exchanged in the same way at all rates, because an easy fold is easy at each.

    Parameters
    ----------
    one, other : ndarray of shape (rates, folds)
        At no rate all equal.
    seed : int
        For random orders, if the folds have more orders than can be tried.
    """
    first, second = (_standardised(scores) for scores in (one, other))
    agreement = first.T @ second  # between a fold of the first score and one of the second
    folds = len(agreement)
    if folds <= ALL_ORDERS:
        orders = np.array(list(permutations(range(folds))))
    else:
        drawn = np.random.default_rng(seed).permuted(np.tile(np.arange(folds), (REPEATS, 1)), axis=1)
        orders = np.concatenate([np.arange(folds)[None], drawn])
    mean = agreement[np.arange(folds), orders].sum(axis=1)
    return float((mean >= mean[0] - 1e-9).mean())


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Ranks within each rate, of mean 0 and length 1: the product of two such rows is Spearman's correlation."""
    ranked = rankdata(scores, axis=1)
    deviation = ranked - ranked.mean()  # which is that of each rate
    standardised: np.ndarray = deviation / np.sqrt((deviation**2).sum(axis=1, keepdims=True))
    return standardised
