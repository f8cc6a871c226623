"""The tables of data/ as the later stages read them."""

from pathlib import Path

import pandas as pd

from wen.errors import WenError
from wen.paths import Paths

TEST, DEVELOPMENT, EXCLUDED = "test", "development", "excluded"  # values of ``part``
NO_FOLD = -1  # value of ``fold`` outside development


def read_index(paths: Paths) -> pd.DataFrame:
    """Read data/index.csv; the row number is the image's row in data/features."""
    return _read(paths.index, "wen prepare")


def read_cells(paths: Paths) -> pd.DataFrame:
    """Read data/index.csv with each image's ``part`` and ``fold`` from data/split.csv beside it."""
    index, split = read_index(paths), _read(paths.split, "wen split")
    if not index.id.equals(split.id):
        raise WenError(f"{paths.split}: is of other images than {paths.index}; run `wen split`")
    return index.assign(part=split.part, fold=split.fold)


def _read(path: Path, command: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"id": str, "subject": str}, keep_default_na=False)
    except FileNotFoundError:
        raise WenError(f"{path}: not there yet; `{command}` writes it") from None
