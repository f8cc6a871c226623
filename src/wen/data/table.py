"""The tables of data/ as the later stages read them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wen.config.paths import Paths
from wen.errors import WenError

TEST, DEVELOPMENT, EXCLUDED = "test", "development", "excluded"  # values of ``part``
NO_FOLD = -1  # value of ``fold`` outside development
INDEX = ("id", "path", "label", "subject", "source", "width", "height", "sha256", "pixels")
SPLIT = ("id", "part", "fold")
COPIES = ("one", "other", "kind", "turn", "correlation", "difference", "equal")
EXACT, NEAR = "exact", "near"  # values of ``kind``


def read_index(paths: Paths) -> pd.DataFrame:
    """Read data/index.csv; the row number is the image's row in data/features.

    Raises
    ------
    WenError
        If it is missing or not as `wen prepare` wrote it.
    """
    index = _read(paths.index, INDEX, ("label", "width", "height"), "wen prepare")
    _check(index.label.isin([0, 1]), paths.index, "label must be 0 or 1")
    _check(~index.id.duplicated(), paths.index, "id occurs twice")
    return index


def read_copies(paths: Paths) -> pd.DataFrame:
    """Read data/copies.csv: pairs of images in data/index.csv that are copies of each other; it may hold none.

    Returns
    -------
    DataFrame
        One row per pair: ids ``one`` < ``other``; ``kind``, exact (equal pixels) or near; ``turn``, the symmetry
        (`wen.data.symmetry`) that maps the other image onto the one; ``correlation`` and mean ``difference`` of the
        grey levels of the aligned cells, after brightness and contrast are matched; ``equal``, the share of equal
        pixels.

    Raises
    ------
    WenError
        If it is missing, not as `wen prepare` wrote it, or lists images that are not in data/index.csv.
    """
    path, ids = paths.copies, read_index(paths).id
    copies = _read(path, COPIES, ("turn",), "wen prepare", may_be_empty=True)
    _check(copies.kind.isin([EXACT, NEAR]), path, "kind must be exact or near")
    _check(copies.one < copies.other, path, "one must come before other")
    for name in ("one", "other"):
        _check(copies[name].isin(ids), path, f"{name} is not an image of {paths.index}")
    _check(~copies.duplicated(["one", "other"]), path, "pair occurs twice")
    measures = ["correlation", "difference", "equal"]
    for name in measures:
        _check(pd.to_numeric(copies[name], errors="coerce").notna(), path, f"{name} must be a number")
    return copies.astype(dict.fromkeys(measures, float))


def read_cells(paths: Paths) -> pd.DataFrame:
    """Read data/index.csv, with the ``part`` and ``fold`` of each image from data/split.csv.

    Raises
    ------
    WenError
        If one is missing or not as its stage wrote it.
    """
    index, split = read_index(paths), _read(paths.split, SPLIT, ("fold",), "wen split")
    if not index.id.equals(split.id):
        raise WenError(f"{paths.split}: lists other images than {paths.index}; run `wen split`")
    _check(split.part.isin([TEST, DEVELOPMENT, EXCLUDED]), paths.split, "part must be test, development or excluded")
    inside = split.part == DEVELOPMENT
    _check((split.fold >= 0) == inside, paths.split, "fold must count from 0 in development and be -1 elsewhere")
    return index.assign(part=split.part, fold=split.fold)


@dataclass(frozen=True)
class FoldRows:
    """Rows of data/index.csv by their role when one fold is the validation data."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def predicted(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows that a model of the fold is not trained on: validation, then test."""
        return self.validation, self.test


def rows_of_fold(cells: pd.DataFrame, fold: int) -> FoldRows:
    """Find the training, validation and test images of a fold; ``cells`` is the table of `read_cells`."""
    development, validates = cells.part == DEVELOPMENT, cells.fold == fold
    masks = development & ~validates, development & validates, cells.part == TEST
    return FoldRows(*map(np.flatnonzero, masks))


def has_subjects(index: pd.DataFrame) -> bool:
    """Whether the subjects of the images are known; otherwise `wen prepare` leaves the column empty."""
    return bool((index.subject != "").any())


def _read(
    path: Path, columns: tuple[str, ...], numbers: tuple[str, ...], command: str, may_be_empty: bool = False
) -> pd.DataFrame:
    remedy = f"run `{command}`"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise WenError(f"{path}: not found; {remedy} first") from None
    except (ValueError, pd.errors.ParserError) as error:  # not UTF-8, empty, or rows of unequal length
        found = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise WenError(f"{path}: damaged ({found}); {remedy}") from None
    if tuple(table.columns) != columns:
        raise WenError(f"{path}: columns {','.join(table.columns)}; expected {','.join(columns)}; {remedy}")
    if table.empty and not may_be_empty:
        raise WenError(f"{path}: lists no images; {remedy}")
    for name in numbers:
        _check(table[name].str.fullmatch(r"-?[0-9]{1,9}"), path, f"{name} must be an integer")
    return table.astype(dict.fromkeys(numbers, int))


def _check(valid: pd.Series, path: Path, problem: str) -> None:
    """Reject a table with an invalid row, and name the line of the first one."""
    if not valid.all():
        line = int((~valid).to_numpy().argmax()) + 2
        raise WenError(f"{path}:{line}: {problem}. The table was edited by hand; delete it and run `dvc repro`")
