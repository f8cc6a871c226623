"""Units of resampling: what of the test set is independent of the rest, an image or a subject with all its images."""

import numpy as np


def each_image_alone(unit: np.ndarray) -> bool:
    """Whether every image is a unit of its own; ``unit`` numbers each image's unit from 0."""
    return len(np.unique(unit)) == len(unit)


def effective(size: np.ndarray) -> float:
    """Effective number of units: how many of equal size give as much information (Kish 1965).

    Parameters
    ----------
    size : ndarray of shape (units,)
        Images of each unit.
    """
    return float(size.sum() ** 2 / (size**2).sum())


def degrees_of_freedom(size: np.ndarray) -> float:
    """Of a variance between units: their effective number less 1, and at least 1."""
    return max(effective(size) - 1, 1.0)


def jackknife_variance(without: np.ndarray) -> np.ndarray:
    """Variance of an estimate, from what it is without each of the units (Efron & Stein 1981).

    Parameters
    ----------
    without : ndarray of shape (..., units)

    Returns
    -------
    ndarray of shape (...,)
    """
    units = without.shape[-1]
    deviation = without - without.mean(axis=-1, keepdims=True)
    variance: np.ndarray = (units - 1) / units * (deviation**2).sum(axis=-1)
    return variance
