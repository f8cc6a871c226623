"""The classifier in focus beyond its score: calibration, its members' agreement, subjects, thresholds."""

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from wen.evaluation.calibration import brier, expected_error
from wen.evaluation.metrics import confusion, recall, specificity
from wen.results import Classifier, Study

COST = 5  # a missed ALL weighs as much as this many false alarms, in the curve of costs


def calibration(study: Study) -> list[dict[str, Any]]:
    """Calibration of the classifier in focus and of its members."""
    focus = study.focus
    others = [study.single(member) for member in focus.members] if len(focus.members) > 1 else []
    return [
        {
            "id": classifier.id,
            "ece": expected_error(study.label, classifier.probability),
            "brier": brier(study.label, classifier.probability),
        }
        for classifier in (focus, *others)
    ]


def subjects(study: Study) -> pd.DataFrame:
    """Accuracy by subject: images, how many are right, and Wilson's 95% interval; the worst first."""
    right = study.cells.assign(right=study.right(study.focus))
    table = right.groupby(["subject", "label"]).right.agg(["size", "sum"]).reset_index()
    table["accuracy"] = table["sum"] / table["size"]
    table["low"], table["high"] = proportion_confint(table["sum"], table["size"], method="wilson")
    table = table.rename(columns={"size": "images", "sum": "right"})
    return table.sort_values(["accuracy", "images"], ascending=[True, False], kind="stable", ignore_index=True)


def thresholds(study: Study, classifier: Classifier) -> pd.DataFrame:
    """Sensitivity, specificity, accuracy and cost at 101 thresholds; cost counts a missed ALL `COST` times."""
    rows = []
    for threshold in np.linspace(0, 1, 101):
        c = confusion(study.label, classifier.probability, threshold)
        cost = (COST * c.fn + c.fp) / len(study.label)
        rows.append({"threshold": threshold, "sensitivity": recall(c), "specificity": specificity(c),
                     "accuracy": (c.tp + c.tn) / len(study.label), "cost": cost})  # fmt: skip
    return pd.DataFrame(rows)
