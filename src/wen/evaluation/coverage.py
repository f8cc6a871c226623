"""How often the study's 95% intervals hold the truth, by simulated test sets with this study's own subjects.

Subjects differ: each has an accuracy of its own. The simulation draws it, then the decisions on as many images as the
subject has in the test set, and asks how often the intervals hold the accuracy, and the difference, that were put in.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from wen.evaluation.resampling import LEVEL, logit_interval
from wen.evaluation.statistics import difference_by_unit

STUDIES = 2_000
LEAST, MOST = 0.01, 0.5  # of the correlation within subjects


class Coverage(NamedTuple):
    """Shares of simulated studies, and what was put in."""

    accuracy: float
    """How often the interval of one classifier's accuracy holds the truth."""
    difference: float
    """How often that of a difference between two does."""
    correlation: float
    """Between the decisions on two images of one subject, as estimated from this study."""


def coverage(right: np.ndarray, other: np.ndarray, label: np.ndarray, unit: np.ndarray, seed: int) -> Coverage:
    """Simulate the coverage of the study's two kinds of 95% interval.

    Parameters
    ----------
    right, other : ndarray of shape (n,)
        1 where two classifiers are right, else 0: the truth that is put in is the first one's accuracy in each class,
        and the shares of images on which either alone is right.
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive). A subject has the class of most of its images.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    seed : int

    Returns
    -------
    Coverage
        A subject's accuracy is drawn from a beta distribution, so that decisions on two of its images correlate as in
        this study.
    """
    rng, size = np.random.default_rng(seed), np.bincount(unit)
    gained, lost, hits = (np.bincount(unit, found) for found in (right > other, right < other, right))
    sick = (np.bincount(unit, label) * 2 > size).astype(int)
    mean = np.array([_share(right[label == 0]), _share(right[label == 1])])[sick]
    share, part = _share(right != other), _share((right > other)[right != other])
    truth, lead = float(mean @ size / size.sum()), share * (2 * part - 1)
    if (size == 1).all():  # sums over images are all that the intervals need
        number = rng.binomial(len(size), truth, (STUDIES, 1))
        disputed = rng.binomial(len(size), share, (STUDIES, 1))
        first = rng.binomial(disputed, part)
        correlation = 0.0
    else:
        correlation = _correlation(hits, size, mean)
        number = rng.binomial(size, _drawn(mean, correlation, rng))
        shares, parts = np.full(len(size), share), np.full(len(size), part)
        disputed = rng.binomial(size, _drawn(shares, _correlation(gained + lost, size, shares), rng))
        first = rng.binomial(disputed, _drawn(parts, _correlation(gained, gained + lost, parts), rng))
    _, _, low, high = difference_by_unit(first, disputed - first, size)
    held = float(((low <= lead) & (lead <= high)).mean())
    return Coverage(_holds_accuracy(number, size, truth), held, correlation)


def _holds_accuracy(number: np.ndarray, size: np.ndarray, truth: float) -> float:
    total, n = number.sum(axis=1), size.sum()
    if (size == 1).all():  # the bootstrap of a share is the binomial
        low, high = (binom.ppf(q, n, total / n) / n for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    elif len(size) == 1:
        return 1.0  # the interval is all that is possible
    else:
        low, high = logit_interval(total / n, (total[:, None] - number) / (n - size), size)
    return float(((low <= truth) & (truth <= high)).mean())


def _share(hits: np.ndarray) -> float:
    """A share of images, away from 0 and 1 as if one more of either kind had been seen."""
    return float((hits.sum() + 1) / (len(hits) + 2))


def _correlation(number: np.ndarray, size: np.ndarray, mean: np.ndarray) -> float:
    """Between two images of a subject: what of Pearson's statistic over subjects independent images do not explain."""
    several = size > 1
    if not several.any():
        return LEAST
    number, size, mean = number[several], size[several], mean[several]
    excess = (number - size * mean) ** 2 / (size * mean * (1 - mean)) - 1
    return float(np.clip(excess.sum() / (size - 1).sum(), LEAST, MOST))


def _drawn(mean: np.ndarray, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Each unit's share in each study, of shape (STUDIES, units), from beta distributions."""
    strength = (1 - correlation) / correlation
    return rng.beta(mean * strength, (1 - mean) * strength, (STUDIES, len(mean)))
