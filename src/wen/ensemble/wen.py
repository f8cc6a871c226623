"""Weighted Ensemble of Networks, equations (2.20) to (2.22) of the thesis."""

import warnings
from collections.abc import Sequence

import numpy as np


def normalised(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """Turn the members' scores M_k into weights w_k = M_k / sum_i M_i (2.20).

    Parameters
    ----------
    scores : sequence of N floats
        The members' metric on validation data. A negative or undefined score (kappa can be
        negative, AUC undefined) counts as 0.

    Returns
    -------
    ndarray of shape (N,)
        Not negative, summing to 1. Equal, with a warning, if no score is positive.

    Raises
    ------
    ValueError
        If there is no member.
    """
    m = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    if m.size == 0:
        raise ValueError("an ensemble needs at least one member")
    if not m.any():
        warnings.warn("no member has a positive score, so all get equal weights", stacklevel=2)
        return np.full(m.size, 1 / m.size)
    m = m / m.max()  # so that the sum of very small scores does not vanish
    return m / m.sum()


def combine(weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Weighted average of the members' probabilities, P_final = sum_k w_k P_k (2.21).

    Parameters
    ----------
    weights : ndarray of shape (N,)
    probabilities : ndarray of shape (N, n_images)

    Returns
    -------
    ndarray of shape (n_images,)
        The ensemble's probability of the positive class, never outside those of the members that have a weight;
        `wen.evaluation.metrics.decide` applies (2.22).
    """
    # Not weights @ probabilities, whose last digits depend on the linear algebra library's choice for the processor.
    total = (weights[:, None] * probabilities).sum(axis=0)
    # Rounded weights sum to 1 but for the last digit: members that all say 0.5 would be called HEM, or all 1 exceed it.
    weighted = probabilities[weights > 0]
    average: np.ndarray = total.clip(weighted.min(axis=0), weighted.max(axis=0))
    return average
