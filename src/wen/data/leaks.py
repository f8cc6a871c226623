"""Audit a split: count the people and the copies of images that its parts share."""

import sys
from typing import Any

import pandas as pd

from wen.config.paths import Paths
from wen.data.table import DEVELOPMENT, EXCLUDED, NEAR, TEST, has_subjects, read_cells, read_copies
from wen.files import read_json


def of_study(paths: Paths) -> dict[str, Any]:
    """Read metrics/split.json, with the audit of data/split.csv as it is now.

    `wen split` writes both, but DVC accepts an edited data/split.csv (`dvc commit`), whose leaks would be unknown.
    """
    recorded = read_json(paths.split_metrics)
    searched = read_json(paths.dataset_metrics)["copies"][NEAR] is not None
    found = audit(read_cells(paths), read_copies(paths), searched)
    if not found.items() <= recorded.items():
        print(
            f"{paths.split}: edited since `wen split` wrote it and {paths.split_metrics}; the report has the leaks of "
            "the edited split",
            file=sys.stderr,
        )
    return {**recorded, **found}


def audit(cells: pd.DataFrame, copies: pd.DataFrame, near_copies: bool = True) -> dict[str, Any]:
    """Count the leaks between test and development, and between validation and training in each fold.

    Parameters
    ----------
    cells : DataFrame
        The index with ``part`` and ``fold``.
    copies : DataFrame
        data/copies.csv.
    near_copies : bool
        Whether near-copies were searched for.

    Returns
    -------
    dict
        Sizes of ``development``, ``test`` and ``excluded``; and the leaks of ``test_and_development`` and, by fold, of
        ``validation_and_train``: shared subjects, exact duplicates (equal pixels) and near-copies. Images and their ids
        are those of the first set with a copy in the second one; pairs are counted, too. Counts of subjects are None
        if the subjects are unknown, those of near-copies if these were not searched for.
    """
    development, test = cells[cells.part == DEVELOPMENT], cells[cells.part == TEST]
    near = copies[copies.kind == NEAR] if near_copies else None
    folds = {}
    for fold, validation in development.groupby("fold"):
        folds[str(fold)] = _shared(validation, development[development.fold != fold], near)
    return {
        "development": _size(development),
        "test": _size(test),
        "excluded": _size(cells[cells.part == EXCLUDED]),
        "test_and_development": _shared(test, development, near),
        "validation_and_train": folds,
    }


def _size(cells: pd.DataFrame) -> dict[str, int | None]:
    return {
        "images": len(cells),
        "positive": int((cells.label == 1).sum()),
        "negative": int((cells.label == 0).sum()),
        "subjects": cells.subject.nunique() if has_subjects(cells) or cells.empty else None,
    }


def _shared(one: pd.DataFrame, other: pd.DataFrame, near: pd.DataFrame | None) -> dict[str, Any]:
    """Count the images of ``one`` that share a subject or are copies with an image of ``other``."""
    known = has_subjects(one)
    subjects = set(one.subject) & set(other.subject)
    duplicates = one[one.pixels.isin(other.pixels)]
    return {
        "images": len(one),
        "shared_subjects": len(subjects) if known else None,
        "images_of_shared_subjects": int(one.subject.isin(subjects).sum()) if known else None,
        "duplicate_images": len(duplicates),
        "duplicate_pairs": len(one[["pixels"]].merge(other[["pixels"]])),
        "duplicates": sorted(duplicates.id),
        **_near_copies(one, other, near),
    }


def _near_copies(one: pd.DataFrame, other: pd.DataFrame, near: pd.DataFrame | None) -> dict[str, Any]:
    if near is None:
        return dict.fromkeys(("near_copy_images", "near_copy_pairs", "near_copies"))
    both_ways = pd.concat([near[["one", "other"]], near[["other", "one"]].set_axis(["one", "other"], axis=1)])
    across = both_ways[both_ways.one.isin(one.id) & both_ways.other.isin(other.id)]
    return {
        "near_copy_images": across.one.nunique(),
        "near_copy_pairs": len(across),
        "near_copies": sorted(across.one.unique()),
    }
