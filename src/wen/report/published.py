"""Published results on the same question, as the protocol lists them."""

from importlib.resources import files

import pandas as pd

from wen.results import Study

MEASURES = ("accuracy", "f1", "auc")
"""F1 is the weighted F1 of the challenge where the paper gives it."""


def results() -> pd.DataFrame:
    """Read published results: ``study``, ``network``, ``data``, ``split`` (subject, or unstated), and `MEASURES`."""
    with files("wen.report").joinpath("published.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, keep_default_na=False, na_values=dict.fromkeys(MEASURES, ""))


def beside(study: Study, name: str) -> pd.DataFrame:
    """Put this study's classifier in focus beside the published results, unless its cells are synthetic."""
    table = results().assign(focus=False)
    if study.params.dataset.source == "synthetic":
        return table
    row = study.focus.row
    focus = {
        "study": name,
        "network": study.params.backbone.name,
        "data": f"C-NMC {study.params.split.test}",
        "split": study.params.split.unit,
        "accuracy": row["accuracy"],
        "f1": row["weighted_f1"],
        "auc": row["auc"],
        "focus": True,
    }
    return pd.concat([table, pd.DataFrame([focus])], ignore_index=True)
