"""The classifier in focus in use: predictive values, decision thresholds and net benefit."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from wen.ensemble.temperature import scale
from wen.evaluation import decision
from wen.evaluation.metrics import THRESHOLD, accuracy, recall, specificity
from wen.figure_style import COLOURS, LINES, MARKERS
from wen.report.language import Text
from wen.study import Classifier, Study

MISSED = 5  # cost of a missed ALL, in false alarms
GRID = np.linspace(0, 1, 101)
"""Thresholds of the curves; the threshold of least cost is one of them."""


def measure(study: Study) -> dict[str, Any]:
    """Compute predictive values by prevalence, thresholds chosen on validation data, and the net benefit."""
    focus, params = study.focus, study.params.report
    label, probability = on_validation(focus)
    costs = decision.cost(decision.at_thresholds(label, probability, GRID), MISSED)
    chosen = {
        "half": THRESHOLD,
        "specificity": decision.threshold_at_specificity(label, probability, params.specificity),
        "cost": float(GRID[np.argmin(costs)]),
    }
    sensitivity, specific = decision.rates(study.label, focus.probability, study.unit, THRESHOLD)
    false_positive, false_negative = decision.complement(specific), decision.complement(sensitivity)
    odds = np.array([1 / (1 + MISSED)])
    benefit = decision.net_benefit(decision.at_thresholds(study.label, focus.probability, odds), odds)
    of_all = decision.net_benefit_of_all(study.label.mean(), odds)
    return {
        "missed": MISSED,
        "validation_images": len(label),
        "prevalence": float(study.label.mean()),
        "prevalences": [
            {
                "prevalence": prevalence,
                "ppv": decision.predictive_value(sensitivity, false_positive, prevalence)._asdict(),
                "npv": decision.predictive_value(specific, false_negative, 1 - prevalence)._asdict(),
            }
            for prevalence in params.prevalences
        ],
        "thresholds": {rule: _at(study, label, probability, threshold) for rule, threshold in chosen.items()},
        "net_benefit": {"threshold": float(odds[0]), "model": float(benefit[0]), "all": float(of_all[0])},
    }


def on_validation(classifier: Classifier) -> tuple[np.ndarray, np.ndarray]:
    """Pool the validation labels and probabilities of the members, each on the fold that it was not trained on.

    They are the probabilities of single members: those of the ensemble, a mean over members, would be less extreme.
    """
    members = classifier.members
    scaled = [
        scale(member.validation_probability, temperature)
        for member, temperature in zip(members, classifier.temperature, strict=True)
    ]
    return np.concatenate([member.validation_label for member in members]), np.concatenate(scaled)


def figures(study: Study, measured: dict[str, Any], t: Text) -> dict[str, Figure]:
    """Rates and cost at every threshold on the test set, and the decision curve."""
    return {"thresholds": _threshold_curves(study, measured, t), "benefit": _decision_curve(study, t)}


def _at(study: Study, label: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, Any]:
    """Sensitivity and specificity at a threshold, on validation data and on the test set, and the cost on test."""
    images = np.arange(len(label))
    test = decision.at_thresholds(study.label, study.focus.probability, np.array([threshold]))
    on_test = decision.rates(study.label, study.focus.probability, study.unit, threshold)
    on_validation = decision.rates(label, probability, images, threshold)
    return {
        "threshold": threshold,
        "validation": {"sensitivity": on_validation[0].value, "specificity": on_validation[1].value},
        "sensitivity": on_test[0]._asdict(),
        "specificity": on_test[1]._asdict(),
        "cost": float(decision.cost(test, MISSED)[0]) if np.isfinite(threshold) else np.nan,
    }


def _threshold_curves(study: Study, measured: dict[str, Any], t: Text) -> Figure:
    c = decision.at_thresholds(study.label, study.focus.probability, GRID)
    figure, (axes, below) = plt.subplots(2, 1, figsize=(4.2, 4.8), sharex=True, gridspec_kw={"height_ratios": [3, 2]})
    curves = (("axis.tpr", recall(c)), ("axis.specificity", specificity(c)), ("measure.accuracy", accuracy(c)))
    undefined = {None: "", 0: "axis.specificity", 1: "axis.tpr"}[study.absent_class]
    for k, (key, values) in enumerate(curves):
        if key != undefined:
            axes.plot(GRID, values, color=COLOURS[k], linestyle=LINES[k], label=t(key))
    below.plot(GRID, decision.cost(c, MISSED), color="black")
    for k, (rule, at) in enumerate(measured["thresholds"].items()):
        if np.isfinite(at["threshold"]):
            for panel in (axes, below):
                panel.axvline(at["threshold"], color="0.6", linewidth=0.8, zorder=0)
            below.plot(at["threshold"], at["cost"], MARKERS[k], color=COLOURS[k], label=t(f"threshold.{rule}.short"))
    for panel in (axes, below):
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1, handletextpad=0.4)
    axes.set(ylim=(-0.03, 1.03))
    below.set(xlabel=t("axis.threshold"), ylabel=t("axis.cost"), ylim=(0, None))
    return figure


def _decision_curve(study: Study, t: Text) -> Figure:
    thresholds = GRID[1:-1]
    c = decision.at_thresholds(study.label, study.focus.probability, thresholds)
    benefit = decision.net_benefit(c, thresholds)
    of_all = decision.net_benefit_of_all(study.label.mean(), thresholds)
    figure, axes = plt.subplots(figsize=(4.2, 3.8))
    axes.plot(thresholds, benefit, color=COLOURS[0], label=t("benefit.model"))
    axes.plot(thresholds, of_all, color=COLOURS[1], linestyle="--", label=t("benefit.all"))
    axes.axhline(0, color="0.4", linestyle=":", label=t("benefit.none"))
    highest = max(study.label.mean(), benefit.max(), 0.05)
    axes.set(xlabel=t("axis.odds"), ylabel=t("axis.benefit"), xlim=(0, 1), ylim=(-0.2 * highest, 1.05 * highest))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure
