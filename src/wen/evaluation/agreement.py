"""Agreement between classifiers: an ensemble gains from members that are accurate and diverse.

Kuncheva & Whitaker (2003), Measures of diversity in classifier ensembles.
"""

from itertools import combinations

import numpy as np

from wen.evaluation.metrics import confusion, decide, kappa


def pairwise_kappa(probabilities: np.ndarray) -> np.ndarray:
    """Cohen's kappa between the decisions of each pair of k classifiers.

    Parameters
    ----------
    probabilities : ndarray of shape (k, n)

    Returns
    -------
    ndarray of shape (k, k)
        1 on the diagonal, and for a pair whose decisions are all equal.
    """
    decisions = decide(probabilities)
    values = np.eye(len(decisions))
    for i, j in combinations(range(len(decisions)), 2):
        equal = (decisions[i] == decisions[j]).all()
        values[i, j] = values[j, i] = 1.0 if equal else kappa(confusion(decisions[i], decisions[j]))
    return values


def pairwise_q(right: np.ndarray) -> np.ndarray:
    """Yule's Q between each pair of k classifiers: 1 if they err on the same images, negative if on different ones.

    Parameters
    ----------
    right : ndarray of shape (k, n)
        1 where a classifier is right, else 0.

    Returns
    -------
    ndarray of shape (k, k)
        NaN where it is undefined, because there are neither concordant nor discordant outcomes.
    """
    both, neither = right @ right.T, (1 - right) @ (1 - right).T
    only_first, only_second = right @ (1 - right).T, (1 - right) @ right.T
    concordant, discordant = both * neither, only_first * only_second
    total = concordant + discordant
    return np.divide(concordant - discordant, total, out=np.full(total.shape, np.nan), where=total > 0)
