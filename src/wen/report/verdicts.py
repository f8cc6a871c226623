"""What the tests that decide a hypothesis say of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wen.evaluation.runs import compare_runs
from wen.evaluation.statistics import ALPHA, accuracy_difference
from wen.study import Study

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not_supported", "undecided"
Test = dict[str, Any]


def verdict(key: str, tests: Sequence[Test], study: Study) -> dict[str, Any]:
    """Decide a hypothesis from those of its tests that decide.

    ``reach`` is how far the limits of its intervals would be from 0 if all decided alike. If that is not below the
    margin, this test set cannot refute the hypothesis by showing that there is no difference.
    """
    deciding = [test for test in tests if test["hypothesis"] == key and test["decides"]]
    if not deciding:
        return {"verdict": UNDECIDED, "p_adjusted": None, "smallest": None, "reach": None, "cannot_refute": True}
    margin = study.params.report.margin
    smallest, reach = [test["smallest"] for test in deciding], _reach(key, len(deciding), study)
    return {
        "verdict": _verdict(key, deciding, margin),
        "p_adjusted": (max if key == "H3" else min)(test["p_adjusted"] for test in deciding),
        "smallest": None if None in smallest else max(smallest),
        "reach": reach,
        "cannot_refute": reach >= margin,
    }


def _verdict(key: str, deciding: Sequence[Test], margin: float) -> str:
    """H1 and H4 say that some differ, H2 that one is better, H3 that one is better than every other."""
    found = [test["p_adjusted"] < ALPHA and (test["difference"] > 0 or key in ("H1", "H4")) for test in deciding]
    supported, refuted = {
        "H1": (any(found), all(max(-test["low"], test["high"]) < margin for test in deciding)),
        "H2": (any(found), all(test["high"] < margin for test in deciding)),
        "H3": (all(found), any(test.get("upper", 1.0) < margin for test in deciding)),
        "H4": (any(found), all(test.get("reach", 1.0) < margin for test in deciding)),
    }[key]
    return SUPPORTED if supported else NOT_SUPPORTED if refuted else UNDECIDED


def _reach(key: str, comparisons: int, study: Study) -> float:
    """How far from 0 the limits of a hypothesis' intervals would be if all classifiers decided alike."""
    alike = np.ones(len(study.unit), dtype=np.int64)
    if key == "H1":
        rates, folds = len(study.params.grid), len(study.params.folds)
        return compare_runs(np.broadcast_to(alike, (rates, folds, len(alike))), study.unit).high
    return accuracy_difference(alike, alike, study.unit, ALPHA / comparisons if key == "H3" else ALPHA).high
