"""The study's measures of a classifier on labelled images; the positive class is ALL = 1.

Most are from sections 2.7, 2.8 (as scores M_k) and 2.10 of the thesis; the others are common in papers on C-NMC.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

THRESHOLD = 0.5
CLIP = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [CLIP, 1 - CLIP] before a logarithm or a logit, as in scikit-learn's ``log_loss``."""
UNDEFINED_WITHOUT: dict[int | None, tuple[str, ...]] = {
    None: (),
    0: ("specificity", "balanced_accuracy"),
    1: ("recall", "balanced_accuracy"),
}
"""Measures of decisions that are undefined on images without a class."""


class Confusion(NamedTuple):
    """Counts of decisions: true and false, negative and positive.

    Numbers, or arrays of them (of resampled test sets): the measures below take both.
    """

    tn: Any
    fp: Any
    fn: Any
    tp: Any


def decide(probability: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Return the class of each image by (2.22).

    Parameters
    ----------
    probability : ndarray
        Of the positive class, in [0, 1].
    threshold : float
        Lowest probability that is called positive.

    Returns
    -------
    ndarray of the same shape
        1 (positive) or 0 (negative).
    """
    return (np.asarray(probability) >= threshold).astype(np.int64)


def confusion(label: np.ndarray, probability: np.ndarray, threshold: float = THRESHOLD) -> Confusion:
    """Count the decisions at the threshold.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
        Of the positive class, in [0, 1].
    """
    pair = 2 * np.asarray(label, dtype=np.int64) + decide(probability, threshold)
    tn, fp, fn, tp = np.bincount(pair, minlength=4).tolist()
    return Confusion(tn, fp, fn, tp)


def accuracy(c: Confusion) -> float:
    """(TP + TN) / all (2.25), (2.30)."""
    return _ratio(c.tp + c.tn, sum(c))


def precision(c: Confusion) -> float:
    """TP / (TP + FP) (2.24), (2.31); 0 if nothing was called ALL."""
    return _ratio(c.tp, c.tp + c.fp)


def recall(c: Confusion) -> float:
    """TP / (TP + FN) (2.24), (2.32), the sensitivity; 0 if there is no ALL."""
    return _ratio(c.tp, c.tp + c.fn)


def specificity(c: Confusion) -> float:
    """TN / (TN + FP); 0 if there is no negative image."""
    return _ratio(c.tn, c.tn + c.fp)


def f1(c: Confusion) -> float:
    """Harmonic mean of precision and recall (2.23), (2.33); 0 if both are 0."""
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def kappa(c: Confusion) -> float:
    """Cohen's kappa (2.27) to (2.29), (2.34) to (2.36); 0 if the agreement expected by chance is 1."""
    n = sum(c)
    chance = _ratio((c.tp + c.fn) * (c.tp + c.fp) + (c.fp + c.tn) * (c.fn + c.tn), n * n)
    return _ratio(accuracy(c) - chance, 1 - chance)


def balanced_accuracy(c: Confusion) -> float:
    """Mean of sensitivity and specificity."""
    return (recall(c) + specificity(c)) / 2


def weighted_f1(c: Confusion) -> float:
    """F1 of each class weighted by its number of images, the C-NMC challenge's measure."""
    hem = Confusion(tn=c.tp, fp=c.fn, fn=c.fp, tp=c.tn)
    return _ratio((c.tp + c.fn) * f1(c) + (c.tn + c.fp) * f1(hem), sum(c))


def auc(label: np.ndarray, probability: np.ndarray) -> float:
    """Area under the ROC curve: how often an ALL outranks a HEM; ties count half.

    NaN if a class is absent. (Hanley & McNeil 1982; the Mann-Whitney statistic.)
    """
    positive = np.asarray(label) == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return math.nan
    _, level, count = np.unique(probability, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(count)
    rank = (last_rank - (count - 1) / 2)[level]
    u = rank[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def evaluate(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Compute every measure of a classifier at the threshold 0.5: one row of the result table.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
        Of the positive class, in [0, 1].

    Returns
    -------
    dict
        Always the same keys in the same order, the columns of ``dvc metrics show``. AUC is NaN if a class is absent.
    """
    c = confusion(label, probability)
    row = {name: measure(c) for name, measure in OF_DECISIONS.items()}
    row["auc"] = auc(label, probability)
    return {name: row[name] for name in MEASURES} | c._asdict()


def absent_class(label: np.ndarray) -> int | None:
    """Return the class that no image has, 0 or 1; None if both are there."""
    return next((kind for kind in (0, 1) if not (np.asarray(label) == kind).any()), None)


def row_of(label: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """Return the row of a classifier in the result table and in metrics/; None where a measure is undefined.

    `evaluate` has 0 for the recall and the specificity of a class that no image has, so that champions can be chosen.
    """
    undefined = UNDEFINED_WITHOUT[absent_class(label)]
    return {
        name: value if math.isfinite(value) and name not in undefined else None
        for name, value in evaluate(label, probability).items()
    }


def _ratio(numerator: Any, denominator: Any) -> Any:
    if isinstance(denominator, np.ndarray):
        return np.divide(numerator, denominator, out=np.zeros(denominator.shape), where=denominator != 0)
    return numerator / denominator if denominator else 0.0


OF_DECISIONS: dict[str, Callable[[Confusion], Any]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "kappa": kappa,
    "specificity": specificity,
    "balanced_accuracy": balanced_accuracy,
    "weighted_f1": weighted_f1,
}
MEASURES = ("accuracy", "precision", "recall", "f1", "kappa", "auc", "specificity", "balanced_accuracy", "weighted_f1")
