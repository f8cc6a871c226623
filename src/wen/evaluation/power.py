"""The smallest difference that a test detects with 80% power, at the level at which it is judged."""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, chi2, f, ncf

POWER = 0.8


def smallest_difference(disputed: int, images: int, alpha: float) -> float | None:
    """Compute the difference in accuracy that McNemar's mid-p test detects, by image.

    Parameters
    ----------
    disputed : int
        Images on which just one of the two classifiers is right.
    images : int
    alpha : float

    Returns
    -------
    float or None
        The power is exact, for a share of disputed images like the one seen (and not below the difference). None if
        even a difference of 100 points is not detected.
    """
    counts, critical = np.arange(images + 1), _critical(images, alpha)

    def power(difference: float) -> float:
        share = max((disputed + 0.5) / (images + 1), difference)
        weight = binom.pmf(counts, images, share)
        likely = weight > 1e-9
        n, c, first = counts[likely], critical[likely], (1 + difference / share) / 2
        found = binom.cdf(c, n, first) + binom.sf(n - c - 1, n, first)
        return float(weight[likely] @ found)

    if power(1.0) < POWER:
        return None
    return float(brentq(lambda difference: power(difference) - POWER, 0.0, 1.0, xtol=1e-5))


@cache
def _critical(images: int, alpha: float) -> np.ndarray:
    """Return the most pairs of the rarer kind with mid-p below alpha, for 0 to n disputed images; -1 if none."""
    n = np.arange(images + 1)
    c = binom.ppf(alpha / 2, n, 0.5)
    return np.where((binom.cdf(c, n, 0.5) + binom.cdf(c - 1, n, 0.5) < alpha) & (2 * c < n), c, c - 1)


def noncentrality(alpha: float, between: float, within: float) -> float:
    """Return the root of the noncentrality that F with corrected degrees of freedom detects with 80% power.

    The power is Muller & Barton's (1989), averaged over the possible true error given the estimated one.
    """
    critical = f.isf(alpha, between, within)
    true = chi2.ppf((np.arange(25) + 0.5) / 25, within) / within  # estimated error over true error, squared

    def missing(root: float) -> float:
        return POWER - float(ncf.sf(critical, between, within, root**2 * true).mean())

    most = 1.0
    while missing(most) > 0:
        most *= 2
    return float(brentq(missing, 0, most))
