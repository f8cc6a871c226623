"""Published systems on the images and split of the study, compared with the claims of their papers."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wen.evaluation.metrics import MEASURES
from wen.evaluation.proportion import share
from wen.evaluation.statistics import ALPHA, accuracy_difference, bonferroni, compare_two
from wen.figure_style import COLOURS, LINES, MARKERS
from wen.members.predictions import averages
from wen.report import claims
from wen.report.language import Text
from wen.report.statements import division
from wen.study import Classifier, Study, defined
from wen.systems.replication import Replication

BETTER, WORSE, OPEN = "better", "worse", "open"  # values of ``result``
OF_THE_RUN = (
    "state", "missing", "computed", "depth", "networks", "paper", "stand_ins", "settings", "shown", "best",
)  # fmt: skip
"""Keys of system.json that a row has."""
Row = dict[str, Any]


def measure(study: Study) -> list[Row]:
    """Compare every published system with its paper's claims, with its control and with the headline.

    Returns
    -------
    list of dict
        One row per system of params.yaml: its ``name``; what `OF_THE_RUN` names of system.json; its ``variants``, each
        with its ``validation`` accuracy, the ``mean`` and ``std`` of its measures over fold models, and the measures of
        their ``average``; the names of the variants that are ``shown``, ``best`` on validation data and the best
        ``control``; ``estimates`` of the shown variant with 95% intervals; its differences in accuracy
        ``over_control`` and ``over_headline``, with ``p_adjusted`` over the systems, and a ``result``; the ``claims``
        of the paper, each with its ``verdict``; and the ``verdict`` on the first claim. See `wen.report.claims`.
    """
    rows = [_row(study, replication) for replication in study.systems.values()]
    for key in ("over_control", "over_headline"):
        compared = [row[key] for row in rows if row[key]]
        for difference, p in zip(compared, bonferroni([row["p"] for row in compared]), strict=True):
            difference["p_adjusted"] = p
            difference["result"] = OPEN if p >= ALPHA else BETTER if difference["difference"] > 0 else WORSE
    return rows


def figures(study: Study, measured: list[Row], t: Text) -> dict[str, Figure]:
    """Best score by trial of each search, if there was one. The page draws `forest`, which needs all evidence."""
    searches = [
        (f"{t.system(row['name'])}\n{variant['name']}", variant["searches"])
        for row in measured
        for variant in row["variants"]
        if variant["searches"]
    ]
    return {"searches": _searches(searches, t)} if searches else {}


def forest(study: Study, evidence: dict[str, Any], t: Text) -> Figure:
    """Accuracy of each system with its interval, the claim of its paper, its control, and the headline."""
    rows: list[Row] = evidence["systems"]
    other = evidence["beside"] or {"systems": []}
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(rows) + 1.5))
    axes.axvline(study.focus.row["accuracy"], color="0.5", linestyle=":", linewidth=1.2, label=t("systems.headline"))
    place = {row["name"]: float(y) for y, row in enumerate(reversed(rows))}
    above = 0.2 if other["systems"] else 0.0
    _estimates(axes, rows, {name: y + above for name, y in place.items()}, 0, _of_study(t("axis.this"), evidence, t))
    if other["systems"]:
        below = {name: y - above for name, y in place.items()}
        _estimates(axes, other["systems"], below, 1, _of_study(other["revision"], other, t))
    controls = {row["name"]: variant["average"]["accuracy"] for row in rows for variant in row["variants"]
                if variant["name"] == row["control"]}  # fmt: skip
    axes.plot(list(controls.values()), [place[name] + above + 0.17 for name in controls], "v", color="black",
              markerfacecolor="white", markersize=5, label=t("systems.control"))  # fmt: skip
    _claims(axes, rows, place, t)
    skipped = {row["name"]: f"\n{t('systems.skipped')}" for row in rows if row["state"] == "skipped"}
    axes.set(yticks=list(place.values()), yticklabels=[t.system(name) + skipped.get(name, "") for name in place],
             ylim=(-0.6, len(rows) - 0.4), xlabel=t("axis.accuracy"))  # fmt: skip
    axes.grid(axis="x", color="0.92")
    axes.legend(fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1))
    return figure


def _row(study: Study, replication: Replication) -> Row:
    about, described = replication.about, claims.entry(replication.name)
    row: Row = {"name": replication.name} | {key: about[key] for key in OF_THE_RUN}
    row |= {
        "control": replication.control,
        "variants": [],
        "estimates": None,
        "over_control": None,
        "over_headline": None,
    }
    if not replication.skipped:
        shown = study.system(replication.name, about["shown"])
        row["variants"] = [_variant(study, replication, variant) for variant in about["variants"]]
        row["estimates"] = _estimated(study, shown)
        row["over_headline"] = _compared(study, shown, study.focus)
        if row["control"]:
            row["over_control"] = _compared(study, shown, study.system(replication.name, row["control"]))
    obstacles = claims.obstacles(about, described, study.params)
    row["claims"] = [_claim(study, claim, row["estimates"], obstacles) for claim in described["claims"]]
    if row["over_control"] and described["difference"]:
        over = row["over_control"]
        row["over_control"] |= {"claimed": described["difference"]["value"], "mark": described["difference"]["mark"]}
        row["over_control"] |= claims.judge(described["difference"], over, obstacles, study.params)
    row["verdict"] = row["claims"][0]["verdict"] if row["claims"] else None
    return row


def _variant(study: Study, replication: Replication, about: dict[str, Any]) -> Row:
    over_folds = averages(replication.members[about["name"]])
    return {
        **{key: about[key] for key in ("name", "role", "validation", "members", "scheme")},
        **{kind: {name: defined(over_folds[kind][name]) for name in MEASURES} for kind in ("mean", "std")},
        "average": {name: study.system(replication.name, about["name"]).row[name] for name in MEASURES},
        "searches": [_best_so_far(fold) for fold in about["folds"] if _is_search(fold["history"])],
    }


def _is_search(history: Sequence[dict[str, Any]]) -> bool:
    """Whether a history has the trials of a search, rather than the epochs of a training."""
    return bool(history) and "trial" in history[0]


def _best_so_far(fold: dict[str, Any]) -> Row:
    scores = [trial["score"] for trial in fold["history"]]
    return {"fold": fold["fold"], "best": np.maximum.accumulate(scores).tolist()}


def _estimated(study: Study, shown: Classifier) -> dict[str, dict[str, float | None]]:
    """Estimate every measure with its 95% interval."""
    return {
        name: {"value": shown.row[name], "low": defined(low), "high": defined(high)}
        for name, (low, high) in study.intervals(shown).items()
    }


def _compared(study: Study, one: Classifier, other: Classifier) -> Row:
    right = study.right(one), study.right(other)
    outcome, difference = compare_two(*right, study.unit, study.seed), accuracy_difference(*right, study.unit)
    return {"id": other.id, "test": outcome.name, "p": outcome.p} | difference.as_difference()


def _claim(study: Study, claim: Row, estimates: dict[str, Any] | None, obstacles: list[str]) -> Row:
    """Add to a claim its verdict and, if the paper counts its test cells, the confidence interval from that count."""
    estimate = estimates[claim["measure"]] if estimates else None
    cells = claim.get("cells")
    of_cells = None
    if cells:
        right = share(np.arange(cells["of"]) < cells["right"], np.arange(cells["of"]))
        of_cells = cells | {"low": right.low, "high": right.high}
    return claim | {"cells": of_cells, "run": estimate} | claims.judge(claim, estimate, obstacles, study.params)


def _of_study(title: str, evidence: dict[str, Any], t: Text) -> str:
    return f"{title}, {division(evidence['unit'], evidence['test_set'], t)}"


def _estimates(axes: Axes, rows: Sequence[Row], place: dict[str, float], k: int, label: str) -> None:
    ran = [row for row in rows if row["estimates"] and row["name"] in place]
    places, estimates = [place[row["name"]] for row in ran], [row["estimates"]["accuracy"] for row in ran]
    low, value, high = ([estimate[key] for estimate in estimates] for key in ("low", "value", "high"))
    axes.hlines(places, low, high, COLOURS[k], linewidth=1.5)
    axes.plot(value, places, MARKERS[k], color=COLOURS[k], label=label)


def _claims(axes: Axes, rows: Sequence[Row], place: dict[str, float], t: Text) -> None:
    """Mark the first claim of each paper, filled if it is about the same data; no claims on synthetic cells."""
    first = [(row["name"], row["claims"][0]) for row in rows if row["claims"] and row["verdict"]]
    for where in ("same", "other"):
        marks = {
            name: claim["value"]
            for name, claim in first
            if claim["measure"] == "accuracy" and ("other_data" in claim["reasons"]) == (where == "other")
        }
        if marks:
            axes.plot(list(marks.values()), [place[name] for name in marks], "D", color=COLOURS[3], markersize=6,
                      markerfacecolor=COLOURS[3] if where == "same" else "none",
                      label=t(f"systems.claimed.{where}"))  # fmt: skip


def _searches(searches: list[tuple[str, list[Row]]], t: Text) -> Figure:
    """One panel per search, with a line for each fold."""
    width = max(6.4, 1 + 2.6 * len(searches))
    figure, panels = plt.subplots(1, len(searches), figsize=(width, 2.6), sharey=True, squeeze=False)
    for axes, (title, folds) in zip(panels[0], searches, strict=True):
        for k, search in enumerate(folds):
            trials = range(1, len(search["best"]) + 1)
            axes.plot(trials, search["best"], color=COLOURS[k % 5], linestyle=LINES[k % 5], linewidth=1.2,
                      drawstyle="steps-post", label=f"fold {search['fold']}")  # fmt: skip
        axes.set_title(title, fontsize="small")
        axes.set_xlabel(t("systems.trial"))
    panels[0, 0].set_ylabel(t("systems.score"))
    panels[0, -1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure
