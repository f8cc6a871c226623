"""ROC and precision-recall curves, equal to scikit-learn's, whose import would take a fifth of the report's time."""

import numpy as np


def roc(label: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the corners of the ROC curve.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
        Of the positive class.

    Returns
    -------
    tuple of 2 ndarrays of shape (corners,)
        False and true positive rate, from (0, 0) to (1, 1); a rate is 0 throughout if its class is absent.
    """
    fp, tp = _ranked(label, probability)
    corner = np.ones(len(fp), dtype=bool)
    corner[1:-1] = (np.diff(fp, 2) != 0) | (np.diff(tp, 2) != 0)
    fpr, tpr = (np.append(0, count[corner]) / max(count[-1], 1) for count in (fp, tp))
    return fpr, tpr


def precision_recall(label: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute precision and recall at every threshold, in ascending order; the last point is precision 1, recall 0.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive).
    probability : ndarray of shape (n,)
        Of the positive class.

    Returns
    -------
    tuple of 2 ndarrays of shape (thresholds + 1,)
        Recall is 0 throughout if there is no ALL.
    """
    fp, tp = _ranked(label, probability)
    return np.append((tp / (tp + fp))[::-1], 1.0), np.append((tp / max(tp[-1], 1))[::-1], 0.0)


def _ranked(label: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the HEM and the ALL at or above each distinct probability, from the highest to the lowest."""
    order = np.argsort(-probability)
    last = np.flatnonzero(np.diff(probability[order], append=np.nan))  # last image of each group of equal probabilities
    tp = np.cumsum(label[order])[last]
    return last + 1 - tp, tp
