"""Units of resampling: the independent parts of a test set, either images or subjects with all their images."""

import numpy as np


def each_image_alone(unit: np.ndarray) -> bool:
    """Whether each unit is a single image; ``unit`` holds the number of the unit of each image, from 0."""
    return len(np.unique(unit)) == len(unit)


def effective(size: np.ndarray) -> float:
    """Return the effective number of units: that of equally large units with the same information (Kish 1965).

    Parameters
    ----------
    size : ndarray of shape (units,)
        Number of images of each unit.
    """
    return float(size.sum() ** 2 / (size**2).sum())


def degrees_of_freedom(size: np.ndarray) -> float:
    """Return the degrees of freedom of a variance between units: their effective number minus 1, and at least 1."""
    return max(effective(size) - 1, 1.0)


def jackknife_variance(without: np.ndarray) -> np.ndarray:
    """Return the jackknife variance of an estimate (Efron & Stein 1981).

    Parameters
    ----------
    without : ndarray of shape (..., units)
        The estimate without each of the units.

    Returns
    -------
    ndarray of shape (...,)
    """
    units = without.shape[-1]
    deviation = without - without.mean(axis=-1, keepdims=True)
    variance: np.ndarray = (units - 1) / units * (deviation**2).sum(axis=-1)
    return variance
