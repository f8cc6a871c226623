"""Whether a probability means what it says: of the cells called 80% ALL, four in five should be."""

from typing import NamedTuple

import numpy as np

BINS = 10


class Bin(NamedTuple):
    """The images of one bin of probability."""

    images: int
    predicted: float
    """Mean probability of ALL."""
    observed: float
    """Share that is ALL."""


def reliability(label: np.ndarray, probability: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Bin images by their probability of ALL, in bins of equal width; empty ones are left out.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (HEM) or 1 (ALL).
    probability : ndarray of shape (n,)
    bins : int
    """
    place = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    own = [place == k for k in range(bins)]
    return [
        Bin(int(where.sum()), float(probability[where].mean()), float(label[where].mean()))
        for where in own
        if where.any()
    ]


def expected_error(label: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean gap between probability and share of ALL (Naeini et al. 2015)."""
    parts = reliability(label, probability, bins)
    return sum(own.images * abs(own.predicted - own.observed) for own in parts) / len(label)


def brier(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared error of the probabilities (Brier 1950)."""
    return float(np.mean((np.asarray(probability) - label) ** 2))
