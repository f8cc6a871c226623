"""Accuracy by person: who is read well, and how the cells of one person become one verdict."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.metrics import THRESHOLD, auc, decide
from wen.evaluation.proportion import LEVEL, UNDEFINED, Estimate

MIXED = -1  # label of a person who has cells of both classes


@dataclass(frozen=True)
class People:
    """What a classifier makes of each person's cells; every array has one element for each person."""

    person: np.ndarray
    """Ids, in ascending order."""
    label: np.ndarray
    """0 (negative), 1 (positive), or `MIXED`."""
    cells: np.ndarray
    right: np.ndarray
    """How many of the cells are classified rightly."""
    called: np.ndarray
    """How many of the cells are called ALL."""
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
        Whose each cell is.
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
        Of the positive class, in [0, 1].
    """
    names, index = np.unique(person, return_inverse=True)
    decision = decide(probability)
    cells, ill, right, called = (
        np.bincount(index, values, len(names)).astype(np.int64)
        for values in (np.ones(len(index)), label, decision == label, decision)
    )
    labels = np.select([ill == 0, ill == cells], [0, 1], MIXED)
    return People(names, labels, cells, right, called, np.bincount(index, probability, len(names)) / cells)


def mean_accuracy(accuracy: np.ndarray) -> Estimate:
    """Mean over persons of each one's accuracy, with Student's t interval within [0, 1].

    Parameters
    ----------
    accuracy : ndarray of shape (g,)
        Of g persons.

    Returns
    -------
    Estimate
        Without an interval for a single person, or if all have the same accuracy: how much persons differ is unknown.
    """
    value, g = float(accuracy.mean()), len(accuracy)
    if g < 2 or np.ptp(accuracy) == 0:
        return Estimate(value, np.nan, np.nan)
    low, high = t.interval(LEVEL, g - 1, value, accuracy.std(ddof=1) / np.sqrt(g))
    return Estimate(value, max(float(low), 0.0), min(float(high), 1.0))


def proportion(count: int, of: int) -> Estimate:
    """A share with Wilson's (1927) interval; undefined for a share of nothing."""
    if not of:
        return UNDEFINED
    low, high = proportion_confint(count, of, alpha=1 - LEVEL, method="wilson")
    return Estimate(count / of, max(float(low), 0.0), min(float(high), 1.0))


def sensitivity(label: np.ndarray, verdict: np.ndarray) -> Estimate:
    """Share of the persons with ALL whose verdict is ALL; persons of both classes do not count."""
    return proportion(int(verdict[label == 1].sum()), int((label == 1).sum()))


def specificity(label: np.ndarray, verdict: np.ndarray) -> Estimate:
    """Share of the healthy persons whose verdict is HEM; persons of both classes do not count."""
    return proportion(int((1 - verdict[label == 0]).sum()), int((label == 0).sum()))


def verdicts(people: People) -> dict[str, np.ndarray]:
    """Decide for each person, 1 (ALL) or 0 (HEM), by the ``mean`` probability and by the ``share`` called ALL."""
    return {"mean": decide(people.probability, THRESHOLD), "share": decide(people.share, THRESHOLD)}


def area(label: np.ndarray, score: np.ndarray) -> Estimate:
    """Area under the ROC curve over persons, by their scores; persons of both classes do not count.

    The interval is Newcombe's (2006, part 2, method 5). It holds the areas from which the observed one is at most 1.96
    standard errors away; the error is Hanley & McNeil's (1982) at the area in question, for classes of their mean size.
    Unlike DeLong's interval, it has a width for a few persons who are all ranked rightly.

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

    # At 0 and 1 the error is 0, so an observed 0 or 1 is a root of its own, which is not the limit.
    low = 0.0 if value == 0 else float(brentq(excess, 0, min(value, 1 - 1e-9)))
    high = 1.0 if value == 1 else float(brentq(excess, max(value, 1e-9), 1))
    return Estimate(value, low, high)
