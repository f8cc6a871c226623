"""Accuracy by person, and verdicts on persons from all their cells."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.metrics import auc, decide
from wen.evaluation.proportion import LEVEL, UNDEFINED, Estimate

MIXED = -1  # label of a person who has cells of both classes


@dataclass(frozen=True)
class People:
    """A classifier's decisions summed up by person; every array has one element per person."""

    person: np.ndarray
    """Ids, in ascending order."""
    label: np.ndarray
    """0 (negative), 1 (positive), or `MIXED`."""
    cells: np.ndarray
    right: np.ndarray
    """Number of cells that are classified correctly."""
    called: np.ndarray
    """Number of cells that are called ALL."""
    probability: np.ndarray
    """Mean probability of the positive class over the cells."""

    @property
    def accuracy(self) -> np.ndarray:
        return self.right / self.cells

    @property
    def share(self) -> np.ndarray:
        """Share of the cells that are called ALL."""
        return self.called / self.cells


def by_person(person: np.ndarray, label: np.ndarray, probability: np.ndarray) -> People:
    """Sum up a classifier's decisions on each person's cells.

    Parameters
    ----------
    person : ndarray of shape (n,)
        Id of each cell's person.
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
        Of the positive class, in [0, 1].
    """
    names, index = np.unique(person, return_inverse=True)
    decision = decide(probability)
    cells, positive, right, called = (
        np.bincount(index, values).astype(np.int64)
        for values in (np.ones(len(index)), label, decision == label, decision)
    )
    labels = np.select([positive == 0, positive == cells], [0, 1], MIXED)
    return People(names, labels, cells, right, called, np.bincount(index, probability) / cells)


def mean_accuracy(accuracy: np.ndarray) -> Estimate:
    """Mean of the persons' accuracies, with Student's t interval clipped to [0, 1].

    Parameters
    ----------
    accuracy : ndarray of shape (g,)
        Accuracies of g persons.

    Returns
    -------
    Estimate
        Without an interval for a single person or equal accuracies, because the variance between persons is unknown.
    """
    value, g = float(accuracy.mean()), len(accuracy)
    if np.ptp(accuracy) == 0:
        return Estimate(value, np.nan, np.nan)
    low, high = t.interval(LEVEL, g - 1, value, accuracy.std(ddof=1) / np.sqrt(g))
    return Estimate(value, max(float(low), 0.0), min(float(high), 1.0))


def proportion(count: int, of: int) -> Estimate:
    """A share with the interval of Wilson (1927); undefined if ``of`` is 0."""
    if not of:
        return UNDEFINED
    return Estimate(count / of, *proportion_confint(count, of, alpha=1 - LEVEL, method="wilson"))


def sensitivity(label: np.ndarray, verdict: np.ndarray) -> Estimate:
    """Share of the persons with ALL whose verdict is ALL, without persons with cells of both classes."""
    return proportion(int(verdict[label == 1].sum()), int((label == 1).sum()))


def specificity(label: np.ndarray, verdict: np.ndarray) -> Estimate:
    """Share of the healthy persons whose verdict is HEM, without persons with cells of both classes."""
    return proportion(int((1 - verdict[label == 0]).sum()), int((label == 0).sum()))


def verdicts(people: People) -> dict[str, np.ndarray]:
    """Decide for each person, 1 (ALL) or 0 (HEM), by ``mean`` probability and by ``share`` of cells called ALL."""
    return {"mean": decide(people.probability), "share": decide(people.share)}


def area(label: np.ndarray, score: np.ndarray) -> Estimate:
    """Area under the ROC curve over persons, without persons with cells of both classes.

    The interval is Newcombe's (2006, part 2, method 5): all areas from which the observed one is at most 1.96 standard
    errors away. The standard error is that of Hanley & McNeil (1982) at the area in question, for two classes of the
    mean size. Unlike DeLong's interval, it has a positive width even if a few persons are all ranked correctly.

    Parameters
    ----------
    label : ndarray of shape (g,)
        0, 1 or `MIXED`.
    score : ndarray of shape (g,)

    Returns
    -------
    Estimate
        Undefined if a class is absent.
    """
    counted = label != MIXED
    label, score = label[counted], score[counted]
    m, n = int((label == 1).sum()), int((label == 0).sum())
    value, z = auc(label, score), norm.ppf((1 + LEVEL) / 2)
    if not (m and n):
        return UNDEFINED
    half = (m + n) / 2 - 1

    def excess(true: float) -> float:
        shape = 1 + half * (1 - true) / (2 - true) + half * true / (1 + true)
        return float((value - true) ** 2 - z**2 * true * (1 - true) * shape / (m * n))

    # The error is 0 at 0 and 1, so an observed area of 0 or 1 is a trivial root, which is not the limit.
    return Estimate(value, brentq(excess, 0, min(value, 1 - 1e-9)), brentq(excess, max(value, 1e-9), 1))
