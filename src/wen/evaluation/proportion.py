"""Confidence intervals of a share of images, for independent images and for several cells per subject."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.units import degrees_of_freedom, each_image_alone, effective

LEVEL = 0.95


class Estimate(NamedTuple):
    """A value and its interval, 95% unless stated otherwise; NaN where undefined."""

    value: float
    low: float
    high: float

    def as_difference(self) -> dict[str, float]:
        """The value of two classifiers' ``difference`` and its interval, as metrics/evidence.json has them."""
        return {"difference": self.value, "low": self.low, "high": self.high}


UNDEFINED = Estimate(np.nan, np.nan, np.nan)


def share(hit: np.ndarray, unit: np.ndarray) -> Estimate:
    """Estimate a share with the interval of Wilson (1927).

    Parameters
    ----------
    hit : ndarray of shape (n,)
        1 for the images that are counted, else 0.
    unit : ndarray of shape (n,)
        Each image's unit, a number of at least 0: the image, or its subject if the split is by subject.

    Returns
    -------
    Estimate
        Over subjects, n is replaced by the effective number of images, n divided by the design effect (Korn & Graubard
        1998), and the normal quantile by Student's. The effective number is at most n and at least the effective number
        of subjects, which is also used if the share is equal in all subjects. Undefined without images.
    """
    n = len(hit)
    if not n:
        return UNDEFINED
    value = float(np.mean(hit))
    units = len(np.unique(unit))
    if units == n:
        return _wilson(value, n, 1 - LEVEL)
    images = effective(np.bincount(unit))
    variance = float((np.bincount(unit, hit - value) ** 2).sum()) / n**2 * units / max(units - 1, 1)
    if variance > 0:
        images = min(max(value * (1 - value) / variance, images), n)
    return _wilson(value, images, 2 * float(ndtr(-quantile(unit))))


def _wilson(value: float, images: float, alpha: float) -> Estimate:
    low, high = proportion_confint(value * images, images, alpha, method="wilson")
    return Estimate(value, min(low, value), max(high, value))  # against rounding


def quantile(unit: np.ndarray) -> float:
    """Half the width of a 95% interval, in standard errors.

    It is the quantile of the normal distribution if units are images; else of Student's t, with
    `wen.evaluation.units.degrees_of_freedom`.
    """
    if each_image_alone(unit):
        return float(ndtri((1 + LEVEL) / 2))
    return float(stdtrit(degrees_of_freedom(np.bincount(unit)), (1 + LEVEL) / 2))
