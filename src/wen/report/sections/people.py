"""The classifier in focus by subject: accuracy on each subject's cells, and the class that they predict together."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from wen.evaluation.curves import roc
from wen.evaluation.metrics import THRESHOLD
from wen.evaluation.people import (
    MIXED,
    People,
    area,
    by_person,
    mean_accuracy,
    proportion,
    sensitivity,
    specificity,
    verdicts,
)
from wen.evaluation.proportion import Estimate
from wen.figure_style import ALL_COLOUR, COLOURS, HEM_COLOUR
from wen.report.figures import state_absence
from wen.report.language import Text
from wen.study import Study, defined

NAMED = 60
"""The figure has room for the names of at most so many subjects."""


def measure(study: Study) -> dict[str, Any] | None:
    """Compute the accuracy by subject, the verdict on each subject in two ways, and the AUC over subjects.

    Returns
    -------
    dict or None
        ``id`` of the classifier; ``subjects``, their number; ``mixed``, those with cells of both classes;
        ``accuracy``, the mean over subjects; ``verdicts``, for each rule (see `wen.evaluation.people.verdicts`) the
        number of ``right`` verdicts among the ``subjects`` of one class, with ``sensitivity`` and ``specificity``;
        ``auc`` over subjects, by mean probability; and ``by_subject``, one row per subject, the least accurate first,
        ``misread`` if a verdict by either rule is wrong. A measure has ``value``, ``low`` and ``high``. None if the
        subjects are not known.
    """
    if not study.has_subjects:
        return None
    focus = study.focus
    people = by_person(study.cells.subject.to_numpy(), study.label, focus.probability)
    decided, one_class = verdicts(people), people.label != MIXED
    return {
        "id": focus.id,
        "subjects": len(people.person),
        "mixed": people.person[~one_class].tolist(),
        "accuracy": _estimate(mean_accuracy(people.accuracy)),
        "verdicts": {
            rule: {
                "right": int((verdict == people.label)[one_class].sum()),
                "subjects": int(one_class.sum()),
                "sensitivity": _estimate(sensitivity(people.label, verdict)),
                "specificity": _estimate(specificity(people.label, verdict)),
            }
            for rule, verdict in decided.items()
        },
        "auc": _estimate(area(people.label, people.probability)),
        "by_subject": _rows(people, decided),
    }


def figures(study: Study, measured: dict[str, Any] | None, t: Text) -> dict[str, Figure]:
    """Accuracy of each subject, and the ROC curves over subjects and over cells."""
    if measured is None:
        return {}
    return {"subjects": _accuracies(measured["by_subject"], t), "people_roc": _roc(study, measured, t)}


def _rows(people: People, decided: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    order = np.lexsort((-people.cells, people.accuracy))
    rows = []
    for k in order.tolist():
        label, interval = int(people.label[k]), proportion(int(people.right[k]), int(people.cells[k]))
        right = {rule: None if label == MIXED else bool(verdict[k] == label) for rule, verdict in decided.items()}
        rows.append(
            {
                "subject": str(people.person[k]),
                "label": None if label == MIXED else label,
                "images": int(people.cells[k]),
                "right": int(people.right[k]),
                "accuracy": interval.value,
                "low": interval.low,
                "high": interval.high,
                "probability": float(people.probability[k]),
                "called": float(people.share[k]),
                "verdict_right": right,
                "misread": False in right.values(),
            }
        )
    return rows


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: defined(value) for name, value in estimate._asdict().items()}


def _accuracies(rows: list[dict[str, Any]], t: Text) -> Figure:
    """Accuracy of each subject, the worst first; filled where the verdict by mean probability is wrong."""
    figure, axes = plt.subplots(figsize=(9, 3.4))
    kinds = (
        (1, t.classes[1], ALL_COLOUR, "o"),
        (0, t.classes[0], HEM_COLOUR, "s"),
        (None, t("people.both"), COLOURS[4], "D"),
    )
    for label, name, colour, marker in kinds:
        places = [place for place, row in enumerate(rows) if row["label"] == label]
        if not places:
            continue
        shown = [rows[place] for place in places]
        axes.vlines(places, [row["low"] for row in shown], [row["high"] for row in shown], color=colour, linewidth=1)
        axes.plot(places, [row["accuracy"] for row in shown], marker, color=colour, markersize=5,
                  markerfacecolor="white", label=name)  # fmt: skip
        wrong = [place for place in places if rows[place]["verdict_right"]["mean"] is False]
        axes.plot(wrong, [rows[place]["accuracy"] for place in wrong], marker, color=colour, markersize=5)
    named = len(rows) <= NAMED
    axes.set(xlabel=t("axis.subjects"), ylabel=t("measure.accuracy"), ylim=(-0.03, 1.03), xlim=(-0.7, len(rows) - 0.3),
             xticks=range(len(rows)) if named else [])  # fmt: skip
    if named:
        axes.set_xticklabels([row["subject"] for row in rows], rotation=90, fontsize="x-small")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _roc(study: Study, measured: dict[str, Any], t: Text) -> Figure:
    """ROC curves over cells and over subjects; a cross marks the threshold of 0.5."""
    figure, axes = plt.subplots(figsize=(5, 4.6))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    people = [row for row in measured["by_subject"] if row["label"] is not None]
    over = (
        ("cells", study.label, study.focus.probability, study.focus.row["auc"], COLOURS[0], "-"),
        ("subjects", np.array([row["label"] for row in people]),
         np.array([row["probability"] for row in people]), measured["auc"]["value"], COLOURS[1], "--"),
    )  # fmt: skip
    for what, label, score, auc, colour, line in over:
        if len(np.unique(label)) < 2:
            continue
        fpr, tpr = roc(label, score)
        name = t(f"people.over.{what}")
        axes.plot(fpr, tpr, color=colour, linestyle=line, label=f"{name}: AUC {t.number(auc)}")
        called = score >= THRESHOLD
        axes.plot(called[label == 0].mean(), called[label == 1].mean(), "X", color=colour, markersize=8)
    axes.set(xlabel=t("axis.fpr"), ylabel=t("axis.tpr"))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize="small")
    else:
        state_absence(axes, t)
    return figure
