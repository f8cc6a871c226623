"""A classifier in use: decisions at a threshold, predictive values at other prevalences, cost and net benefit."""

import numpy as np

from wen.evaluation.metrics import Confusion, specificity
from wen.evaluation.proportion import UNDEFINED, Estimate, share


def at_thresholds(label: np.ndarray, probability: np.ndarray, thresholds: np.ndarray) -> Confusion:
    """Count the decisions at many thresholds; an image is called ALL if its probability is at least the threshold.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
    thresholds : ndarray of shape (k,)

    Returns
    -------
    Confusion
        Its counts are arrays of shape (k,).
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


def predictive_value(true: Estimate, false: Estimate, prevalence: float) -> Estimate:
    """Compute the probability that a call is right, by Bayes' theorem: the PPV, or the NPV with exchanged classes.

    Parameters
    ----------
    true : Estimate
        Share of the class that is called so: the sensitivity; for the NPV, the specificity.
    false : Estimate
        Share of the other class that is called so: 1 - specificity; for the NPV, 1 - sensitivity.
    prevalence : float
        Prevalence of the class: ALL; for the NPV, HEM.

    Returns
    -------
    Estimate
        The interval combines those of the two shares, which are independent, by the method of variance estimates
        recovery for a ratio (Donner & Zou 2012). Undefined if a class is absent, or if no image is called so.
    """
    if np.isnan(true.value + false.value) or true.value == false.value == 0:
        return UNDEFINED
    product = true.value * false.value
    false_low, false_high = _from_zero(false.value, false.low), _from_zero(false.value, false.high)
    true_low, true_high = _from_zero(true.value, true.low), _from_zero(true.value, true.high)
    # Limits of the ratio false / true; the predictive value decreases with it.
    root = product + np.sqrt(max(product**2 - false_low * true_high, 0))
    lowest = false_low / root if root > 0 else 0.0
    root = product + np.sqrt(max(product**2 - false_high * true_low, 0))
    highest = root / true_low if true_low > 0 else np.inf
    ratio = false.value / true.value if true.value > 0 else np.inf
    odds = (1 - prevalence) / prevalence
    return Estimate(*(float(1 / (1 + odds * value)) for value in (ratio, highest, lowest)))


def complement(share: Estimate) -> Estimate:
    """Turn the estimate of a share into that of 1 minus the share."""
    return Estimate(1 - share.value, 1 - share.high, 1 - share.low)


def threshold_at_specificity(label: np.ndarray, probability: np.ndarray, target: float) -> float:
    """Choose the lowest threshold at which the specificity is at least ``target``: the most sensitive one.

    Parameters
    ----------
    label, probability : ndarray of shape (n,)
        Validation data; a threshold chosen on the test set would have optimistic rates there.
    target : float

    Returns
    -------
    float
        One of the probabilities, or the next number above them, at which no image is called ALL. NaN without HEM.
    """
    if not (np.asarray(label) == 0).any():
        return np.nan
    levels = np.unique(probability)
    thresholds = np.append(levels, np.nextafter(levels[-1], np.inf))
    reached = np.asarray(specificity(at_thresholds(label, probability, thresholds))) >= target
    return float(thresholds[int(reached.argmax())])


def cost(c: Confusion, missed: float) -> np.ndarray:
    """Cost per image at many thresholds, in false alarms; a missed ALL costs ``missed`` of them."""
    total: np.ndarray = (missed * c.fn + c.fp) / sum(c)
    return total


def net_benefit(c: Confusion, thresholds: np.ndarray) -> np.ndarray:
    """Net benefit of a classifier at each threshold probability t (Vickers & Elkin 2006).

    Parameters
    ----------
    c : Confusion of arrays of shape (k,)
        Counts at each threshold.
    thresholds : ndarray of shape (k,)
        Below 1.

    Returns
    -------
    ndarray of shape (k,)
        Share of true positives, less the share of false positives times the odds t / (1 - t). The choice of t implies
        these odds as the cost of a false alarm relative to a missed ALL.
    """
    benefit: np.ndarray = (c.tp - c.fp * thresholds / (1 - thresholds)) / sum(c)
    return benefit


def net_benefit_of_all(prevalence: float, thresholds: np.ndarray) -> np.ndarray:
    """Net benefit of calling every image ALL; that of calling none is 0."""
    return prevalence - (1 - prevalence) * thresholds / (1 - thresholds)


def _from_zero(value: float, limit: float) -> float:
    """Return the square of a value minus the square of its distance from a limit."""
    return limit * (2 * value - limit)
