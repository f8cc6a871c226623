"""How alike two classifiers are; an ensemble gains from members that are accurate and diverse.

Kuncheva & Whitaker (2003), Measures of diversity in classifier ensembles.
"""

from itertools import combinations

import numpy as np

from wen.evaluation.metrics import confusion, kappa


def pairwise_kappa(probabilities: np.ndarray) -> np.ndarray:
    """Cohen's kappa between the decisions of every two of k classifiers.

    Parameters
    ----------
    probabilities : ndarray of shape (k, n)

    Returns
    -------
    ndarray of shape (k, k)
        1 on the diagonal, and for two classifiers whose decisions are all equal.
    """
    decisions = (probabilities >= 0.5).astype(np.int64)
    values = np.eye(len(decisions))
    for i, j in combinations(range(len(decisions)), 2):
        equal = (decisions[i] == decisions[j]).all()
        values[i, j] = values[j, i] = 1.0 if equal else kappa(confusion(decisions[i], decisions[j]))
    return values


def pairwise_q(right: np.ndarray) -> np.ndarray:
    """Yule's Q between every two of k classifiers: 1 if they err on the same images, below 0 if on different ones.

    Parameters
    ----------
    right : ndarray of shape (k, n)
        1 where a classifier is right, else 0.

    Returns
    -------
    ndarray of shape (k, k)
        NaN where it is undefined: neither concordant nor discordant pairs of outcomes.
    """
    both, neither = right @ right.T, (1 - right) @ (1 - right).T
    one, other = right @ (1 - right).T, (1 - right) @ right.T
    same, different = (both * neither).astype(float), (one * other).astype(float)
    total = same + different
    return np.divide(same - different, total, out=np.full(total.shape, np.nan), where=total > 0)
