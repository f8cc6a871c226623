"""Data of ``dvc plots``: the same files at the same paths in every experiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from wen.evaluation.curves import roc
from wen.evaluation.metrics import decide
from wen.files import atomic
from wen.study import Study

SHOWN = ("accuracy", "f1", "kappa", "auc")
CURVES = ["train_loss", "validation_loss", "train_accuracy", "validation_accuracy"]


def write(study: Study, curves: pd.DataFrame, folder: Path) -> None:
    """Write plots/headline/.

    roc.csv and confusion.csv describe the classifier in focus. learning.csv has the learning curves of the LR in focus,
    averaged over folds: see `mean_curves`. rates.csv compares the LRs, and schemes.csv the weighting schemes.
    """
    probability = study.focus.probability
    fpr, tpr = roc(study.label, probability)
    decisions = pd.DataFrame({"actual": study.label, "predicted": decide(probability)})
    tables = {
        "roc": pd.DataFrame({"false_positive_rate": fpr, "true_positive_rate": tpr}),
        "confusion": decisions.replace(dict(enumerate(study.params.dataset.classes))),
        "learning": mean_curves(curves[curves.recipe == str(study.params.lr)]),
        "rates": pd.DataFrame(_rates(study)),
        "schemes": pd.DataFrame(_schemes(study)),
    }
    with atomic(folder) as partial:
        partial.mkdir()
        for name, table in tables.items():
            table.to_csv(partial / f"{name}.csv", index=False, lineterminator="\n")


def mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Average the learning curves of one LR over its folds.

    Folds end a stage at different epochs, so the mean covers the epochs of each stage that all folds completed.
    Otherwise it would jump where a fold drops out, and mix the two stages.

    Parameters
    ----------
    curves : DataFrame
        From `wen.results.curves`.

    Returns
    -------
    DataFrame
        One row per epoch, those of stage 1 first: ``step``, and the mean of each of `CURVES`.
    """
    epoch = curves.groupby(["fold", "stage"]).cumcount()
    epochs = curves.assign(epoch=epoch).groupby(["stage", "epoch"])[CURVES]
    of_all_folds = (epochs.count() == curves.fold.nunique()).all(axis=1)  # and finite: a diverged loss may be NaN
    return epochs.mean()[of_all_folds].reset_index(drop=True).rename_axis("step").reset_index()


def _rates(study: Study) -> list[dict[str, Any]]:
    """Tabulate the mean single model and the Inter-LR ensemble of each LR of the grid."""
    params = study.params
    averages, scheme = study.averages, params.weighting
    single = [_row(f"mean single {recipe}", averages[recipe]["mean"]) for recipe in params.grid]
    return single + [_row(f"Inter-LR {recipe}", study.inter(recipe, scheme).row) for recipe in params.grid]


def _schemes(study: Study) -> list[dict[str, Any]]:
    """Tabulate Inter-LR of the LR in focus and Intra-LR of the reading in focus, by every scheme."""
    params = study.params
    inter = [_row(f"Inter-LR {scheme}", study.inter(str(params.lr), scheme).row) for scheme in params.schemes]
    intra = [_row(f"Intra-LR {scheme}", study.intra(params.reading, scheme).row) for scheme in params.schemes]
    return inter + intra


def _row(model: str, row: Mapping[Any, Any]) -> dict[str, Any]:
    return {"model": model, **{measure: row[measure] for measure in SHOWN}}
