"""The values that each figure draws, recomputed: which columns of its CSV contain them, and which values are valid."""

import csv
from importlib.resources import files
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score, precision_recall_curve, roc_curve

from recomputed.decisions import cost
from recomputed.source import Classifier, Source

Shown = tuple[list[str], list[Any]]
GRID = np.linspace(0, 1, 101)


def shown(source: Source, found: dict[str, Any]) -> dict[str, Shown]:
    """By each figure its measured columns, ``x`` and ``y`` or ``value``, and every value that may stand there."""
    focus, label, every = source.focus, source.label, list(source.classifiers.values())
    rows = [source.row(one) for one in every]
    accuracies, ways = [row["accuracy"] for row in rows], found["repeats"]["ways"]
    of_splits = [
        value
        for way in ways for row in way["classifiers"]
        for value in (*row["accuracies"], row["low"], row["median"], row["high"], row["study"])
    ]  # fmt: skip
    people, models = found["people"]["by_subject"], found["champions"]["models"]
    named = [row for row in people if row["label"] is not None]
    gains = [row["gain_over_mean"] for row in found["agreement"]]
    over_subjects = roc_curve([row["label"] for row in named], [row["probability"] for row in named])
    return {
        "differences": (["x"], [0, *(100 * t[key] for t in found["tests"] for key in ("low", "difference", "high"))]),
        "forest": (["x"], [*accuracies, *chain(*(limits["accuracy"] for limits in found["intervals"].values()))]),
        "rates": (["y"], [*accuracies, *_averages(source)]),
        "schemes": (["x"], accuracies),
        "roc": (["x", "y"], [*chain(*(_roc(label, one) for one in every)), *_band(source), *GRID]),
        "pr": (["x", "y"], [*chain(*(chain(*precision_recall_curve(label, one.probability)[:2]) for one in every))]),
        "confusion": (["value"], [value for row in rows for value in _of_class(row)]),
        "learning": (["y"], _curves(source)),
        "published": (["x"], [0, 1, *_published()]),
        "agreement": (["value", "y"], [*_kappas(source), *gains, 0, 1, 2]),
        "champions": (["y"], [model[part]["accuracy"] for model in models for part in ("validation", "centred")]),
        "subjects": (["y"], [row[key] for row in people for key in ("accuracy", "low", "high")]),
        "people_roc": (["x", "y"], [*_roc(label, focus), *chain(*over_subjects[:2]), *_at_half(source, named)]),
        "calibration": (["y"], [0, 1, *_calibration(source, found)]),
        "thresholds": (["y"], _thresholds(source, found)),
        "benefit": (["y"], _benefit(source)),
        "repeats": (["x"], of_splits),
        "leak_mechanism": (["x"], of_splits),
    }  # fmt: skip


def _averages(source: Source) -> list[float]:
    found = []
    for average in source.averages().values():
        mean, std = average["mean"]["accuracy"], average["std"]["accuracy"]
        found += [mean, mean - std, mean + std]
    return found


def _roc(label: np.ndarray, classifier: Classifier) -> list[float]:
    fpr, tpr, _ = roc_curve(label, classifier.probability, drop_intermediate=False)
    return [*fpr, *tpr]


def _band(source: Source) -> list[float]:
    """Limits of 95% of 300 resampled curves, with the study's draws, at each false positive rate."""
    units, probability = source.unit.max() + 1, source.focus.probability
    drawn = np.random.default_rng(source.seed("bands")).multinomial(units, np.full(units, 1 / units), size=300)
    curves = []
    for counts in drawn[:, source.unit]:
        if len(set(source.label[counts > 0].tolist())) == 2:
            fpr, tpr, _ = roc_curve(source.label, probability, sample_weight=counts, drop_intermediate=False)
            curves.append(np.interp(GRID, fpr, tpr))
    return [*chain(*np.quantile(curves, [0.025, 0.975], axis=0))]


def _of_class(row: dict[str, float]) -> list[float]:
    negatives, positives = row["tn"] + row["fp"], row["fn"] + row["tp"]
    return [row["tn"] / negatives, row["fp"] / negatives, row["fn"] / positives, row["tp"] / positives]


def _curves(source: Source) -> list[float]:
    paths = (source.root / "plots/training").glob("*/*/plots/metrics/*/*.tsv")
    return [value for path in paths for value in pd.read_csv(path, sep="\t").iloc[:, 1]]


def _published() -> list[float]:
    with files("wen.report").joinpath("published.csv").open(encoding="utf-8") as file:
        return [float(row[key]) for row in csv.DictReader(file) for key in row if key in PLOTTED and row[key]]


PLOTTED = ("accuracy", "weighted_f1", "f1", "auc")


def _kappas(source: Source) -> list[float]:
    called = [model["test_probability"] >= 0.5 for model in source.focus.members]
    return [cohen_kappa_score(one, other) for one in called for other in called]


def _at_half(source: Source, people: list[dict[str, Any]]) -> list[float]:
    row = source.row(source.focus)
    found = [0, 1, 1 - row["specificity"], row["recall"]]
    for kind in (0, 1):
        called = [one["probability"] >= 0.5 for one in people if one["label"] == kind]
        found.append(float(np.mean(called)))
    return found


def _calibration(source: Source, found: dict[str, Any]) -> list[float]:
    of_bins = [bin[key] for bin in found["calibration"]["bins"] for key in ("predicted", "observed", "low", "high")]
    return [*of_bins, *np.histogram(source.focus.probability, 10, (0, 1))[0]]


def _thresholds(source: Source, found: dict[str, Any]) -> list[float]:
    label, probability = source.label, source.focus.probability
    values = [at["cost"] for at in found["decisions"]["thresholds"].values()]
    for threshold in GRID:
        right = (probability >= threshold) == label
        values += [right[label == 1].mean(), right[label == 0].mean(), right.mean()]
        values.append(cost(label, probability, threshold))
    return values


def _benefit(source: Source) -> list[float]:
    found, label = [], source.label
    for t in GRID[1:-1]:
        odds = t / (1 - t)
        for called in (source.focus.probability >= t, np.ones(len(label), bool)):
            found.append((called & (label == 1)).mean() - odds * (called & (label == 0)).mean())
    return found
