"""The control: does any weighting of the members of an ensemble differ from their plain average?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wen.ensemble.combined import ensemble
from wen.evaluation.metrics import decide
from wen.evaluation.statistics import accuracy_difference, bonferroni, compare_two
from wen.study import Classifier, Study


def measure(study: Study, ensembles: Sequence[Classifier]) -> dict[str, Any]:
    """Compare every weighting of every ensemble with the plain average of the same members.

    Parameters
    ----------
    study : Study
    ensembles : sequence of Classifier

    Returns
    -------
    dict
        ``rows``, one for each ensemble and scheme, with p-values adjusted as a separate family, and the largest
        numbers among them. The average is computed here, so ``schemes`` need not contain ``uniform``.
    """
    rows = []
    for combined in ensembles:
        average = ensemble(combined.members, "uniform", study.params.calibration).probability
        right = (decide(average) == study.label).astype(np.int64)
        for scheme in study.params.schemes:
            if scheme != "uniform":
                rows.append(_compared(study, study.with_scheme(combined, scheme), average, right))
    for row, p in zip(rows, bonferroni([row["p"] for row in rows]), strict=True):
        row["p_adjusted"] = p
    return {
        "images": len(study.label),
        "changed": max((row["changed"] for row in rows), default=0),
        "largest": max((row["largest"] for row in rows), default=0.0),
        "p_adjusted": min((row["p_adjusted"] for row in rows), default=1.0),
        "rows": rows,
    }


def _compared(study: Study, weighted: Classifier, average: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    difference = accuracy_difference(study.right(weighted), right, study.unit)
    outcome = compare_two(study.right(weighted), right, study.unit, study.seed)
    return {
        "id": weighted.id,
        "changed": int((decide(weighted.probability) != decide(average)).sum()),
        "largest": float(np.abs(weighted.probability - average).max()),
        **difference.as_difference(),
        "test": outcome.name,
        "p": outcome.p,
    }
