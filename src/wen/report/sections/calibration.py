"""Calibration of the classifier in focus and of its members."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from wen.config.seeds import seed_for
from wen.ensemble.combined import combined, temperatures
from wen.evaluation.calibration import (
    BINS,
    bin_of,
    brier,
    calibrated_errors,
    expected_error,
    log_loss,
    recalibration,
    reliability,
)
from wen.evaluation.resampling import interval
from wen.figure_style import COLOURS
from wen.report.language import Text
from wen.study import Classifier, Study

DRAWS = 1000  # simulated test sets, which give the calibration error of a perfectly calibrated model


def measure(study: Study) -> dict[str, Any]:
    """Compute the calibration of the classifier in focus and of its members, and the effect of temperature scaling."""
    focus = study.focus
    members = [study.single(member) for member in focus.members] if focus.kind != "single" else []
    classifiers = [focus, *members]
    seed = seed_for(study.params.seed, what="calibrated")
    label, unit = study.label, study.unit
    errors = calibrated_errors(np.stack([classifier.probability for classifier in classifiers]), unit, DRAWS, seed)
    bins = reliability(label, focus.probability, unit)
    return {
        "draws": DRAWS,
        "models": [_of_model(label, unit, *pair) for pair in zip(classifiers, errors, strict=True)],
        "bins": [bin._asdict() for bin in bins],
        "temperature": _temperature(study, focus),
    }


def figures(study: Study, measured: dict[str, Any], t: Text) -> dict[str, Figure]:
    """Reliability diagram of the classifier in focus, above a histogram of its probabilities."""
    figure, (axes, below) = plt.subplots(2, 1, figsize=(4.2, 4.6), sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    bins = measured["bins"]
    predicted, observed, low, high = (
        np.array([bin[key] for bin in bins]) for key in ("predicted", "observed", "low", "high")
    )
    axes.errorbar(predicted, observed, [observed - low, high - observed], fmt="o", color=COLOURS[0], capsize=2)
    axes.set(ylabel=t("axis.observed"), ylim=(-0.03, 1.03))
    images = np.bincount(bin_of(study.focus.probability), minlength=BINS)
    below.bar(np.arange(BINS) / BINS, images, 1 / BINS, align="edge", color="0.6", edgecolor="white")
    below.set(xlabel=t("axis.predicted"), ylabel=t("axis.images"), xlim=(-0.03, 1.03))
    return {"calibration": figure}


def _of_model(label: np.ndarray, unit: np.ndarray, classifier: Classifier, errors: np.ndarray) -> dict[str, Any]:
    fit = recalibration(label, classifier.probability, unit)
    low, high = interval(errors)
    return {
        "id": classifier.id,
        **_scores(label, classifier.probability),
        "calibrated": {"value": float(errors.mean()), "low": low, "high": high},
        **{name: estimate._asdict() for name, estimate in fit._asdict().items()},
    }


def _scores(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    return {
        "ece": expected_error(label, probability),
        "log_loss": log_loss(label, probability),
        "brier": brier(label, probability),
    }


def _temperature(study: Study, focus: Classifier) -> dict[str, Any]:
    """Scores of the classifier in focus ``without`` and ``with`` temperature scaling, and which is ``applied``."""
    probabilities = np.stack([member.test_probability for member in focus.members])
    fitted = temperatures(focus.members)
    scaled = {"without": np.ones(len(fitted)), "with": fitted}
    return {
        "applied": focus.kind != "single" and study.params.calibration == "temperature",
        "members": {member.name: float(value) for member, value in zip(focus.members, fitted, strict=True)},
        **{
            name: _scores(study.label, combined(focus.weight, temperature, probabilities))
            for name, temperature in scaled.items()
        },
    }  # fmt: skip
