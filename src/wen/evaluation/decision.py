"""A classifier in use: decisions at a threshold, and what they are worth where ALL is rarer than in the test set."""

import numpy as np

from wen.evaluation.metrics import Confusion, specificity
from wen.evaluation.proportion import UNDEFINED, Estimate, share


def at_thresholds(label: np.ndarray, probability: np.ndarray, thresholds: np.ndarray) -> Confusion:
    """Count the decisions at many thresholds: ALL is what has at least that probability.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
    thresholds : ndarray of shape (k,)

    Returns
    -------
    Confusion
        Of arrays of shape (k,).
    """
    positive, negative = (np.sort(np.asarray(probability)[np.asarray(label) == kind]) for kind in (1, 0))
    fn, tn = np.searchsorted(positive, thresholds), np.searchsorted(negative, thresholds)
    return Confusion(tn=tn, fp=len(negative) - tn, fn=fn, tp=len(positive) - fn)


def rates(label: np.ndarray, probability: np.ndarray, unit: np.ndarray, threshold: float) -> tuple[Estimate, Estimate]:
    """Estimate sensitivity and specificity at a threshold that was not chosen on these images.

    Returns
    -------
    tuple of 2 Estimate
        With the intervals of `wen.evaluation.proportion.share`; undefined if the class is absent, or the threshold
        is NaN.
    """
    if np.isnan(threshold):
        return UNDEFINED, UNDEFINED
    right = (np.asarray(probability) >= threshold) == label
    sensitivity, specificity = (share(right[label == kind], unit[label == kind]) for kind in (1, 0))
    return sensitivity, specificity


def predictive_value(found: Estimate, false: Estimate, prevalence: float) -> Estimate:
    """Compute the share that a call is right, by Bayes: the PPV, or the NPV with the classes exchanged.

    Parameters
    ----------
    found : Estimate
        Share of the class that is called so: the sensitivity; for the NPV, the specificity.
    false : Estimate
        Share of the other class that is called so: 1 - specificity; for the NPV, 1 - sensitivity.
    prevalence : float
        Of the class: of ALL; for the NPV, of HEM.

    Returns
    -------
    Estimate
        The interval follows from those of the two shares, which are independent, by the method of variance estimates
        recovery for a ratio (Donner & Zou 2012): at a limit, the contrast of the two shares that would be 0 there is as
        far from 0 as both intervals together allow. Undefined if a class is absent, or if nothing is called so.
    """
    if np.isnan(found.value + false.value) or found.value == false.value == 0:
        return UNDEFINED
    product = found.value * false.value
    false_low, false_high = _from_zero(false.value, false.low), _from_zero(false.value, false.high)
    found_low, found_high = _from_zero(found.value, found.low), _from_zero(found.value, found.high)
    # The ratio false / found, of which the predictive value is a falling function.
    root = product + np.sqrt(max(product**2 - false_low * found_high, 0))
    lowest = false_low / root if root > 0 else 0.0
    root = product + np.sqrt(max(product**2 - false_high * found_low, 0))
    highest = root / found_low if found_low > 0 else np.inf
    ratio = false.value / found.value if found.value > 0 else np.inf
    odds = (1 - prevalence) / prevalence
    return Estimate(*(float(1 / (1 + odds * value)) for value in (ratio, highest, lowest)))


def exchanged(share: Estimate) -> Estimate:
    """Turn the estimate of a share into that of what is left."""
    return Estimate(1 - share.value, 1 - share.high, 1 - share.low)


def threshold_at_specificity(label: np.ndarray, probability: np.ndarray, target: float) -> float:
    """Choose the lowest threshold at which the specificity is at least ``target``: the most sensitive one.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
        Of validation data: a threshold that is chosen on the test set looks better there than it is.
    target : float

    Returns
    -------
    float
        One of the probabilities, or the next number above all of them, at which nothing is called ALL. NaN without HEM.
    """
    if not (np.asarray(label) == 0).any():
        return np.nan
    levels = np.unique(probability)
    thresholds = np.append(levels, np.nextafter(levels[-1], np.inf))
    reached = np.asarray(specificity(at_thresholds(label, probability, thresholds))) >= target
    return float(thresholds[int(reached.argmax())])


def cost(c: Confusion, missed: float) -> np.ndarray:
    """Cost per image at many thresholds, in false alarms: a missed ALL weighs as much as ``missed`` of them."""
    total: np.ndarray = (missed * c.fn + c.fp) / sum(c)
    return total


def net_benefit(c: Confusion, thresholds: np.ndarray) -> np.ndarray:
    """Net benefit of a classifier that is used at each threshold probability t (Vickers & Elkin 2006).

    Parameters
    ----------
    c : Confusion of arrays of shape (k,)
        At each threshold.
    thresholds : ndarray of shape (k,)
        Below 1.

    Returns
    -------
    ndarray of shape (k,)
        Share of true positives, less that of false positives times the odds t / (1 - t), at which whoever chooses t
        weighs a false alarm against a missed ALL.
    """
    benefit: np.ndarray = (c.tp - c.fp * thresholds / (1 - thresholds)) / sum(c)
    return benefit


def net_benefit_of_all(prevalence: float, thresholds: np.ndarray) -> np.ndarray:
    """Net benefit of calling every image ALL; that of calling none is 0."""
    return prevalence - (1 - prevalence) * thresholds / (1 - thresholds)


def _from_zero(value: float, limit: float) -> float:
    """The square of a value less the square of its distance from a limit."""
    return limit * (2 * value - limit)
