"""Verdicts on the hypotheses: supported, not supported, undecided or not tested."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wen.evaluation.runs import compare_runs
from wen.evaluation.statistics import ALPHA, accuracy_difference
from wen.study import Study

SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_TESTED = "supported", "not_supported", "undecided", "not_tested"
Test = dict[str, Any]


def verdict(key: str, tests: Sequence[Test], study: Study) -> dict[str, Any]:
    """Decide a hypothesis from its deciding tests.

    Parameters
    ----------
    key : str
        ``H1``, ``H2``, ``H3`` or ``H4``.
    tests : sequence of dict
        As `wen.report.hypotheses.Hypotheses.tests` returns them.
    study : Study

    Returns
    -------
    dict
        ``verdict``; ``p_adjusted``, the p-value that decides, which for H2 and H3 is 1 if the difference has the other
        direction; ``smallest``, the difference that every deciding test detects with 80% power; ``reach``, the largest
        distance of a confidence limit from 0 if all classifiers made the same decisions; and ``cannot_refute``, whether
        ``reach`` is at least the margin: then equal decisions refute nothing, and
        only an ensemble that is less accurate can (H2, H3). Not tested without a deciding test, or on a single unit.
    """
    deciding = [test for test in tests if test["hypothesis"] == key and test["decides"]]
    if not (deciding and study.is_testable):
        return {"verdict": NOT_TESTED, "p_adjusted": None, "smallest": None, "reach": None, "cannot_refute": True}
    margin = study.params.report.margin
    smallest = [test["smallest"] for test in deciding]
    reach = _limit_without_difference(key, len(deciding), study)
    return {
        "verdict": _verdict(key, deciding, margin),
        "p_adjusted": _deciding_p(key, deciding),
        "smallest": None if None in smallest else max(smallest),
        "reach": reach,
        "cannot_refute": reach >= margin,
    }


def _verdict(key: str, deciding: Sequence[Test], margin: float) -> str:
    """Decide whether some differ (H1, H4), one is better (H2), or one is better than every other (H3).

    A hypothesis is refuted if the confidence intervals exclude a difference as large as the margin.
    """
    significant = [test["p_adjusted"] < ALPHA and (test["difference"] > 0 or key in ("H1", "H4")) for test in deciding]
    supported, refuted = {
        "H1": (any(significant), all(max(-test["low"], test["high"]) < margin for test in deciding)),
        "H2": (any(significant), all(test["high"] < margin for test in deciding)),
        "H3": (all(significant), any(test.get("upper", 1.0) < margin for test in deciding)),
        "H4": (any(significant), all(test.get("reach", 1.0) < margin for test in deciding)),
    }[key]
    return SUPPORTED if supported else NOT_SUPPORTED if refuted else UNDECIDED


def _deciding_p(key: str, deciding: Sequence[Test]) -> float:
    """Return the smallest p, but for H3 the largest. A test in the other direction is no evidence for H2 and H3."""
    directed = key in ("H2", "H3")
    found = [1.0 if directed and test["difference"] <= 0 else float(test["p_adjusted"]) for test in deciding]
    return max(found) if key == "H3" else min(found)


def _limit_without_difference(key: str, comparisons: int, study: Study) -> float:
    """Return the upper confidence limit of a difference between classifiers that are right on the same images."""
    right = np.ones(len(study.unit), dtype=np.int64)
    if key == "H1":
        rates, folds = len(study.params.grid), len(study.params.folds)
        return compare_runs(np.broadcast_to(right, (rates, folds, len(right))), study.unit).high
    return accuracy_difference(right, right, study.unit, ALPHA / comparisons if key == "H3" else ALPHA).high
