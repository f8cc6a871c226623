"""Fit the classical classifiers of published systems, scikit-learn pipelines on pooled features."""

from typing import Any

from wen.members.fitted import content, probability
from wen.systems.fold import Training
from wen.systems.system import Model


def fit(estimator: Any, networks: list[str], training: Training) -> Model:
    """Fit a scikit-learn classifier to the concatenated pooled features of several networks."""
    fitted = estimator.fit(training.pooled(networks), training.label)
    return Model(lambda cells: probability(fitted, cells.pooled(networks)), content(fitted), "skops")
