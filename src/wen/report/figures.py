"""The report's figures, as SVG that can be read in black and white."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.metrics import roc_curve

from wen.evaluation.metrics import auc, confusion
from wen.figures import COLOURS, LINES, render
from wen.report.tables import Classifier

MARKERS = "osD^v"


def roc(classifiers: list[Classifier]) -> str:
    """ROC curves of a few classifiers on the test set."""
    figure, axes = plt.subplots(figsize=(5, 4.6))
    for k, (name, label, probability) in enumerate(classifiers):
        fpr, tpr, _ = roc_curve(label, probability)
        axes.plot(fpr, tpr, color=COLOURS[k], linestyle=LINES[k], label=f"{name}: {auc(label, probability):.3f}")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC on the test set (name: AUC)")
    axes.legend(loc="lower right", fontsize="small")
    return _svg(figure)


def confusion_matrix(classifier: Classifier) -> str:
    """Counts of right and wrong decisions, and their share of the true class."""
    tn, fp, fn, tp = confusion(classifier.label, classifier.probability)
    counts = np.array([[tn, fp], [fn, tp]])
    share = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    figure, axes = plt.subplots(figsize=(3.8, 3.4))
    axes.imshow(share, cmap="Purples", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = f"{count}\n{share[row, column]:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["HEM", "ALL"], yticklabels=["HEM", "ALL"],
             xlabel="called", ylabel="is", title="Decisions at 0.5")  # fmt: skip
    axes.spines[:].set_visible(False)
    return _svg(figure)


def learning_curves(curves: pd.DataFrame) -> str:
    """Loss and accuracy of every model by epoch; a column for each LR, a thin line for each fold."""
    rates = list(curves.lr.unique())
    figure, grid = plt.subplots(2, len(rates), figsize=(3.2 * len(rates), 5), sharex="col", sharey="row", squeeze=False)
    for column, lr in enumerate(rates):
        for row, measure in enumerate(("loss", "accuracy")):
            axes = grid[row, column]
            for part, colour, line in (("train", COLOURS[0], "--"), ("validation", COLOURS[1], "-")):
                for fold, own in curves[curves.lr == lr].groupby("fold"):
                    label = part if fold == 0 else None
                    axes.plot(own.step + 1, own[f"{part}_{measure}"], line, color=colour, linewidth=0.8, label=label)
            begins = curves[(curves.lr == lr) & (curves.stage == 2)].groupby("fold").step.min() + 1
            for begin in begins:
                axes.axvline(begin - 0.5, color="0.8", linewidth=0.8, zorder=0)
            if column == 0:
                axes.set_ylabel(measure)
        grid[0, column].set_title(f"LR {lr}")
        grid[1, column].set_xlabel("epoch over both stages")
    grid[0, -1].legend(fontsize="small")
    return _svg(figure)


def rates(results: pd.DataFrame, weighting: str, measure: str = "accuracy") -> str:
    """Single models and Inter-LR ensemble of each LR."""
    figure, axes = plt.subplots(figsize=(5, 3.4))
    rates = list(results[results.kind == "single"].lr.unique())
    for x, lr in enumerate(rates):
        single = results[(results.kind == "single") & (results.lr == lr)][measure]
        offsets = np.linspace(-0.12, 0.12, len(single))
        first = x == 0
        axes.plot(x + offsets, single, "o", color=COLOURS[0], markerfacecolor="none",
                  label="single model, one a fold" if first else None)  # fmt: skip
        axes.errorbar(x + 0.22, single.mean(), single.std(), color=COLOURS[0], marker="_", capsize=3,
                      label="their mean and standard deviation" if first else None)  # fmt: skip
        inter = results[(results.kind == "inter") & (results.lr == lr) & (results.scheme == weighting)]
        axes.plot(x + 0.34, inter[measure], "D", color=COLOURS[1],
                  label=f"Inter-LR, {weighting}" if first else None)  # fmt: skip
    axes.set(xticks=range(len(rates)), xticklabels=[f"LR {lr}" for lr in rates], ylabel=f"test {measure}",
             title="Learning rates")  # fmt: skip
    axes.legend(fontsize="small", loc="best")
    return _svg(figure)


def schemes(results: pd.DataFrame, measure: str = "accuracy") -> str:
    """Every ensemble by its weighting scheme."""
    ensembles = results[results.kind.isin(["inter", "intra"])]
    groups, names = list(ensembles.group.unique()), list(ensembles.scheme.unique())
    figure, axes = plt.subplots(figsize=(6, 0.5 * len(groups) + 1.4))
    for k, scheme in enumerate(names):
        own = ensembles[ensembles.scheme == scheme].set_index("group")[measure].reindex(groups)
        _dots(axes, own, len(groups) - 1 - np.arange(len(groups)) + 0.13 * (len(names) / 2 - k), k, scheme)
    axes.set(yticks=range(len(groups)), yticklabels=groups[::-1], xlabel=f"test {measure}", title="Weighting schemes")
    axes.grid(axis="x", color="0.9")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def _dots(axes: Axes, values: pd.Series, y: np.ndarray, k: int, label: str) -> None:
    axes.plot(values, y, MARKERS[k % 5], color=COLOURS[k % 5], markerfacecolor="none", label=label)


def _svg(figure: plt.Figure) -> str:
    """The figure as an SVG element to put into a page."""
    text = render(figure).decode()
    return text[text.index("<svg") :]
