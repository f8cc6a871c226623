"""Coverage of the study's 95% confidence intervals, simulated for test sets with the same subjects.

Subjects differ in accuracy. A simulated study draws the accuracy of each subject, then the decisions on as many images
as the subject has in the test set. Coverage is the share of simulated studies whose intervals contain the accuracy, and
the difference, that were simulated.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from wen.evaluation.proportion import LEVEL, share
from wen.evaluation.resampling import logit_interval
from wen.evaluation.statistics import difference_by_unit

STUDIES = 2_000  # simulated
MIN_CORRELATION, MAX_CORRELATION = 0.01, 0.5  # within subjects


class Coverage(NamedTuple):
    """Coverage as shares of the simulated studies, and the correlation that was simulated."""

    accuracy: float
    """Coverage of the interval of one classifier's accuracy."""
    difference: float
    """Coverage of the interval of a difference between two classifiers."""
    correlation: float
    """Intraclass correlation of the decisions on images of one subject, as estimated from this study."""


def coverage(right: np.ndarray, other: np.ndarray, label: np.ndarray, unit: np.ndarray, seed: int) -> Coverage:
    """Simulate the coverage of the study's two kinds of 95% interval.

    Parameters
    ----------
    right, other : ndarray of shape (n,)
        1 where two classifiers are right, else 0. They determine the true values of the simulation: the accuracy of
        the first classifier in each class, and the shares of images on which only one of the two is right.
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive). The class of a subject is that of most of its images.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0.
    seed : int

    Returns
    -------
    Coverage
        Simulated with a beta distribution of the accuracy of subjects, so that the decisions on two images of a subject
        correlate as in this study.
    """
    rng, size = np.random.default_rng(seed), np.bincount(unit)
    gained, lost, hits = (np.bincount(unit, counted) for counted in (right > other, right < other, right))
    positive = (np.bincount(unit, label) * 2 > size).astype(int)
    mean = np.array([_share(right[label == 0]), _share(right[label == 1])])[positive]
    disputed_share, gained_share = _share(right != other), _share((right > other)[right != other])
    true_accuracy = float(mean @ size / size.sum())
    true_difference = disputed_share * (2 * gained_share - 1)
    if (size == 1).all():  # the intervals depend only on sums over images
        correct = rng.binomial(len(size), true_accuracy, (STUDIES, 1))
        disputed = rng.binomial(len(size), disputed_share, (STUDIES, 1))
        first = rng.binomial(disputed, gained_share)
        correlation = 0.0
    else:
        correlation = _correlation(hits, size, mean)
        correct = rng.binomial(size, _draw_shares(mean, correlation, rng))
        shares, parts = np.full(len(size), disputed_share), np.full(len(size), gained_share)
        disputed = rng.binomial(size, _draw_shares(shares, _correlation(gained + lost, size, shares), rng))
        first = rng.binomial(disputed, _draw_shares(parts, _correlation(gained, gained + lost, parts), rng))
    _, low, high = difference_by_unit(first, disputed - first, size)
    covered = float(((low <= true_difference) & (true_difference <= high)).mean())
    return Coverage(_accuracy_coverage(correct, size, true_accuracy), covered, correlation)


def _accuracy_coverage(correct: np.ndarray, size: np.ndarray, true_accuracy: float) -> float:
    total, n = correct.sum(axis=1), size.sum()
    if len(size) == 1 < n:
        return 1.0  # the interval is [0, 1]
    if (size == 1).all():  # the bootstrap distribution of a share is binomial
        low, high = (binom.ppf(q, n, total / n) / n for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    else:
        low, high = logit_interval(total / n, (total[:, None] - correct) / (n - size), size)
    none, each = (share(np.full(n, hit), np.repeat(np.arange(len(size)), size)) for hit in (0, 1))  # Wilson's
    low, high = np.where(total == n, each.low, low), np.where(total == 0, none.high, high)
    return float(((low <= true_accuracy) & (true_accuracy <= high)).mean())


def _share(hits: np.ndarray) -> float:
    """Share of images with add-one smoothing, which keeps it away from 0 and 1."""
    return float((hits.sum() + 1) / (len(hits) + 2))


def _correlation(number: np.ndarray, size: np.ndarray, mean: np.ndarray) -> float:
    """Intraclass correlation, from the excess of Pearson's statistic over its value for independent images."""
    several = size > 1
    if not several.any():
        return MIN_CORRELATION
    number, size, mean = number[several], size[several], mean[several]
    excess = (number - size * mean) ** 2 / (size * mean * (1 - mean)) - 1
    return float(np.clip(excess.sum() / (size - 1).sum(), MIN_CORRELATION, MAX_CORRELATION))


def _draw_shares(mean: np.ndarray, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the share of each unit in each study, of shape (STUDIES, units), from beta distributions."""
    strength = (1 - correlation) / correlation
    return rng.beta(mean * strength, (1 - mean) * strength, (STUDIES, len(mean)))
