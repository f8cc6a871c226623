"""Calibration: of the cells given an 80% probability of ALL, four in five should be ALL."""

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
    bin_of = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    inside = [bin_of == k for k in np.unique(bin_of)]
    return [Bin(int(mask.sum()), float(probability[mask].mean()), float(label[mask].mean())) for mask in inside]


def expected_error(label: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean gap between probability and share of ALL (Naeini et al. 2015)."""
    filled = reliability(label, probability, bins)
    return sum(bin.images * abs(bin.predicted - bin.observed) for bin in filled) / len(label)


def brier(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared error of the probabilities (Brier 1950)."""
    return float(np.mean((np.asarray(probability) - label) ** 2))
