"""The classifier in focus beyond its score: calibration and thresholds."""

from typing import Any

import numpy as np
import pandas as pd

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


def thresholds(study: Study, classifier: Classifier) -> pd.DataFrame:
    """Sensitivity, specificity, accuracy and cost at 101 thresholds; cost counts a missed ALL `COST` times."""
    rows = []
    for threshold in np.linspace(0, 1, 101):
        c = confusion(study.label, classifier.probability, threshold)
        cost = (COST * c.fn + c.fp) / len(study.label)
        rows.append({"threshold": threshold, "sensitivity": recall(c), "specificity": specificity(c),
                     "accuracy": (c.tp + c.tn) / len(study.label), "cost": cost})  # fmt: skip
    return pd.DataFrame(rows)
