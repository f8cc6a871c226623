"""Figures of the report, legible in black and white; their words are in texts/."""

from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from wen.evaluation import curves
from wen.evaluation.metrics import auc, confusion
from wen.evaluation.resampling import resample
from wen.figure_style import COLOURS, LINES, MARKERS
from wen.report.language import Text
from wen.report.statements import division
from wen.study import Classifier, Study

LINE = 16
"""Maximum number of characters in a line of the name of a class."""
BANDS = 300  # resampled ROC curves for the band
PLOTTED = ("accuracy", "weighted_f1", "f1", "auc")  # measures of a published result; few papers report all


def wrapped(name: str) -> str:
    """Break the long name of a class into lines, so that it does not overlap the next name."""
    return "\n".join(line.replace("_ ", "_") for line in wrap(name.replace("_", "_ "), LINE))


def differences(study: Study, evidence: dict[str, Any], t: Text) -> Figure:
    """Draw the paired differences in accuracy that decide H2 and H3, with their intervals, 0 and the margin."""
    names = t.names(study)
    tests = [test for test in evidence["tests"] if test["decides"] and test["hypothesis"] in ("H2", "H3")]
    shown = list({tuple(test["between"]): test for test in tests}.values())[::-1]
    figure, axes = plt.subplots(figsize=(6.2, 0.5 * len(shown) + 0.9))
    margin = 100 * evidence["margin"]
    axes.axvspan(-margin, margin, color="0.9", linewidth=0)
    axes.axvline(0, color="black", linewidth=0.8)
    for y, test in enumerate(shown):
        axes.plot([100 * test["low"], 100 * test["high"]], [y, y], color=COLOURS[0], linewidth=1.5)
        axes.plot(100 * test["difference"], y, MARKERS[0], color=COLOURS[0])
    labels = [t("answer.minus", one=names[test["between"][0]], other=names[test["between"][1]]) for test in shown]
    axes.set(yticks=range(len(shown)), yticklabels=labels, xlabel=t("axis.points"), ylim=(-0.6, len(shown) - 0.4))
    return figure


def forest(study: Study, compared: list[Classifier], intervals: dict[str, Any], t: Text) -> Figure:
    """Draw the accuracy of a few classifiers with their intervals."""
    figure, axes = plt.subplots(figsize=(6.4, 0.36 * len(compared) + 0.9))
    kinds = {"single": 0, "inter": 1, "intra": 2}
    upwards = compared[::-1]
    for y, classifier in enumerate(upwards):
        k = kinds[classifier.kind]
        axes.plot(intervals[classifier.id]["accuracy"], [y, y], color=COLOURS[k], linewidth=1.5)
        axes.plot(classifier.row["accuracy"], y, MARKERS[k], color=COLOURS[k])
    axes.set(yticks=range(len(upwards)), yticklabels=[*map(t.name, upwards)], xlabel=t("axis.accuracy"))
    axes.grid(axis="x", color="0.9")
    return figure


def beside(evidence: dict[str, Any], t: Text) -> Figure:
    """Draw the accuracy of the summary rows of this study and of the study that it is compared with."""
    studies = [(t("axis.this"), evidence), (evidence["beside"]["revision"], evidence["beside"])]
    names = list(dict.fromkeys(t.row(row) for _, study in studies for row in study["summary"]))
    figure, axes = plt.subplots(figsize=(6.4, 0.42 * len(names) + 1.2))
    for k, (title, study) in enumerate(studies):
        for row in study["summary"]:
            y = len(names) - 1 - names.index(t.row(row)) + (0.12 if k == 0 else -0.12)
            spread = row.get("deviation") or 0.0
            limits = [row.get("low", row["accuracy"] - spread), row.get("high", row["accuracy"] + spread)]
            axes.plot(limits, [y, y], color=COLOURS[k], linewidth=1.5)
            axes.plot(row["accuracy"], y, MARKERS[k], color=COLOURS[k])
        axes.plot(
            [], [], MARKERS[k], color=COLOURS[k], label=f"{title}, {division(study['unit'], study['test_set'], t)}"
        )
    axes.set(yticks=range(len(names)), yticklabels=names[::-1], xlabel=t("axis.accuracy"))
    axes.grid(axis="x", color="0.9")
    axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def rates(study: Study, t: Text) -> Figure:
    """Draw the single models and the Inter-LR ensemble of each LR."""
    figure, axes = plt.subplots(figsize=(max(5.4, 0.95 * len(study.models)), 3.6))
    for x, recipe in enumerate(study.models):
        single = np.array([study.single(member).row["accuracy"] for member in study.models[recipe]])
        first = x == 0
        axes.plot(x + np.linspace(-0.12, 0.12, len(single)), single, "o", color=COLOURS[0], markerfacecolor="none",
                  label=t("axis.single") if first else None)  # fmt: skip
        axes.errorbar(x + 0.22, single.mean(), single.std(ddof=1), color=COLOURS[0], marker="_", capsize=3,
                      label=t("axis.spread") if first else None)  # fmt: skip
        inter = study.inter(recipe, study.params.weighting)
        axes.plot(x + 0.34, inter.row["accuracy"], "D", color=COLOURS[1],
                  label=f"Inter-LR, {t.scheme(str(inter.scheme))}" if first else None)  # fmt: skip
    axes.set(xticks=range(len(study.models)), xticklabels=[*map(t.recipe, study.models)],
             ylabel=t("axis.accuracy"))  # fmt: skip
    axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def schemes(study: Study, t: Text) -> Figure:
    """Draw every ensemble by its weighting scheme."""
    ensembles = [classifier for classifier in study.classifiers if classifier.kind != "single"]
    groups = list(dict.fromkeys(_group(ensemble, t) for ensemble in ensembles))
    names = study.params.schemes
    figure, axes = plt.subplots(figsize=(6, 0.5 * len(groups) + 1.4))
    for k, scheme in enumerate(names):
        weighted = [ensemble for ensemble in ensembles if ensemble.scheme == scheme]
        y = [len(groups) - 1 - groups.index(_group(ensemble, t)) + 0.13 * (len(names) / 2 - k) for ensemble in weighted]
        axes.plot([ensemble.row["accuracy"] for ensemble in weighted], y, MARKERS[k % 5], color=COLOURS[k % 5],
                  markerfacecolor="none", label=t.scheme(scheme))  # fmt: skip
    axes.set(yticks=range(len(groups)), yticklabels=groups[::-1], xlabel=t("axis.accuracy"))
    axes.margins(x=0.1)
    axes.grid(axis="x", color="0.9")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def roc(study: Study, compared: list[Classifier], seed: int, t: Text) -> Figure:
    """Draw ROC curves of a few classifiers, and a 95% band around that of the classifier in focus, in its colour.

    A test set of one class has no curve, which the figure states.
    """
    figure, axes = plt.subplots(figsize=(5, 4.6))
    axes.set(xlabel=t("axis.fpr"), ylabel=t("axis.tpr"))
    if study.absent_class is not None:
        state_absence(axes, t)
        return figure
    grid = np.linspace(0, 1, 101)
    low, high = _roc_band(study, grid, seed)
    in_focus = [classifier.id for classifier in compared].index(study.focus.id)
    axes.fill_between(grid, low, high, color=COLOURS[in_focus], alpha=0.15, linewidth=0)
    for k, classifier in enumerate(compared):
        fpr, tpr = curves.roc(study.label, classifier.probability)
        area = auc(study.label, classifier.probability)
        axes.plot(fpr, tpr, color=COLOURS[k], linestyle=LINES[k], label=f"{t.name(classifier)}: {t.number(area)}")
    tn, fp, fn, tp = confusion(study.label, study.focus.probability)
    axes.plot(fp / max(fp + tn, 1), tp / max(tp + fn, 1), "X", color="black", markersize=8)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.legend(loc="lower right", fontsize="small")
    return figure


def precision_recall(study: Study, compared: list[Classifier], t: Text) -> Figure:
    """Draw precision-recall curves of a few classifiers, of which a test set of one class has none."""
    figure, axes = plt.subplots(figsize=(5, 4.6))
    axes.set(xlabel=t("axis.recall"), ylabel=t("axis.precision"), ylim=(None, 1.01))
    if study.absent_class is not None:
        state_absence(axes, t)
        return figure
    for k, classifier in enumerate(compared):
        precision, recall = curves.precision_recall(study.label, classifier.probability)
        axes.plot(recall, precision, color=COLOURS[k], linestyle=LINES[k], label=t.name(classifier))
    axes.axhline(study.label.mean(), color="0.5", linestyle=":", linewidth=1)
    axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def state_absence(axes: Axes, t: Text) -> None:
    """State in an empty panel that a test set of one class has no curve."""
    axes.text(0.5, 0.5, t("figure.one_class"), transform=axes.transAxes, ha="center", va="center")


def confusion_matrices(study: Study, compared: list[Classifier], t: Text) -> Figure:
    """Draw the counts of right and wrong decisions, and their share of the actual class."""
    side = 2.6 if max(map(len, t.classes)) < 10 else 3.6
    size = (side * len(compared), side + 0.7 + 0.2 * max(name.count("\n") for name in t.classes))
    figure, panels = plt.subplots(1, len(compared), figsize=size, sharey=True, squeeze=False)
    panels[0, 0].set_ylabel(t("axis.is"))
    for axes, classifier in zip(panels[0], compared, strict=True):
        tn, fp, fn, tp = confusion(study.label, classifier.probability)
        counts = np.array([[tn, fp], [fn, tp]])
        share = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
        axes.imshow(share, cmap="Purples", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.5 else "black"
            shown = f"{t.count(count)}\n{t.percent(share[row, column], 1)}"
            axes.text(column, row, shown, ha="center", va="center", color=colour)
        axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=t.classes, yticklabels=t.classes,
                 xlabel=t("axis.called"))  # fmt: skip
        axes.set_title(t.name(classifier), fontsize="small")
        axes.spines[:].set_visible(False)
    return figure


def learning_curves(epochs: pd.DataFrame, t: Text) -> Figure:
    """Draw loss and accuracy of every model by epoch: a column for each LR, a line for each fold."""
    rates = list(epochs.recipe.unique())
    figure, grid = plt.subplots(
        2, len(rates), figsize=(min(2.4 * len(rates), 13), 4.4), sharex="col", sharey="row", squeeze=False
    )  # fmt: skip
    for column, recipe in enumerate(rates):
        for row, measure in enumerate(("loss", "accuracy")):
            axes = grid[row, column]
            for part, colour, line in (("train", COLOURS[0], "--"), ("validation", COLOURS[1], "-")):
                for fold, curve in epochs[epochs.recipe == recipe].groupby("fold"):
                    label = t(f"axis.{part}") if fold == 0 else None
                    values = curve[f"{part}_{measure}"]
                    axes.plot(curve.step + 1, values, line, color=colour, linewidth=0.8, label=label)
            begins = epochs[(epochs.recipe == recipe) & (epochs.stage == 2)].groupby("fold").step.min() + 1
            for begin in begins:
                axes.axvline(begin - 0.5, color="0.8", linewidth=0.8, zorder=0)
            if column == 0:
                axes.set_ylabel(t("axis.loss") if measure == "loss" else t("measure.accuracy"))
        grid[0, column].set_title(t.recipe(recipe))
        grid[1, column].set_xlabel(t("axis.epoch"))
    figure.legend(*grid[0, 0].get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside upper center")
    return figure


def published(groups: dict[str, list[dict[Any, Any]]], t: Text) -> Figure:
    """Draw the published results and that of this study, under a heading for each group of `published.GROUPS`."""
    rows: list[dict[Any, Any]] = []
    for group, results in groups.items():
        rows.append({"name": t(f"group.{group}"), "heading": True, "focus": False})
        rows += [
            {"name": _citation(result, results), "heading": False} | result
            for result in results
            if any(result[measure] is not None for measure in PLOTTED)
        ]
    figure, axes = plt.subplots(figsize=(7.4, 0.24 * len(rows) + 1.2))
    headings = [y for y, row in enumerate(rows) if row["heading"]]
    axes.hlines(headings, 0, 1, "0.7", linewidth=0.8, transform=axes.get_yaxis_transform(), zorder=0)
    for k, measure in enumerate(PLOTTED):
        for focus, face in ((False, "none"), (True, COLOURS[k])):
            shown = [y for y, row in enumerate(rows) if row["focus"] is focus and row.get(measure) is not None]
            values = [rows[y][measure] for y in shown]
            axes.plot(values, shown, MARKERS[k], color=COLOURS[k], markerfacecolor=face,
                      label=None if focus else t(f"measure.{measure}"))  # fmt: skip
    axes.set(yticks=range(len(rows)), yticklabels=[row["name"] for row in rows], ylim=(len(rows) - 0.4, -0.6))
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["heading"] or row["focus"] else "normal")
    axes.tick_params(axis="y", length=0, labelsize="small")
    axes.xaxis.set_major_locator(MultipleLocator(0.05))
    axes.xaxis.set_major_formatter(lambda value, _: t.number(value, 2))
    axes.grid(axis="x", color="0.92")
    axes.legend(fontsize="small", ncols=len(PLOTTED), loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _roc_band(study: Study, grid: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the pointwise 95% band of the sensitivity of resampled ROC curves over a grid of false positive rates."""
    order = np.argsort(-study.focus.probability, kind="stable")
    ends = np.flatnonzero(np.diff(study.focus.probability[order], append=-1))  # of groups of equal probability
    counts = resample(study.unit, BANDS, seed)[:, order]
    true = np.cumsum(counts * study.label[order], axis=1)
    false = np.cumsum(counts * (1 - study.label[order]), axis=1)
    both = (true[:, -1] > 0) & (false[:, -1] > 0)  # a resampled test set may lack a class
    curves = [
        np.interp(grid, [0, *fp[ends] / fp[-1]], [0, *tp[ends] / tp[-1]])
        for fp, tp in zip(false[both], true[both], strict=True)
    ]
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    return low, high


def _citation(result: dict[Any, Any], among: list[dict[Any, Any]]) -> str:
    """Name a result by study and test set, and by network if the study has several on that set."""
    keys = ("study", "year", "data")
    several = sum(all(other[key] == result[key] for key in keys) for other in among) > 1
    study = " ".join(filter(None, (result["study"], result["year"])))
    data = result["data"].removeprefix("C-NMC").strip(" ,")
    return ", ".join(filter(None, (study, result["network"] if several else "", data)))


def _group(ensemble: Classifier, t: Text) -> str:
    return f"Inter-LR {t.rate(str(ensemble.recipe))}" if ensemble.kind == "inter" else f"Intra-LR ({ensemble.reading})"
