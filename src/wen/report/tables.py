"""The study's tables, gathered from metrics/ and data/predictions/."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from wen.ensemble.intra import JUDGED_ON, champions
from wen.ensemble.members import load
from wen.errors import WenError
from wen.files import read_json, read_npz
from wen.params import Params
from wen.paths import Paths

MEASURES = ("accuracy", "precision", "recall", "f1", "kappa", "auc", "specificity", "balanced_accuracy",
            "weighted_f1")  # fmt: skip
COUNTS = ("tn", "fp", "fn", "tp")


class Classifier(NamedTuple):
    """One single model or ensemble on the test set."""

    name: str
    label: np.ndarray
    probability: np.ndarray


def in_focus(params: Params, paths: Paths) -> Classifier:
    """Give the classifier that metrics/headline.json is about: ``ensemble``, ``lr``, ``weighting``, ``reading``."""
    return classifier(params, paths, params.ensemble)


def classifier(params: Params, paths: Paths, kind: str) -> Classifier:
    """Give the ``single`` champion of the LR in focus, its ``inter`` ensemble, or the ``intra`` ensemble."""
    if kind == "single":
        (member,) = champions([load(paths, params.lr, params.folds)], params.reading)
        name = f"champion of LR {params.lr} (fold {member.fold}, {params.reading})"
        return Classifier(name, member.test_label, member.test_probability)
    if kind == "inter":
        arrays = read_npz(paths.inter_predictions(params.lr))
        name = f"Inter-LR {params.lr}, weighted by {params.weighting}"
        return Classifier(name, arrays["test_label"], arrays[f"{params.weighting}_probability"])
    arrays = read_npz(paths.intra_predictions)
    name = f"Intra-LR, weighted by {params.weighting} ({params.reading})"
    key = f"{params.reading}_{params.weighting}_probability"
    return Classifier(name, arrays["test_label"], arrays[key])


def results(params: Params, paths: Paths) -> pd.DataFrame:
    """Gather every row of the result table: single models with mean and std, Inter-LR, Intra-LR.

    Returns
    -------
    DataFrame
        ``kind`` (single, mean, std, inter, intra), ``group`` (rows shown together), ``name``, ``lr``,
        ``fold``, ``scheme`` and ``reading`` (empty where they do not apply), then measures and counts.
    """
    rows: list[dict[str, Any]] = []
    for lr in params.learning_rates:
        group = f"Single models, LR {lr}"
        for fold in params.folds:
            about = {"kind": "single", "group": group, "name": f"LR {lr}, fold {fold}", "lr": lr, "fold": fold}
            rows.append(about | _row(paths.single_metrics(lr, fold)))
        for kind in ("mean", "std"):
            about = {"kind": kind, "group": group, "name": f"LR {lr}, {kind} over folds", "lr": lr}
            rows.append(about | _row(paths.single_metrics(lr, kind)))
    for lr in params.learning_rates:
        for scheme in params.schemes:
            name = f"Inter-LR {lr}, {scheme}"
            about = {"kind": "inter", "group": f"Inter-LR {lr}", "name": name, "lr": lr, "scheme": scheme}
            rows.append(about | _row(paths.inter_metrics(lr) / f"{scheme}.json"))
    for reading in JUDGED_ON:
        for scheme in params.schemes:
            group, name = f"Intra-LR ({reading})", f"Intra-LR, {scheme} ({reading})"
            about = {"kind": "intra", "group": group, "name": name, "reading": reading, "scheme": scheme}
            rows.append(about | _row(paths.intra_metrics / f"{reading}-{scheme}.json"))
    columns = ["kind", "group", "name", "lr", "fold", "scheme", "reading", *MEASURES, *COUNTS]
    return pd.DataFrame(rows, columns=columns)


def weights(params: Params, paths: Paths) -> pd.DataFrame:
    """Gather each ensemble's members with their scores M_k and weights w_k, one row a member."""
    tables = []
    for lr in params.learning_rates:
        arrays = read_npz(paths.inter_predictions(lr))
        for scheme in params.schemes:
            tables.append(_members(f"Inter-LR {lr}", scheme, arrays, "members", scheme))
    arrays = read_npz(paths.intra_predictions)
    for reading in JUDGED_ON:
        for scheme in params.schemes:
            name = f"Intra-LR ({reading})"
            tables.append(_members(name, scheme, arrays, f"{reading}_members", f"{reading}_{scheme}"))
    return pd.concat(tables, ignore_index=True)


def curves(params: Params, paths: Paths) -> pd.DataFrame:
    """Gather the learning curves: ``lr``, ``fold``, ``step`` (epoch over both stages), ``stage``, and measures."""
    tables = []
    for lr in params.learning_rates:
        for fold in params.folds:
            folder = paths.training(lr, fold) / "plots/metrics"
            table = pd.read_csv(folder / "stage.tsv", sep="\t").assign(lr=lr, fold=fold)
            for measure in ("loss", "accuracy"):
                for part in ("train", "validation"):
                    table[f"{part}_{measure}"] = pd.read_csv(folder / measure / f"{part}.tsv", sep="\t")[part]
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _members(name: str, scheme: str, arrays: dict[str, np.ndarray], members: str, key: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ensemble": name,
            "scheme": scheme,
            "member": arrays[members],
            "score": arrays[f"{key}_score"],
            "weight": arrays[f"{key}_weight"],
        }
    )


def _row(path: Any) -> dict[str, float]:
    try:
        row: dict[str, float] = read_json(path)
    except FileNotFoundError:
        raise WenError(f"{path}: not there yet; `dvc repro` runs what is missing") from None
    return row
