"""Weighting schemes of WEN: functions that compute a model's score M_k from its validation predictions.

A scheme takes the labels and the probabilities of the validation fold. All schemes are listed in `SCHEMES`;
``schemes`` in params.yaml selects from them.
"""

from collections.abc import Callable

import numpy as np

from wen.errors import WenError
from wen.evaluation import metrics

Scheme = Callable[[np.ndarray, np.ndarray], float]


def accuracy(label: np.ndarray, probability: np.ndarray) -> float:
    """M_k is the accuracy (2.25)."""
    return metrics.accuracy(metrics.confusion(label, probability))


def f1(label: np.ndarray, probability: np.ndarray) -> float:
    """M_k is the F1 score of the positive class (2.23)."""
    return metrics.f1(metrics.confusion(label, probability))


def kappa(label: np.ndarray, probability: np.ndarray) -> float:
    """M_k is Cohen's kappa (2.26), by (2.27) to (2.29)."""
    return metrics.kappa(metrics.confusion(label, probability))


def auc(label: np.ndarray, probability: np.ndarray) -> float:
    """M_k is the area under the ROC curve, as in the third scheme of Mondal et al. (2021)."""
    return metrics.auc(label, probability)


def uniform(label: np.ndarray, probability: np.ndarray) -> float:
    """M_k is 1, so that the ensemble is the unweighted mean. This is the control of the other schemes."""
    return 1.0


SCHEMES: dict[str, Scheme] = {
    "accuracy": accuracy,
    "f1": f1,
    "kappa": kappa,
    "auc": auc,
    "uniform": uniform,
}


def scheme(name: str) -> Scheme:
    """Return a scheme by its name in params.yaml; raise `WenError` if there is none of that name."""
    if name not in SCHEMES:
        raise WenError(f"params.yaml: schemes: unknown scheme {name!r}; choose from {', '.join(SCHEMES)}")
    return SCHEMES[name]
