"""The data behind ``dvc plots``: the same files at the same paths in every experiment."""

from pathlib import Path

import pandas as pd
from sklearn.metrics import roc_curve

from wen.evaluation.metrics import decide
from wen.files import whole
from wen.params import Params
from wen.report.tables import Classifier

CLASSES = {0: "HEM", 1: "ALL"}


def write(params: Params, focus: Classifier, results: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> None:
    """Write plots/headline/: the classifier in focus, its LR's learning curves, and the comparisons.

    roc.csv and confusion.csv are of the classifier in focus; learning.csv is the mean over the folds of
    the LR in focus; rates.csv compares LRs, schemes.csv the schemes of the ensemble in focus.
    """
    fpr, tpr, _ = roc_curve(focus.label, focus.probability)
    decisions = pd.DataFrame({"actual": focus.label, "predicted": decide(focus.probability)})
    learning = curves[curves.lr == params.lr].groupby("step").mean(numeric_only=True).reset_index()
    tables = {
        "roc": pd.DataFrame({"false_positive_rate": fpr, "true_positive_rate": tpr}),
        "confusion": decisions.replace(CLASSES),
        "learning": learning.drop(columns=["lr", "fold", "stage"]),
        "rates": _rates(results, params),
        "schemes": _schemes(results, params),
    }
    with whole(folder) as partial:
        partial.mkdir()
        for name, table in tables.items():
            table.to_csv(partial / f"{name}.csv", index=False, lineterminator="\n")


def _rates(results: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Mean single model and Inter-LR ensemble of each LR of the grid."""
    on_grid = results[results.lr.isin(params.lr_grid)]
    single = on_grid[on_grid.kind == "mean"].assign(model="mean single")
    inter = on_grid[(on_grid.kind == "inter") & (on_grid.scheme == params.weighting)].assign(model="Inter-LR")
    both = pd.concat([single, inter])
    both["model"] = [f"{model} {lr}" for model, lr in zip(both.model, both.lr, strict=True)]
    return both[["model", "accuracy", "f1", "kappa", "auc"]]


def _schemes(results: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Inter-LR of the LR in focus and Intra-LR of the reading in focus, by every scheme."""
    inter = results[(results.kind == "inter") & (results.lr == params.lr)].assign(kind="Inter-LR")
    intra = results[(results.kind == "intra") & (results.reading == params.reading)].assign(kind="Intra-LR")
    both = pd.concat([inter, intra])
    both["model"] = both.kind + " " + both.scheme
    return both[["model", "accuracy", "f1", "kappa", "auc"]]
