"""The classifier in focus in use: predictive values, thresholds, net benefit."""

from typing import Any

import numpy as np

from recomputed.shares import UNDEFINED, Estimate, share
from recomputed.source import Source

MISSED = 5


def decisions(source: Source) -> dict[str, Any]:
    params, focus = source.params.report, source.focus
    label = np.concatenate([model["validation_label"] for model in focus.members])
    probability = np.concatenate([model["validation_probability"] for model in focus.members])
    grid = np.linspace(0, 1, 101)
    costs = [cost(label, probability, threshold) for threshold in grid]
    chosen = {
        "half": 0.5, "specificity": at_specificity(label, probability, params.specificity),
        "cost": grid[int(np.argmin(costs))],
    }  # fmt: skip
    sensitivity, specificity = rates(source, source.label, focus.probability, 0.5, source.unit)
    odds = 1 / (1 + MISSED)
    called = focus.probability >= odds
    benefit = (called & (source.label == 1)).mean() - (called & (source.label == 0)).mean() * odds / (1 - odds)
    prevalence = source.label.mean()
    return {
        "missed": MISSED, "validation_images": len(label), "prevalence": prevalence,
        "prevalences": [
            {
                "prevalence": one, "ppv": predictive(sensitivity, specificity, one),
                "npv": predictive(specificity, sensitivity, 1 - one),
            }
            for one in params.prevalences
        ],
        "thresholds": {rule: at(source, label, probability, threshold) for rule, threshold in chosen.items()},
        "net_benefit": {
            "threshold": odds, "model": benefit, "all": prevalence - (1 - prevalence) * odds / (1 - odds)
        },
    }  # fmt: skip


def cost(label: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    called = probability >= threshold
    return float((MISSED * (~called & (label == 1)).sum() + (called & (label == 0)).sum()) / len(label))


def at_specificity(label: np.ndarray, probability: np.ndarray, target: float) -> float:
    """The lowest threshold with that specificity: a probability, or just above the highest."""
    levels = sorted({*probability.tolist(), np.nextafter(probability.max(), 2)})
    return next(level for level in levels if (probability[label == 0] < level).mean() >= target)


def rates(
    source: Source, label: np.ndarray, probability: np.ndarray, threshold: float, unit: np.ndarray
) -> tuple[Estimate, Estimate]:
    right = (probability >= threshold) == label
    one, other = (share(source, right[label == kind], unit[label == kind]) for kind in (1, 0))
    return one, other


def at(source: Source, label: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, Any]:
    on_test = rates(source, source.label, source.focus.probability, threshold, source.unit)
    on_validation = rates(source, label, probability, threshold, np.arange(len(label)))
    return {
        "threshold": threshold,
        "validation": {"sensitivity": on_validation[0]["value"], "specificity": on_validation[1]["value"]},
        "sensitivity": on_test[0], "specificity": on_test[1],
        "cost": cost(source.label, source.focus.probability, threshold),
    }  # fmt: skip


def predictive(found: Any, other: Any, prevalence: float) -> Estimate:
    """Bayes; the interval of false / found by Donner & Zou's (2012) recovery of variances for a ratio."""
    f, fl, fu = 1 - other["value"], 1 - other["high"], 1 - other["low"]
    d, dl, du = found["value"], found["low"], found["high"]
    if d == f == 0:
        return UNDEFINED

    def limit(of_f: float, of_d: float, sign: int) -> float:
        above, below = of_f * (2 * f - of_f), of_d * (2 * d - of_d)
        if below == 0:
            return np.inf
        return float((f * d + sign * np.sqrt(max((f * d) ** 2 - above * below, 0))) / below)

    low, high = limit(fl, du, -1), limit(fu, dl, 1)
    odds = (1 - prevalence) / prevalence
    value, least, most = (1 / (1 + odds * ratio) for ratio in (f / d if d else np.inf, high, low))
    return {"value": value, "low": least, "high": most}
