"""Weighted Ensemble of Networks, equations (2.20) to (2.22) of the thesis."""

import warnings
from collections.abc import Sequence

import numpy as np

from wen.evaluation.metrics import THRESHOLD

ROUNDING = 1e-12  # far above the error of a weighted mean, far below a difference between probabilities


def normalised(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """Normalise the members' scores M_k to weights w_k = M_k / sum_i M_i (2.20).

    Parameters
    ----------
    scores : sequence of N floats
        Scores on validation data. Negative and undefined scores count as 0; kappa can be negative, AUC undefined.

    Returns
    -------
    ndarray of shape (N,)
        Non-negative weights that sum to 1. If no score is positive, the weights are equal and a warning is issued.

    Raises
    ------
    ValueError
        If there are no members.
    """
    m = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    if m.size == 0:
        raise ValueError("an ensemble needs at least one member")
    if not m.any():
        warnings.warn("no member has a positive score, so all get equal weights", stacklevel=2)
        return np.full(m.size, 1 / m.size)
    return m / m.sum()


def combine(weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Compute the weighted mean of the members' probabilities, P_final = sum_k w_k P_k (2.21).

    Parameters
    ----------
    weights : ndarray of shape (N,)
    probabilities : ndarray of shape (N, n_images)

    Returns
    -------
    ndarray of shape (n_images,)
        Probability of the positive class, within the range of the members that have a weight.
        `wen.evaluation.metrics.decide` applies (2.22) to it. A mean that differs from the threshold by rounding alone
        is the threshold: votes of 0.25, 0.5 and 0.75 have the mean 0.5.
    """
    # Not weights @ probabilities: the last digits of a BLAS product depend on the processor.
    total = (weights[:, None] * probabilities).sum(axis=0)
    total = np.where(np.abs(total - THRESHOLD) < ROUNDING, THRESHOLD, total)
    # The rounded weights need not sum to exactly 1: without clipping, members that all predict 0.5 could give less.
    weighted = probabilities[weights > 0]
    average: np.ndarray = total.clip(weighted.min(axis=0), weighted.max(axis=0))
    return average
