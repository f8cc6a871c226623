"""The classifier in focus by subject."""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from recomputed.shares import UNDEFINED, Estimate
from recomputed.source import Source


def people(source: Source) -> dict[str, Any]:
    names = sorted(source.cells.subject.unique(), key=str)
    rows = [of_person(source, name) for name in names]
    one_class = [row for row in rows if row["label"] is not None]
    accuracy = np.array([row["accuracy"] for row in rows])
    mean: Estimate = {"value": accuracy.mean(), "low": None, "high": None}
    if len(rows) > 1 and np.ptp(accuracy):
        low, high = t.interval(0.95, len(rows) - 1, accuracy.mean(), accuracy.std(ddof=1) / np.sqrt(len(rows)))
        mean |= {"low": max(low, 0), "high": min(high, 1)}
    return {
        "id": source.focus.id, "subjects": len(rows),
        "mixed": [str(name) for name, row in zip(names, rows, strict=True) if row["label"] is None], "accuracy": mean,
        "verdicts": {
            way: {
                "right": sum(row["verdict_right"][way] for row in one_class), "subjects": len(one_class),
                "sensitivity": of_class(one_class, way, 1), "specificity": of_class(one_class, way, 0),
            }
            for way in ("mean", "share")
        },
        "auc": area_over(one_class),
        "by_subject": sorted(rows, key=lambda row: (row["accuracy"], -row["images"])),
    }  # fmt: skip


def of_person(source: Source, name: Any) -> dict[str, Any]:
    inside = (source.cells.subject == name).to_numpy()
    label, probability = source.label[inside], source.focus.probability[inside]
    called, right = probability >= 0.5, ((probability >= 0.5) == label).sum()
    kind = int(label[0]) if len(set(label.tolist())) == 1 else None
    low, high = proportion_confint(right, len(label), method="wilson")
    verdicts = {"mean": probability.mean() >= 0.5, "share": called.mean() >= 0.5}
    correct = {way: None if kind is None else bool(verdict == kind) for way, verdict in verdicts.items()}
    return {
        "subject": str(name), "label": kind, "images": len(label), "right": int(right),
        "accuracy": right / len(label), "low": max(low, 0), "high": min(high, 1),
        "probability": probability.mean(), "called": called.mean(), "verdict_right": correct,
        "misread": False in correct.values(),
    }  # fmt: skip


def of_class(rows: list[dict[str, Any]], way: str, label: int) -> Estimate:
    right = [row["verdict_right"][way] for row in rows if row["label"] == label]
    if not right:
        return UNDEFINED
    low, high = proportion_confint(sum(right), len(right), method="wilson")
    return {"value": sum(right) / len(right), "low": max(low, 0), "high": min(high, 1)}


def area_over(rows: list[dict[str, Any]]) -> Estimate:
    """Area over subjects, with Newcombe's (2006) method 5."""
    label = [row["label"] for row in rows]
    if len(set(label)) < 2:
        return UNDEFINED
    value = float(roc_auc_score(label, [row["probability"] for row in rows]))
    m, n = sum(label), len(label) - sum(label)

    def far(true: float) -> float:
        """Squared distance in standard errors, less 1.96 squared, times the variance."""
        half = (m + n) / 2 - 1
        variance = true * (1 - true) / (m * n) * (1 + half * (1 - true) / (2 - true) + half * true / (1 + true))
        return float((value - true) ** 2 - norm.isf(0.025) ** 2 * variance)

    low = brentq(far, 0, value - 1e-9, xtol=1e-13) if value > 0 else 0.0
    high = brentq(far, value + 1e-9, 1, xtol=1e-13) if value < 1 else 1.0
    return {"value": value, "low": low, "high": high}
