"""data/repeats.csv: a row for each split and each classifier on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wen.errors import WenError
from wen.files import atomic, readable

SUBJECT, IMAGE, WITHOUT_COPIES = "subject", "image", "image_without_copies"
SPLITS = (SUBJECT, WITHOUT_COPIES, IMAGE)
"""Ways to split, from the one that leaks nothing to the thesis'."""
MEASURES = ("accuracy", "balanced_accuracy", "kappa", "auc", "person_accuracy")
COLUMNS = ("split", "repeat", "images", "people", "classifier", "lr", *MEASURES)
DIGITS = 6
ON_EVERY_SPLIT = ("best_single as_written", "best_single leak_free", "majority")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows, in the order of splits and repeats.

    ``split``: `SPLITS`; ``repeat``: the number of the draw, from 0; ``images``, ``people``: in its test set;
    ``classifier``: ``average RECIPE``, ``best_single READING``, ``inter LR SCHEME``, ``intra READING SCHEME`` or
    ``majority``; ``lr``: its learning rate, of a best single model the one that was chosen, else empty; then `MEASURES`
    on the test set, of which ``person_accuracy`` is the mean over people of each one's accuracy.
    """
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = table.split.map(SPLITS.index) if len(table) else table.split
    table = table.assign(order=order).sort_values(["order", "repeat"], kind="stable")
    with atomic(path) as partial:
        table[list(COLUMNS)].to_csv(partial, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")


def read(path: Path) -> pd.DataFrame:
    """Read it; without a row where params.yaml switches repeats off.

    Raises
    ------
    WenError
        If it is missing, or not as `write` wrote it.
    """
    text = {"split": str, "classifier": str, "lr": str}
    kinds: dict[str, Any] = text | {"repeat": int, "images": int, "people": int} | dict.fromkeys(MEASURES, float)
    with readable(path):
        table = pd.read_csv(path, dtype=kinds, keep_default_na=False)
    known = tuple(table.columns) == COLUMNS and table.split.isin(SPLITS).all()
    if not known or not all((table.classifier == name).sum() == len(_splits(table)) for name in ON_EVERY_SPLIT):
        raise WenError(f"{path}: not as written by `wen repeats`; run `dvc repro`")
    return table


def _splits(table: pd.DataFrame) -> pd.DataFrame:
    return table[["split", "repeat"]].drop_duplicates()
