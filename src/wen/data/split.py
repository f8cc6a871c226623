"""Stage ``split``: assign images to test, training and validation, and audit leaks between them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from wen.config.params import Params, Split
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data import held_out, own_split
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
    given = own_split.table(read_json(paths.own_split)) if options.file else None
    cells = assign(index, copies, options, len(params.folds), params.seed, given)
    requested, reached = options.test_fraction, float((cells.part == TEST).mean())
    with atomic(paths.split) as partial:
        cells[["id", "part", "fold"]].to_csv(partial, index=False, lineterminator="\n")
    about = {**_settings(params), "folds_drawn": given is None or "fold" not in given}
    about |= {"test_fraction": {"asked": requested, "reached": reached}}
    write_json(paths.split_metrics, about | audit(cells, copies, params.dataset.near_copies))
    if options.test == "random" and abs(reached - requested) > TOLERANCE:
        by_subject = "; no test set that keeps people and their copies together comes closer"
        print(
            f"split: the test set contains {reached:.1%} of the images instead of split.test_fraction, "
            f"{requested:.1%}{by_subject if options.unit == 'subject' else ', because their number is rounded up'}"
        )
    related = int((cells.part == EXCLUDED).sum()) - (0 if given is None else int((given.part == EXCLUDED).sum()))
    if related:
        print(
            "split: images that are not used, because they show people of the test set or are copies of its images: "
            f"{related:,}"
        )


def audited(params: Params, paths: Paths) -> dict[str, Any] | None:
    """Read metrics/split.json, if it was made with these parameters; None for a split of the user's own.

    Its CSV may have changed since.
    """
    if params.split.file or not paths.split_metrics.is_file():
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


def assign(
    index: pd.DataFrame,
    copies: pd.DataFrame,
    options: Split,
    folds: int,
    seed: int,
    given: pd.DataFrame | None = None,
) -> pd.DataFrame:
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
    given : DataFrame, optional
        The split that ``test`` names, as `own_split.table` returns it. Folds that it does not give are drawn.

    Returns
    -------
    DataFrame
        ``index`` with ``part`` and ``fold``. ``part`` is test, development or excluded; excluded images share a
        component with a test set that was not drawn, or are excluded by ``given``. ``fold`` is 0..folds-1, or -1
        outside development.

    Raises
    ------
    WenError
        If there are too few images or subjects, or no images of the part to hold out; or if ``given`` lists other
        images, or by subject divides a component between folds.
    """
    if options.unit == "subject" and not has_subjects(index):
        raise WenError(
            "split.unit: subject needs the subjects of the images, and these data do not name them; provide a table "
            "with a column subject (make study DATA=... TABLE=cells.csv), or set split.unit: image"
        )
    group = components(index, copies) if options.unit == "subject" else np.arange(len(index))
    part = np.full(len(index), DEVELOPMENT, dtype=object)
    if given is not None:
        given = own_split.aligned(given, index, folds)
        part = _without_relatives(given.part.to_numpy(), group)
    elif options.test != "random":
        test = (index.source == options.test).to_numpy()
        if not test.any():
            raise WenError(
                f"split.test: {options.test}, but there are no images of {options.test}; set random, or add such images"
            )
        part[test] = TEST
        part = _without_relatives(part, group)
    else:
        part[_random_test(index.label.to_numpy(), group, options, folds, seed)] = TEST
    if given is not None and "fold" in given:
        cells = index.assign(part=part, fold=np.where(part == DEVELOPMENT, given.fold, NO_FOLD))
        own_split.check_together(cells, group)
    else:
        cells = index.assign(part=part, fold=_folds(index.label.to_numpy(), group, part, options, folds, seed))
    _check_classes(cells, folds, options.file)
    return cells


def _without_relatives(part: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Exclude the development images that share a component with a test image."""
    related = (part == DEVELOPMENT) & np.isin(group, group[part == TEST])
    return np.where(related, EXCLUDED, part)


def _folds(label: np.ndarray, group: np.ndarray, part: np.ndarray, options: Split, folds: int, seed: int) -> np.ndarray:
    """Draw the fold of each development image."""
    fold = np.full(len(part), NO_FOLD)
    development = np.flatnonzero(part == DEVELOPMENT)
    label, group = label[development], group[development]
    _check_groups(label, group, folds, f"{folds} folds", options.file)
    splitter = StratifiedGroupKFold if options.unit == "subject" else StratifiedKFold
    by_fold = splitter(folds, shuffle=True, random_state=seed_for(seed, what="folds"))
    grouping = (group,) if options.unit == "subject" else ()
    inside = np.empty(len(development), dtype=int)
    for k, (_, validation) in enumerate(by_fold.split(label, label, *grouping)):
        inside[validation] = k
    fold[development] = _with_both_classes(inside, label, group, folds)
    return fold


def _with_both_classes(fold: np.ndarray, label: np.ndarray, group: np.ndarray, folds: int) -> np.ndarray:
    """Give a fold that lacks a class the smallest group that has it and that its own fold can spare.

    `StratifiedGroupKFold` can leave a fold without a class although there are as many groups of it as folds, and does
    so for nearly every seed.
    """
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    fold_of = fold[first]
    classes = np.stack([np.bincount(group, label == value) > 0 for value in (0, 1)])  # whether each group has them
    size = np.bincount(group)
    for k in range(folds):
        for has_class in classes:
            if has_class[fold_of == k].any():
                continue
            groups = np.stack([np.bincount(fold_of, has, folds) for has in classes])  # of each class in each fold
            spare = has_class & ((groups[:, fold_of] > 1) | ~classes).all(axis=0)
            fold_of[np.flatnonzero(spare)[size[spare].argmin()]] = k
    return fold_of[group]


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
    _check_groups(label, group, folds + 1, f"a test set and {folds} folds", None)
    counts = np.stack([np.bincount(group[label == value], minlength=group.max() + 1) for value in (1, 0)], axis=1)
    rng = np.random.default_rng(seed_for(seed, what="test"))
    return np.flatnonzero(held_out.choose(counts, options.test_fraction, folds, rng)[group])


def _check_groups(label: np.ndarray, group: np.ndarray, parts: int, purpose: str, file: str | None) -> None:
    """Check that each class has at least as many groups as there are parts; ``file`` is the split's CSV."""
    for value, name in ((1, "positive"), (0, "negative")):
        groups, grouped = len(np.unique(group[label == value])), len(np.unique(group)) < len(group)
        if groups < parts:
            more = f"mark more of them as development in {file}" if file else "add images"
            raise WenError(
                f"split: too few {'independent groups of ' * grouped}{name} images for {purpose}: {groups}; "
                f"use fewer folds{', set split.unit: image,' * grouped} or {more}"
            )


def _check_classes(cells: pd.DataFrame, folds: int, file: str | None) -> None:
    """Check that the test set and every fold contain both classes; ``file`` is the split's CSV, if it has one."""
    for fold in (NO_FOLD, *range(folds)):
        images = cells[(cells.part == (TEST if fold == NO_FOLD else DEVELOPMENT)) & (cells.fold == fold)]
        if images.label.nunique() < 2:
            where = "the test set" if fold == NO_FOLD else f"fold {fold}"
            found = f"contains only one class ({len(images)} images)" if len(images) else "contains no images"
            drawn = "change seed, use fewer folds or set split.unit: image"
            raise WenError(f"split: {where} {found}; {f'give it images of both classes in {file}' if file else drawn}")
