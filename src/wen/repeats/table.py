"""Read and write data/repeats.csv, which has one row per split and classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wen.errors import WenError
from wen.files import atomic, readable

SUBJECT, IMAGE, WITHOUT_COPIES = "subject", "image", "image_without_copies"
SPLITS = (SUBJECT, WITHOUT_COPIES, IMAGE)
"""Kinds of splits, from the one without leakage (by subject) to that of the thesis (by image)."""
MEASURES = ("accuracy", "balanced_accuracy", "kappa", "auc", "person_accuracy")
COLUMNS = ("split", "repeat", "images", "people", "classifier", "lr", *MEASURES)
OF_PEOPLE = ("people", "person_accuracy")
"""Columns that are empty if the subjects are unknown."""
DIGITS = 6
ON_EVERY_SPLIT = ("best_single as_written", "best_single leak_free", "majority")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows, ordered by split and repeat, with these columns:

    - ``split``: one of `SPLITS`.
    - ``repeat``: number of the draw, from 0.
    - ``images``, ``people``: numbers of images and subjects in the test set; ``people`` is empty if they are unknown.
    - ``classifier``: ``average RECIPE``, ``best_single READING``, ``inter LR SCHEME``, ``intra READING SCHEME`` or
      ``majority``.
    - ``lr``: learning rate of the classifier, or of the model that was chosen as ``best_single``; else empty.
    - `MEASURES`: metrics on the test set. ``person_accuracy`` is the mean over subjects of the accuracy of
      each, and empty if they are unknown.
    """
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = table.split.map(SPLITS.index) if len(table) else table.split
    table = table.assign(order=order).sort_values(["order", "repeat"], kind="stable")
    with atomic(path) as partial:
        table[list(COLUMNS)].to_csv(partial, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")


def read(path: Path) -> pd.DataFrame:
    """Read the table. It has no rows if params.yaml switches repeats off.

    Raises
    ------
    WenError
        If the file is missing, or was not written by `write`.
    """
    text = {"split": str, "classifier": str, "lr": str}
    dtypes: dict[str, Any] = text | {"repeat": int, "images": int, "people": "Int64"} | dict.fromkeys(MEASURES, float)
    with readable(path):
        table = pd.read_csv(path, dtype=dtypes, keep_default_na=False, na_values={name: [""] for name in OF_PEOPLE})
    is_known = tuple(table.columns) == COLUMNS and table.split.isin(SPLITS).all()
    if not is_known or not all((table.classifier == name).sum() == len(_splits(table)) for name in ON_EVERY_SPLIT):
        raise WenError(f"{path}: not as written by `wen repeats`; run `dvc repro`")
    return table


def _splits(table: pd.DataFrame) -> pd.DataFrame:
    return table[["split", "repeat"]].drop_duplicates()
