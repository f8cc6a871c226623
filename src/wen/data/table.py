"""The tables of data/ as the later stages read them."""

from pathlib import Path

import pandas as pd

from wen.errors import WenError
from wen.paths import Paths

TEST, DEVELOPMENT, EXCLUDED = "test", "development", "excluded"  # values of ``part``
NO_FOLD = -1  # value of ``fold`` outside development


INDEX = ("id", "path", "label", "subject", "source", "width", "height", "sha256", "pixels")
SPLIT = ("id", "part", "fold")


def read_index(paths: Paths) -> pd.DataFrame:
    """Read data/index.csv; the row number is the image's row in data/features.

    Raises
    ------
    WenError
        If it is missing or not as `wen prepare` wrote it.
    """
    index = _read(paths.index, INDEX, ("label", "width", "height"), "wen prepare")
    _check(index.label.isin([0, 1]), paths.index, "label must be 0 or 1")
    _check(~index.id.duplicated(), paths.index, "the same id again")
    return index


def read_cells(paths: Paths) -> pd.DataFrame:
    """Read data/index.csv with each image's ``part`` and ``fold`` from data/split.csv beside it.

    Raises
    ------
    WenError
        If one is missing or not as its stage wrote it.
    """
    index, split = read_index(paths), _read(paths.split, SPLIT, ("fold",), "wen split")
    if not index.id.equals(split.id):
        raise WenError(f"{paths.split}: is of other images than {paths.index}; run `wen split`")
    _check(split.part.isin([TEST, DEVELOPMENT, EXCLUDED]), paths.split, "part must be test, development or excluded")
    inside = split.part == DEVELOPMENT
    _check((split.fold >= 0) == inside, paths.split, "fold must count from 0 in development and be -1 elsewhere")
    return index.assign(part=split.part, fold=split.fold)


def _read(path: Path, columns: tuple[str, ...], numbers: tuple[str, ...], command: str) -> pd.DataFrame:
    mend = f"run `{command}`"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise WenError(f"{path}: not there yet; `{command}` writes it") from None
    except (ValueError, pd.errors.ParserError) as error:  # not UTF-8, empty, or rows of unequal length
        found = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise WenError(f"{path}: damaged ({found}); {mend}") from None
    if tuple(table.columns) != columns:
        raise WenError(f"{path}: columns {','.join(table.columns)}; expected {','.join(columns)}; {mend}")
    if table.empty:
        raise WenError(f"{path}: holds no image; {mend}")
    for name in numbers:
        _check(table[name].str.fullmatch(r"-?[0-9]{1,9}"), path, f"{name} must be a whole number")
    return table.astype(dict.fromkeys(numbers, int))


def _check(good: pd.Series, path: Path, said: str) -> None:
    """Name the first line where it is not so."""
    if not good.all():
        raise WenError(
            f"{path}:{int((~good).to_numpy().argmax()) + 2}: {said}; the table was changed by hand, make it again"
        )
