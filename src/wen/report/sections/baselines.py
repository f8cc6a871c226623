"""The gain of the classifier in focus over baselines: the majority class and classical classifiers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wen.ensemble.combined import ensemble
from wen.evaluation.metrics import decide, evaluate
from wen.evaluation.proportion import Estimate
from wen.evaluation.statistics import (
    ALPHA,
    Outcome,
    accuracy_difference,
    auc_difference,
    bonferroni,
    compare_two,
)
from wen.report.language import Text
from wen.study import Classifier, Study, defined

MAJORITY = "majority"
MAJORITY_AREA = 0.5  # under the ROC curve of a classifier with one probability for all images
MEASURES = ("accuracy", "auc")
ADDS, WORSE, NO_ACCURACY, NOTHING = "adds", "worse", "no_accuracy", "nothing"  # values of ``verdict``


def measure(study: Study) -> dict[str, Any]:
    """Compare the classifier in focus with every baseline.

    Returns
    -------
    dict
        ``headline``, the id of the classifier in focus; ``networks``, the ids of the network classifiers that the page
        lists with the baselines; ``majority``, the more frequent class among the development images (1 is the
        positive) and its share; ``baselines``; and ``best``, the id of the one with the highest test accuracy. Each
        baseline has its ``accuracy`` and ``auc`` on the test set, the ``mean`` and ``std`` of both over its fold
        models, and the ``gain`` of the headline over it in both: ``difference``, 95% interval, ``test``, ``p``, and
        ``p_adjusted``, corrected over the baselines. Its ``verdict`` is that the headline ``adds`` accuracy, is
        ``worse``, adds ``no_accuracy`` significantly although the AUCs differ, or adds ``nothing`` significantly.
        None is undefined.
    """
    share = float(np.concatenate([member.validation_label for member in _folds(study)]).mean())
    rows = [_row(study, baseline) for baseline in _baselines(study, share)]
    for name in MEASURES:
        gains = [row["gain"][name] for row in rows if row["gain"][name]]
        for gain, p in zip(gains, bonferroni([gain["p"] for gain in gains]) if gains else [], strict=True):
            gain["p_adjusted"] = p
    for row in rows:
        row["verdict"] = _verdict(**row["gain"])
    return {
        "headline": study.focus.id,
        "networks": list(dict.fromkeys(classifier.id for classifier in _networks(study))),
        "majority": {"label": int(decide(np.array(share))), "share": max(share, 1 - share)},
        "baselines": rows,
        "best": max(rows, key=lambda row: (row["accuracy"], row["auc"] or 0.0))["id"],
    }


def figures(study: Study, measured: dict[str, Any], t: Text) -> dict[str, Figure]:
    """Draw no figure; the section has a table."""
    return {}


@dataclass(frozen=True)
class _Baseline:
    id: str
    probability: np.ndarray
    averages: dict[str, dict[Any, Any]] | None
    """``mean`` and ``std`` of the measures of its fold models; None for the majority class, which has no models."""


def _baselines(study: Study, share: float) -> Iterator[_Baseline]:
    """Yield the majority class, and the unweighted average of each classical baseline's fold models."""
    # The share of positives as the probability of every image: it is on the majority's side of the threshold.
    yield _Baseline(MAJORITY, np.full(len(study.label), share), None)
    for recipe, members in study.baselines.items():
        yield _Baseline(recipe, ensemble(members, "uniform", "none").probability, study.averages[recipe])


def _row(study: Study, baseline: _Baseline) -> dict[str, Any]:
    row = evaluate(study.label, baseline.probability)
    averages = baseline.averages or {}
    return {
        "id": baseline.id,
        **{name: defined(row[name]) for name in MEASURES},
        **{
            kind: {name: defined(averages[kind][name]) for name in MEASURES} if averages else None
            for kind in ("mean", "std")
        },
        "gain": {
            "accuracy": _gain(*_in_accuracy(study, baseline.probability)),
            "auc": _gain(*_in_area(study, baseline.probability)) if study.has_areas else None,
        },
    }


def _in_accuracy(study: Study, probability: np.ndarray) -> tuple[Outcome, Estimate]:
    right = study.right(study.focus), (decide(probability) == study.label).astype(np.int64)
    return compare_two(*right, study.unit, study.seed), accuracy_difference(*right, study.unit)


def _in_area(study: Study, probability: np.ndarray) -> tuple[Outcome, Estimate]:
    """Compare areas; that of the majority class is `MAJORITY_AREA`, so no gain over it is larger than the rest."""
    outcome, gain = auc_difference(study.label, study.focus.probability, probability, study.unit)
    if np.ptp(probability) > 0:
        return outcome, gain
    return outcome, Estimate(gain.value, max(gain.low, -MAJORITY_AREA), min(gain.high, 1 - MAJORITY_AREA))


def _gain(outcome: Outcome, difference: Estimate) -> dict[str, Any]:
    return {"test": outcome.name, "p": outcome.p} | difference.as_difference()


def _verdict(accuracy: dict[str, Any], auc: dict[str, Any] | None) -> str:
    if accuracy["p_adjusted"] < ALPHA:
        return ADDS if accuracy["difference"] > 0 else WORSE
    return NO_ACCURACY if auc and auc["p_adjusted"] < ALPHA else NOTHING


def _networks(study: Study) -> list[Classifier]:
    """The best single model, the Inter-LR of its rate, Intra-LR, and the classifier in focus."""
    single, scheme = study.best_single(), study.params.weighting
    intra = study.intra(study.params.reading, scheme)
    return [single, study.inter(str(single.recipe), scheme), intra, study.focus]


def _folds(study: Study) -> list[Any]:
    """The models of one rate, whose validation folds together are the development images."""
    return study.models[study.params.grid[0]]
