"""A share of images with its interval."""

import numpy as np
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

from recomputed.source import Source
from recomputed.tests_of_pairs import freedom

Estimate = dict[str, float | None]
UNDEFINED: Estimate = {"value": None, "low": None, "high": None}


def share(source: Source, hit: np.ndarray, unit: np.ndarray) -> Estimate:
    """Wilson's interval, by subject with Korn & Graubard's (1998) effective number of images and t."""
    n, value = len(hit), float(np.mean(hit))
    names, size = np.unique(unit, return_counts=True)
    images, alpha = float(n), 0.05
    if len(names) < n:
        images = size.sum() ** 2 / (size**2).sum()
        net = np.array([(hit[unit == name] - value).sum() for name in names])
        variance = (net**2).sum() / n**2 * len(names) / max(len(names) - 1, 1)
        if 0 < value < 1 and variance > 0:
            images = min(max(value * (1 - value) / variance, images), n)
        alpha = 2 * norm.sf(t.isf(0.025, freedom(size)))
    low, high = proportion_confint(value * images, images, alpha, method="wilson")
    return {"value": value, "low": min(max(low, 0), value), "high": max(min(high, 1), value)}
