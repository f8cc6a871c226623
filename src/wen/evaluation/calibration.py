"""Calibration: of the cells given an 80% probability of the positive class, four in five should be ALL."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from wen.evaluation.metrics import CLIP
from wen.evaluation.proportion import UNDEFINED, Estimate, quantile, share
from wen.evaluation.units import each_image_alone

BINS = 10
LONGEST_STEP = 10.0  # maximum change of a logit in one step of Newton's method
MOST_STEPS = 100
WIDEST = 36.0
"""Maximum half-width of an interval of the regression; clipped logits are within 36.04 of 0."""


class Bin(NamedTuple):
    """The images in one bin of probabilities."""

    images: int
    predicted: float
    """Mean probability of the positive class."""
    observed: float
    """Share of ALL, with its 95% interval."""
    low: float
    high: float


class Recalibration(NamedTuple):
    """The linear transformation of the logits that fits the labels best; see `recalibration`."""

    slope: Estimate
    """1 if calibrated, below 1 if probabilities are too extreme."""
    intercept: Estimate
    """0 if calibrated."""
    in_the_large: Estimate
    """The intercept for a slope of 1: 0 if calibrated, below 0 if probabilities are too high."""


def bin_of(probability: np.ndarray) -> np.ndarray:
    """Number the bin of each probability, from 0; a limit belongs to the bin above it, and 1 to the last one."""
    return np.minimum((np.asarray(probability) * BINS).astype(int), BINS - 1)


def reliability(label: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> list[Bin]:
    """Bin images by their probability of the positive class, in `BINS` bins of equal width without the empty ones.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
    unit : ndarray of shape (n,)
        Each image's unit, for the intervals of `wen.evaluation.proportion.share`.
    """
    bins = bin_of(probability)
    masks = [bins == k for k in np.unique(bins)]
    return [
        Bin(int(mask.sum()), float(probability[mask].mean()), *share(label[mask], unit[mask])) for mask in masks
    ]  # fmt: skip


def expected_error(label: np.ndarray, probability: np.ndarray) -> float:
    """Expected calibration error: mean gap between probability and share of ALL over bins (Naeini et al. 2015)."""
    gap = np.bincount(bin_of(probability), probability - label)
    return float(np.abs(gap).sum() / len(label))


def calibrated_errors(probabilities: np.ndarray, unit: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Simulate the expected calibration error of perfectly calibrated models with these probabilities.

    Labels are drawn from the probabilities, as for the consistency bars of Bröcker & Smith (2007). Even the error of a
    calibrated model is above 0 on a test set, and larger on a smaller one.

    Parameters
    ----------
    probabilities : ndarray of shape (k, n)
        Probabilities of k classifiers.
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0. One number drawn per unit decides the labels of all its images: each label
        has its probability, and the labels of one subject are as equal as their probabilities allow. Labels drawn image
        by image would make 28 calibrated subjects look miscalibrated.
    draws : int
        Number of test sets to simulate.
    seed : int

    Returns
    -------
    ndarray of shape (k, draws)
    """
    by_image = each_image_alone(unit)
    uniform = np.random.default_rng(seed).random((draws, int(unit.max()) + 1))
    errors = []
    for unsorted in probabilities:
        order = np.argsort(unsorted, kind="stable")
        probability = unsorted[order]
        drawn = uniform if by_image else uniform[:, unit[order]]
        _, first = np.unique(bin_of(probability), return_index=True)
        observed = np.add.reduceat(drawn < probability, first, axis=1)
        predicted = np.add.reduceat(probability, first)
        errors.append(np.abs(observed - predicted).sum(axis=1) / len(probability))
    return np.array(errors)


def brier(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared error of the probabilities (Brier 1950)."""
    return float(np.mean((np.asarray(probability) - label) ** 2))


def log_loss(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative logarithm of the probability of the true class, which is clipped to at least `CLIP`."""
    of_true_class = np.where(np.asarray(label) == 1, probability, 1 - np.asarray(probability))
    return float(-np.log(of_true_class.clip(CLIP)).mean())


def recalibration(label: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> Recalibration:
    """Regress the labels on the logits of the probabilities by logistic regression (Cox 1958).

    Parameters
    ----------
    label : ndarray of shape (n,)
    probability : ndarray of shape (n,)
        Clipped to [CLIP, 1 - CLIP].
    unit : ndarray of shape (n,)
        Each image's unit, numbered from 0. If units are images, standard errors are model-based; else they are robust
        to dependence within units (Liang & Zeger 1986), and the quantile is Student's.

    Returns
    -------
    Recalibration
        All estimates are undefined if a class is absent. Slope and intercept are undefined if the probabilities are all
        equal or separate the classes, because no finite slope fits. Intervals are undefined for a single unit.
    """
    score = logit(np.clip(probability, CLIP, 1 - CLIP))
    one = np.ones(len(score))
    if label.min() == label.max():
        return Recalibration(UNDEFINED, UNDEFINED, UNDEFINED)
    (in_the_large,) = _regression(label, one[:, None], score, unit)
    high, low = score[label == 1], score[label == 0]
    if low.max() <= high.min() or high.max() <= low.min():
        return Recalibration(UNDEFINED, UNDEFINED, in_the_large)
    intercept, slope = _regression(label, np.stack([one, score], axis=1), 0 * score, unit)
    return Recalibration(slope, intercept, in_the_large)


def _regression(label: np.ndarray, x: np.ndarray, offset: np.ndarray, unit: np.ndarray) -> list[Estimate]:
    """Fit a logistic regression that has a finite solution, by Newton's method with bounded steps."""
    beta = np.zeros(x.shape[1])
    loss = _loss(label, offset)
    for _ in range(MOST_STEPS):
        fitted = expit(offset + _linear(x, beta))
        step = np.linalg.solve(_squares(x, fitted * (1 - fitted)), _gradient(x, label - fitted))
        step *= min(1, LONGEST_STEP / max(np.abs(_linear(x, step)).max(), CLIP))
        while (new_loss := _loss(label, offset + _linear(x, beta + step))) > loss and np.abs(step).max() > CLIP:
            step /= 2
        beta, decrease, loss = beta + step, loss - new_loss, new_loss
        if decrease < 1e-12 * loss:
            break
    fitted = expit(offset + _linear(x, beta))
    covariance = np.linalg.inv(_squares(x, fitted * (1 - fitted)))
    if (units := len(np.unique(unit))) < len(unit):
        residual = x * (label - fitted)[:, None]
        sums = np.stack([np.bincount(unit, column) for column in residual.T], axis=1)
        between = _squares(sums)
        covariance = covariance @ between @ covariance * (units / (units - 1) if units > 1 else np.nan)
    variance = np.diag(covariance)
    half_width = quantile(unit) * np.sqrt(np.where(variance > 0, variance, np.nan))  # below 0 only by rounding
    half_width[half_width > WIDEST] = np.nan
    return [Estimate(*map(float, (b, b - h, b + h))) for b, h in zip(beta, half_width, strict=True)]


# Sums rather than matrix products: the last digits of BLAS results depend on the processor.
def _linear(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    total: np.ndarray = (x * beta).sum(axis=1)
    return total


def _gradient(x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    total: np.ndarray = (x * residual[:, None]).sum(axis=0)
    return total


def _squares(x: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    weighted = x * np.reshape(weight, (-1, 1))
    total: np.ndarray = (weighted[:, :, None] * x[:, None, :]).sum(axis=0)
    return total


def _loss(label: np.ndarray, score: np.ndarray) -> float:
    return float(np.logaddexp(0, np.where(label == 1, -score, score)).sum())
