"""Stage ``split``: which images test, which train, which validate; and an audit of what leaks."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from wen.data.table import DEVELOPMENT, EXCLUDED, NO_FOLD, TEST, read_index
from wen.errors import WenError
from wen.files import whole, write_json
from wen.params import Params, Split
from wen.paths import Paths
from wen.seeds import seed_for


def run(params: Params, paths: Paths) -> None:
    """Write data/split.csv (id, part, fold) and the leak audit, metrics/split.json."""
    index = read_index(paths)
    cells = assign(index, params.split, len(params.folds), params.seed)
    report = {"unit": params.split.unit, "test_set": params.split.test, **audit(cells)}
    with whole(paths.split) as partial:
        cells[["id", "part", "fold"]].to_csv(partial, index=False, lineterminator="\n")
    write_json(paths.split_metrics, report)


def assign(index: pd.DataFrame, options: Split, folds: int, seed: int) -> pd.DataFrame:
    """Give each image a part and each development image the fold in which it validates.

    Parameters
    ----------
    index : DataFrame
        data/index.csv.
    options : Split
        ``unit: subject`` keeps connected components of "same subject or same pixels" whole;
        ``test: preliminary`` holds out the challenge's preliminary set.
    folds : int
        Number of folds.
    seed : int
        Equal arguments give equal splits.

    Returns
    -------
    DataFrame
        ``index`` with ``part`` (test, development, or excluded: in a component that reaches into a
        preliminary test set) and ``fold`` (0..folds-1, or -1 outside development).

    Raises
    ------
    WenError
        If there are too few images, subjects or preliminary images to do so.
    """
    group = components(index) if options.unit == "subject" else np.arange(len(index))
    part = np.full(len(index), DEVELOPMENT, dtype=object)
    if options.test == "preliminary":
        test = (index.source == "preliminary").to_numpy()
        if not test.any():
            raise WenError("split.test: preliminary, but the index holds no preliminary image")
        part[np.isin(group, group[test])] = EXCLUDED
        part[test] = TEST
    else:
        part[_random_test(index.label.to_numpy(), group, options, seed)] = TEST
    fold = np.full(len(index), NO_FOLD)
    development = np.flatnonzero(part == DEVELOPMENT)
    label, groups = index.label.to_numpy()[development], group[development]
    _enough(label, groups, folds)
    splitter = StratifiedGroupKFold if options.unit == "subject" else StratifiedKFold
    by_fold = splitter(folds, shuffle=True, random_state=seed_for(seed, what="folds"))
    grouping = (groups,) if options.unit == "subject" else ()
    for k, (_, validation) in enumerate(by_fold.split(label, label, *grouping)):
        fold[development[validation]] = k
    cells = index.assign(part=part, fold=fold)
    _two_classes_everywhere(cells)
    return cells


def components(index: pd.DataFrame) -> np.ndarray:
    """Number the connected components of "same subject or same pixels", one number for each image."""
    subject, _ = pd.factorize(index.subject)
    pixels, unique = pd.factorize(index.pixels)
    n_subjects = subject.max() + 1
    size = n_subjects + len(unique)
    graph = coo_array((np.ones(len(index)), (subject, n_subjects + pixels)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    return component[subject]


def audit(cells: pd.DataFrame) -> dict[str, Any]:
    """Count what each boundary lets through.

    Parameters
    ----------
    cells : DataFrame
        The index with ``part`` and ``fold``.

    Returns
    -------
    dict
        Sizes; subjects and duplicate images (equal pixels) on both sides of test | development and
        of each fold's train | validation.
    """
    development, test = cells[cells.part == DEVELOPMENT], cells[cells.part == TEST]
    folds = {}
    for fold, validation in development.groupby("fold"):
        folds[str(fold)] = _shared(validation, development[development.fold != fold])
    return {
        "development": _size(development),
        "test": _size(test),
        "excluded": _size(cells[cells.part == EXCLUDED]),
        "test_and_development": _shared(test, development),
        "validation_and_train": folds,
    }


def _random_test(label: np.ndarray, group: np.ndarray, options: Split, seed: int) -> np.ndarray:
    if options.unit == "image":
        try:
            _, test = train_test_split(
                np.arange(len(label)),
                test_size=options.test_fraction,
                stratify=label,
                random_state=seed_for(seed, what="test"),
            )
        except ValueError as error:
            raise WenError(f"split: {len(label)} images are too few for a test set of each class ({error})") from None
        return test
    parts = round(1 / options.test_fraction)
    _enough(label, group, parts)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed_for(seed, what="test"))
    # One of the parts at random: the first one always holds the largest group.
    chosen = np.random.default_rng(seed_for(seed, what="test")).integers(parts)
    return list(splitter.split(label, label, group))[chosen][1]


def _enough(label: np.ndarray, group: np.ndarray, parts: int) -> None:
    for value, name in ((1, "ALL"), (0, "HEM")):
        found = len(np.unique(group[label == value]))
        if found < parts:
            raise WenError(
                f"split: {found} independent groups of {name} images are too few for {parts} parts; "
                "use fewer folds, split.unit: image, or more data"
            )


def _two_classes_everywhere(cells: pd.DataFrame) -> None:
    for (part, fold), own in cells[cells.part != EXCLUDED].groupby(["part", "fold"]):
        if own.label.nunique() < 2:
            where = "the test set" if part == TEST else f"fold {fold}"
            raise WenError(
                f"split: {where} holds only one class ({len(own)} images); change seed, use fewer folds "
                "or split.unit: image"
            )


def _size(cells: pd.DataFrame) -> dict[str, int]:
    return {
        "images": len(cells),
        "ALL": int((cells.label == 1).sum()),
        "HEM": int((cells.label == 0).sum()),
        "subjects": cells.subject.nunique(),
    }


def _shared(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    subjects = sorted(set(one.subject) & set(other.subject))
    duplicates = one[one.pixels.isin(other.pixels)]
    return {
        "images": len(one),
        "shared_subjects": len(subjects),
        "images_of_shared_subjects": int(one.subject.isin(subjects).sum()),
        "duplicate_images": len(duplicates),
        "duplicates": sorted(duplicates.id),
    }
