"""The distribution of the headline accuracies over many random splits of the data."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wen.config.member import BASELINE
from wen.figure_style import COLOURS
from wen.repeats.table import IMAGE, SPLITS, SUBJECT, WITHOUT_COPIES
from wen.report.language import Text
from wen.study import VALIDATION, Study

RANGE = (0.05, 0.5, 0.95)
"""Quantiles of the distribution that are reported."""
DOTS = "os^"
"""Markers of the ways to split; the study itself is a diamond."""
GOLDEN = 0.618
"""Golden ratio: its multiples modulo 1 spread out dots that would overlap."""


def measure(study: Study) -> dict[str, Any]:
    """Summarise data/repeats.csv.

    Returns
    -------
    dict
        ``ways``: for each way to split, the number of ``splits``, the number ``asked`` for, and its ``classifiers``.
        Each of these has its test ``accuracies``, their mean, range and quantiles; its accuracy in the ``study`` (None
        if the study splits in another way); the mean ``difference`` from the best single model on the same splits; and
        the share of splits on which it is ``better``. ``leaks``: the mean accuracy that Inter-LR loses without
        ``copies`` in the test set, and without ``people`` who are also in training; None unless there are splits of
        all three ways.
    """
    requested = study.params.repeats
    asked = {SUBJECT: requested.subject, IMAGE: requested.image, WITHOUT_COPIES: requested.image}
    ways = []
    for split in SPLITS:
        rows = study.repeats[study.repeats.split == split]
        if not rows.empty:
            of_study = _of_study(study) if split == study.params.split.unit else {}
            classifiers = _summaries(_accuracies(study, rows), of_study)
            about = {"split": split, "splits": rows.repeat.nunique(), "asked": asked[split]}
            ways.append(about | {"classifiers": classifiers})
    return {"ways": ways, "leaks": _leaks(ways)}


def figures(study: Study, measured: dict[str, Any], t: Text) -> dict[str, Figure]:
    """All headline classifiers split by subject and by image; Inter-LR and the baselines in every way to split."""
    by_unit = [way for way in measured["ways"] if way["split"] != WITHOUT_COPIES]
    drawn = {"repeats": _side_by_side(by_unit, t)} if by_unit else {}
    return drawn | ({"leak_mechanism": _mechanism(measured["ways"], t)} if measured["leaks"] else {})


def _accuracies(study: Study, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Accuracies of the headline classifiers on the splits of one kind, by name and repeat."""
    params = study.params
    best = rows[rows.classifier == f"best_single {VALIDATION}"].set_index("repeat")
    inter = "inter " + rows.repeat.map(best.lr) + " "  # at the rate of the best single model, as in H2
    ids = {
        "single": f"best_single {VALIDATION}",
        "inter": inter + params.weighting,
        "uniform": inter + "uniform",
        "intra": f"intra {params.reading} {params.weighting}",
        **{recipe: f"average {recipe}" for recipe in params.baseline_recipes},
        "majority": "majority",
    }
    if params.weighting == "uniform":
        del ids["uniform"]
    accuracies = {name: rows[rows.classifier == id].set_index("repeat").accuracy for name, id in ids.items()}
    return {name: accuracy for name, accuracy in accuracies.items() if not accuracy.empty}


def _of_study(study: Study) -> dict[str, float]:
    """Accuracies of the same classifiers in the study itself, by name."""
    params, best, averages = study.params, study.best_single(), study.averages
    rate = best.members[0].member.recipe
    classifiers = {"single": best, "intra": study.intra(params.reading, params.weighting)}
    for name, scheme in (("inter", params.weighting), ("uniform", "uniform")):
        if scheme in params.schemes:
            classifiers[name] = study.inter(rate, scheme)
    development = np.concatenate([member.validation_label for member in study.models[rate]])
    return {
        **{name: classifier.row["accuracy"] for name, classifier in classifiers.items()},
        **{recipe: averages[recipe]["mean"]["accuracy"] for recipe in params.baseline_recipes},
        "majority": float((study.label == (development.mean() >= 0.5)).mean()),
    }


def _summaries(accuracies: dict[str, pd.Series], of_study: dict[str, float]) -> list[dict[str, Any]]:
    summaries = []
    for name, accuracy in accuracies.items():
        low, median, high = np.quantile(accuracy, RANGE).tolist()
        gain = accuracy - accuracies["single"] if name != "single" else None
        summaries.append(
            {
                "name": name,
                "accuracies": accuracy.tolist(),
                "mean": float(accuracy.mean()),
                "least": float(accuracy.min()),
                "low": low,
                "median": median,
                "high": high,
                "most": float(accuracy.max()),
                "study": of_study.get(name),
                "difference": None if gain is None else float(gain.mean()),
                "better": None if gain is None else float((gain > 0).mean()),
            }
        )
    return summaries


def _leaks(ways: list[dict[str, Any]]) -> dict[str, float] | None:
    mean = {way["split"]: row["mean"] for way in ways for row in way["classifiers"] if row["name"] == "inter"}
    if len(mean) < len(SPLITS):
        return None
    return {"copies": mean[IMAGE] - mean[WITHOUT_COPIES], "people": mean[WITHOUT_COPIES] - mean[SUBJECT]}


def _side_by_side(ways: list[dict[str, Any]], t: Text) -> Figure:
    names = [row["name"] for row in ways[0]["classifiers"]]
    figure, panels = plt.subplots(
        1, len(ways), figsize=(2.2 + 3.5 * len(ways), 0.42 * len(names) + 1.2), sharex=True, sharey=True, squeeze=False
    )  # fmt: skip
    for axes, way in zip(panels[0], ways, strict=True):
        for y, row in enumerate(reversed(way["classifiers"])):
            _distribution(axes, y, row, SPLITS.index(way["split"]), t)
            if row["study"] is not None:
                axes.plot(row["study"], y, "D", color="black", markersize=6, markerfacecolor="white", zorder=4,
                          label=t("column.in_study"))  # fmt: skip
        axes.set_title(t(f"repeats.by.{way['split']}"))
        _axis(axes, t)
    panels[0, 0].set(yticks=range(len(names)), yticklabels=[_name(name, t) for name in reversed(names)])
    return figure


def _mechanism(ways: list[dict[str, Any]], t: Text) -> Figure:
    """One panel for Inter-LR and for each baseline, with a row for each way to split."""
    shown = [
        row["name"] for row in ways[0]["classifiers"] if row["name"] not in ("single", "uniform", "intra", "majority")
    ]
    figure, panels = plt.subplots(
        1, len(shown), figsize=(2 + 2.7 * len(shown), 2.4), sharex=True, sharey=True, squeeze=False
    )
    for axes, name in zip(panels[0], shown, strict=True):
        for y, way in enumerate(reversed(ways)):
            by_name = {row["name"]: row for row in way["classifiers"]}
            _distribution(axes, y, by_name[name], SPLITS.index(way["split"]), t)
            axes.plot([by_name["majority"]["median"]] * 2, [y - 0.3, y + 0.3], ":", color="0.6", zorder=0,
                      label=t("repeats.majority"))  # fmt: skip
        axes.set_title(_name(name, t), fontsize="small")
        _axis(axes, t)
    panels[0, 0].set(yticks=range(len(ways)), yticklabels=[t(f"repeats.by.{way['split']}") for way in reversed(ways)])
    return figure


def _distribution(axes: Axes, y: float, row: dict[str, Any], k: int, t: Text) -> None:
    """Draw the accuracies of one classifier as dots, with their median and the range between the quantiles."""
    colour, jitter = COLOURS[k], 0.44 * ((GOLDEN * np.arange(len(row["accuracies"]))) % 1 - 0.5)
    axes.plot(row["accuracies"], y + jitter, DOTS[k], color=colour, markersize=3.5, alpha=0.5, markeredgewidth=0,
              label=t("repeats.each"))  # fmt: skip
    axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.5, label=t("column.middle"))
    axes.plot([row["median"]] * 2, [y - 0.3, y + 0.3], color=colour, linewidth=2.5, label=t("column.median"))


def _axis(axes: Axes, t: Text) -> None:
    axes.set_xlabel(t("axis.accuracy"))
    axes.grid(axis="x", color="0.9")


def _name(name: str, t: Text) -> str:
    return t.recipe(name) if name.startswith(BASELINE) else t(f"repeats.{name}")
