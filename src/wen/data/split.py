"""Stage ``split``: assign images to test, training and validation, and audit leaks between them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from wen.config.params import Params, Split
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data import held_out
from wen.data.components import components
from wen.data.leaks import audit
from wen.data.table import DEVELOPMENT, EXCLUDED, NO_FOLD, TEST, has_subjects, read_copies, read_index
from wen.errors import WenError
from wen.files import atomic, read_json, write_json

TOLERANCE = 0.01
"""If the test fraction differs more from the requested one, `run` prints it."""


def run(params: Params, paths: Paths) -> None:
    """Write data/split.csv (id, part, fold) and the leak audit, metrics/split.json."""
    index, copies, options = read_index(paths), read_copies(paths), params.split
    cells = assign(index, copies, options, len(params.folds), params.seed)
    requested, reached = options.test_fraction, float((cells.part == TEST).mean())
    with atomic(paths.split) as partial:
        cells[["id", "part", "fold"]].to_csv(partial, index=False, lineterminator="\n")
    fraction = {"asked": requested, "reached": reached}
    write_json(paths.split_metrics, {**_settings(params), "test_fraction": fraction, **audit(cells, copies)})
    if options.test == "random" and abs(reached - requested) > TOLERANCE:
        print(
            f"split: the test set contains {reached:.1%} of the images instead of split.test_fraction, "
            f"{requested:.1%}; no test set that keeps people and their copies together comes closer"
        )


def audited(params: Params, paths: Paths) -> dict[str, Any] | None:
    """Read metrics/split.json, if it exists and was made with these parameters."""
    if not paths.split_metrics.is_file():
        return None
    report = read_json(paths.split_metrics)
    if not isinstance(report, dict) or not _settings(params).items() <= report.items():
        return None
    if params.split.test == "random" and report["test_fraction"]["asked"] != params.split.test_fraction:
        return None
    return report


def _settings(params: Params) -> dict[str, Any]:
    return {
        "unit": params.split.unit,
        "test_set": params.split.test,
        "folds": len(params.folds),
        "seed": params.seed,
    }


def assign(index: pd.DataFrame, copies: pd.DataFrame, options: Split, folds: int, seed: int) -> pd.DataFrame:
    """Assign each image to a part, and each development image to the fold in which it is validation data.

    Parameters
    ----------
    index : DataFrame
        data/index.csv.
    copies : DataFrame
        data/copies.csv.
    options : Split
        ``unit: subject`` keeps the images of each of the `components` together. ``test: random`` holds out
        ``test_fraction`` of the images; by subject, as nearly as components allow (`wen.data.held_out`).
        ``test: preliminary``, ``fold_0``, ``fold_1`` or ``fold_2`` holds out that part of the challenge's data.
    folds : int
        Number of folds.
    seed : int
        Equal arguments give equal splits.

    Returns
    -------
    DataFrame
        ``index`` with ``part`` and ``fold``. ``part`` is test, development or excluded; excluded images share a
        component with a test set that is a part of the challenge's data. ``fold`` is 0..folds-1, or -1 outside
        development.

    Raises
    ------
    WenError
        If there are too few images or subjects, or no images of the part to hold out.
    """
    if options.unit == "subject" and not has_subjects(index):
        raise WenError(
            "split.unit: subject needs the subjects of the images, and these data do not name them; provide a table "
            "with a column subject (make study DATA=... TABLE=cells.csv), or set split.unit: image"
        )
    group = components(index, copies) if options.unit == "subject" else np.arange(len(index))
    part = np.full(len(index), DEVELOPMENT, dtype=object)
    if options.test != "random":
        test = (index.source == options.test).to_numpy()
        if not test.any():
            raise WenError(
                f"split.test: {options.test}, but there are no images of {options.test}; set random, or add such images"
            )
        part[np.isin(group, group[test])] = EXCLUDED
        part[test] = TEST
    else:
        part[_random_test(index.label.to_numpy(), group, options, folds, seed)] = TEST
    fold = np.full(len(index), NO_FOLD)
    development = np.flatnonzero(part == DEVELOPMENT)
    label, groups = index.label.to_numpy()[development], group[development]
    _check_groups(label, groups, folds, f"{folds} folds")
    splitter = StratifiedGroupKFold if options.unit == "subject" else StratifiedKFold
    by_fold = splitter(folds, shuffle=True, random_state=seed_for(seed, what="folds"))
    grouping = (groups,) if options.unit == "subject" else ()
    for k, (_, validation) in enumerate(by_fold.split(label, label, *grouping)):
        fold[development[validation]] = k
    cells = index.assign(part=part, fold=fold)
    _check_classes(cells)
    return cells


def _random_test(label: np.ndarray, group: np.ndarray, options: Split, folds: int, seed: int) -> np.ndarray:
    if options.unit == "image":
        try:
            _, test = train_test_split(
                np.arange(len(label)),
                test_size=options.test_fraction,
                stratify=label,
                random_state=seed_for(seed, what="test"),
            )
        except ValueError as error:
            raise WenError(
                f"split: {len(label)} images are too few for a test set with both classes ({error}); add images"
            ) from None
        return test
    _check_groups(label, group, folds + 1, f"a test set and {folds} folds")
    counts = np.stack([np.bincount(group[label == value], minlength=group.max() + 1) for value in (1, 0)], axis=1)
    rng = np.random.default_rng(seed_for(seed, what="test"))
    return np.flatnonzero(held_out.choose(counts, options.test_fraction, folds, rng)[group])


def _check_groups(label: np.ndarray, group: np.ndarray, parts: int, purpose: str) -> None:
    """Check that each class has at least as many groups as there are parts."""
    for value, name in ((1, "positive"), (0, "negative")):
        groups, grouped = len(np.unique(group[label == value])), len(np.unique(group)) < len(group)
        if groups < parts:
            raise WenError(
                f"split: too few {'independent groups of ' * grouped}{name} images for {purpose}: {groups}; "
                f"use fewer folds{', set split.unit: image,' * grouped} or add images"
            )


def _check_classes(cells: pd.DataFrame) -> None:
    """Check that the test set and every fold contain both classes."""
    for (part, fold), images in cells[cells.part != EXCLUDED].groupby(["part", "fold"]):
        if images.label.nunique() < 2:
            where = "the test set" if part == TEST else f"fold {fold}"
            raise WenError(
                f"split: {where} contains only one class ({len(images)} images); change seed, use fewer folds or set "
                "split.unit: image"
            )
