"""Read a split of one's own: a CSV with the part, and possibly the fold, of each image.

`wen code` checks the file that ``split.test`` names and copies its rows to data/own_split.json, which stage ``split``
reads: bad rows are refused before DVC deletes the last split, and a clone without the file still has them.
"""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import csv_file
from wen.data.problems import Problems
from wen.data.table import DEVELOPMENT, EXCLUDED, NO_FOLD, TEST
from wen.errors import WenError
from wen.files import read_json

PARTS = (TEST, DEVELOPMENT, EXCLUDED)


def current(name: str, params: Params, paths: Paths) -> dict[str, Any]:
    """Return the content of data/own_split.json: the rows of a file now or, if it is not here, those of its last copy.

    Raises
    ------
    WenError
        If there is neither, or the file is not a split.
    """
    file = paths.given(name)
    if file.resolve() == paths.split.resolve():
        raise WenError(f"split.test: {name} is what stage split writes; copy it to another file, and name that")
    if file.exists():
        return {"file": name, "rows": read(file, len(params.folds))}
    copy: dict[str, Any] = read_json(paths.own_split) if paths.own_split.is_file() else {}
    if copy.get("file") != name:
        raise WenError(
            f"split.test: no such file: {file}; write a CSV with the columns id, as in {paths.index}, part (test, "
            "development or excluded), and possibly fold, or set random"
        )
    return copy


def table(content: dict[str, Any]) -> pd.DataFrame:
    """Return ``part`` and, if it is given, ``fold`` by ``id``, from the content of data/own_split.json."""
    found = pd.DataFrame(content["rows"], columns=["id", "part", "fold"]).set_index("id")
    return found.drop(columns="fold") if found.fold.isna().all() else found.astype({"fold": int})


def read(path: Path, folds: int) -> list[list[Any]]:
    """Read a split.

    Parameters
    ----------
    path : Path
        A CSV with the columns ``id`` (as in data/index.csv) and ``part`` (test, development or excluded), and possibly
        ``fold``: 0..folds-1 in development, empty or -1 elsewhere. data/split.csv is such a table.
    folds : int
        Number of folds.

    Returns
    -------
    list of [str, str, int or None]
        id, part and fold of each image; the folds are None if the CSV has no column of them.

    Raises
    ------
    WenError
        If it is missing or not such a table; with a line for each cause.
    """
    content = csv_file.read(path)
    columns = [column.casefold() for column in content.columns]
    if missing := [name for name in ("id", "part") if name not in columns]:
        raise WenError(
            f"{path}: no column named {' or '.join(missing)} (columns: {content.named}); a split has the columns id, "
            "as in data/index.csv, part, and possibly fold"
        )
    for name in ("id", "part", "fold"):
        if len(named := [column for column in content.columns if column.casefold() == name]) > 1:
            raise WenError(f"{path}: {len(named)} columns are named {name}: {', '.join(named)}; keep one")
    problems = Problems()
    for line in content.uneven:
        problems.add("has another number of values than the header", f"{path}:{line}")
    rows: dict[str, list[Any]] = {}
    for line, values in content.rows:
        row = dict(zip(columns, values, strict=True))
        image, part, place = unicodedata.normalize("NFC", row["id"]), row["part"].casefold(), f"{path}:{line}"
        fold = row.get("fold", "").removesuffix(".0")  # as pandas writes beside empty values
        if image in rows or not image:
            problems.add("lists an image twice" if image else "has no id", place, image)
        if part not in PARTS:
            problems.add(f"part must be {', '.join(PARTS[:-1])} or {PARTS[-1]}", place, row["part"])
        elif "fold" in columns and part == DEVELOPMENT and fold not in map(str, range(folds)):
            problems.add(
                f"fold must be 0 to {folds - 1}, as folds in params.yaml; without a column fold, the folds are drawn",
                place,
                fold,
            )
        elif part != DEVELOPMENT and fold not in ("", str(NO_FOLD)):
            problems.add("only images of development have a fold", place, fold)
        elif "fold" in columns:
            rows[image] = [image, part, int(fold) if part == DEVELOPMENT else NO_FOLD]
            continue
        rows[image] = [image, part, None]
    if problems:
        raise WenError("\n".join(problems.lines()))
    if not rows:
        raise WenError(f"{path}: lists no images")
    return list(rows.values())


def aligned(given: pd.DataFrame, index: pd.DataFrame, folds: int) -> pd.DataFrame:
    """Return the rows of a split in the order of the images of an index.

    Raises
    ------
    WenError
        If the split lists other images, or not all; or a fold that params.yaml does not have.
    """
    problems, ids = Problems(), [unicodedata.normalize("NFC", name) for name in index.id]
    for name in given.index[~given.index.isin(ids)]:
        problems.add(f"in the split, but not an id of data/index.csv, such as {index.id.iloc[0]}", name)
    for name in index.id[~pd.Index(ids).isin(given.index)]:
        problems.add("not in the split; list it as excluded if it is not to be used", name)
    if "fold" in given and given.fold.max() >= folds:
        problems.add(f"fold must be 0 to {folds - 1}, as folds in params.yaml", given.fold.idxmax(), given.fold.max())
    if problems:
        raise WenError("\n".join(problems.lines()))
    return given.loc[ids]


def check_together(cells: pd.DataFrame, group: np.ndarray) -> None:
    """Check that images that must not be separated validate in one fold.

    Parameters
    ----------
    cells : DataFrame
        With ``id``, ``subject``, ``part`` and ``fold``.
    group : ndarray of shape (images,)
        Number of the component of each image.

    Raises
    ------
    WenError
        With a line that names people or images of several folds.
    """
    problems = Problems()
    inside = cells[cells.part == DEVELOPMENT]
    for _, images in inside.groupby(group[inside.index]):
        if images.fold.nunique() > 1:
            names = sorted(set(images.subject) - {""}) or sorted(images.id)
            problems.add(
                "images of one person, or copies of each other, are in several folds; give them the same fold, or set "
                "split.unit: image",
                " and ".join(names[:3]),
                f"folds {', '.join(map(str, sorted(images.fold.unique())))}",
            )
    if problems:
        raise WenError("\n".join(problems.lines()))
