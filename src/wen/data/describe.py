"""Describe a data set, for metrics/dataset.json and for the user who brings it."""

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from wen.config.params import Dataset, Params
from wen.config.paths import Paths
from wen.data import copies, images, outliers, people
from wen.data.cell import Cell
from wen.data.folder import some
from wen.data.readers.listing import Listing
from wen.data.table import has_subjects, read_copies, read_index
from wen.files import read_json

FEW = 0.1  # values per image: if there are more, as with free sizes, classes may share none by accident
UNLIKE = 20  # images that differ from the others; more are counted, but not named


def summary(index: pd.DataFrame, looks: pd.DataFrame, listing: Listing, params: Params) -> dict[str, Any]:
    """Describe images for metrics/dataset.json; facts about subjects are None if they are unknown.

    Parameters
    ----------
    index, looks : DataFrame
        As `wen.data.prepare.survey` returns them.
    listing : Listing
    params : Params
        Its ``images.crop`` determines which images are padded.
    """
    usual = outliers.ranges(looks)
    return _of_index(index) | {
        "people": listing.people if has_subjects(index) else None,
        "unlabelled_final_images": len(listing.final),
        "labelled_but_missing": len(listing.missing),
        "not_read": listing.not_read,
        "width": [int(index.width.min()), int(index.width.max())],
        "height": [int(index.height.min()), int(index.height.max())],
        "padded": sum(
            images.is_padded(width, height, params.images.crop)
            for width, height in zip(index.width.tolist(), index.height.tolist(), strict=True)
        ),
        "cell_area_share": _by_class(looks.area, index),
        "cell_intensity": _by_class(looks[["red", "green", "blue"]].mean(axis=1), index),
        "usual": usual,
        "unlike": _unlike(index, looks, usual),
    }


def of_study(paths: Paths) -> dict[str, Any]:
    """Read metrics/dataset.json, with the counts of data/index.csv as it is now.

    `wen prepare` writes both, but DVC accepts an edited data/index.csv (`dvc commit`), whose counts would be unknown.
    """
    recorded, index = read_json(paths.dataset_metrics), read_index(paths)
    found = _of_index(index)
    if recorded["people"]:
        columns = [index[name].tolist() for name in ("id", "path", "label", "subject", "source")]
        cells = [Cell(id, Path(path), *rest) for id, path, *rest in zip(*columns, strict=True)]
        found["people"] = {**recorded["people"], "of_both_classes": people.of_both_classes(cells)}
    edited = {key: value for key, value in found.items() if recorded.get(key, value) != value}
    if edited:
        print(
            f"{paths.index}: edited since `wen prepare` wrote it and {paths.dataset_metrics}; the report has the "
            f"edited table's {', '.join(edited)}",
            file=sys.stderr,
        )
        pairs, counts = read_copies(paths), recorded["copies"]
        edited["copies"] = {kind: counts[kind] and copies.summary(index, pairs[pairs.kind == kind]) for kind in counts}
    return {**recorded, **edited}


def _of_index(index: pd.DataFrame) -> dict[str, Any]:
    """Count what data/index.csv lists; facts about subjects are None if they are unknown."""
    same_pixels = index.groupby("pixels").size()
    same_file = index.groupby("sha256").size()
    return {
        "images": len(index),
        "positive": int((index.label == 1).sum()),
        "negative": int((index.label == 0).sum()),
        "images_by_source": index.source.value_counts().sort_index().to_dict(),
        "duplicate_pairs": int((same_pixels * (same_pixels - 1) // 2).sum()),
        "duplicate_pairs_same_bytes": int((same_file * (same_file - 1) // 2).sum()),
    } | _people(index)


def _by_class(values: pd.Series, index: pd.DataFrame) -> dict[str, float]:
    """Mean of each class."""
    return {
        name: float(values[(index.label == label).to_numpy()].mean())
        for label, name in ((1, "positive"), (0, "negative"))
    }


def _people(index: pd.DataFrame) -> dict[str, Any]:
    """Describe the subjects; all values are None if the subjects are unknown."""
    if not has_subjects(index):
        unknown = ("subjects", "training_subjects", "duplicate_pairs_by_subjects", "cells_per_subject")
        return dict.fromkeys(unknown)
    pairs = Counter(
        " and ".join(sorted(pair)) for _, group in index.groupby("pixels") for pair in combinations(group.subject, 2)
    )
    return {
        "subjects": index.subject.nunique(),
        "training_subjects": index[index.source != "preliminary"].subject.nunique(),
        "duplicate_pairs_by_subjects": dict(sorted(pairs.items(), key=lambda count: (-count[1], count[0]))),
        "cells_per_subject": index.subject.value_counts().describe()[["min", "50%", "max"]].to_dict(),
    }


def _unlike(index: pd.DataFrame, looks: pd.DataFrame, usual: outliers.Ranges) -> dict[str, Any]:
    """Count the images that differ from the others, with the reasons for the first few."""
    unlike = [
        {"id": id, "reasons": reasons}
        for id, look in zip(index.id, looks.to_dict("records"), strict=True)
        if (reasons := outliers.reasons({str(name): float(value) for name, value in look.items()}, usual))
    ]
    return {"count": len(unlike), "examples": unlike[:UNLIKE]}


def shortcuts(index: pd.DataFrame, looks: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Report what a network can learn instead of the cells: what alone shows the class of every image, or a person.

    Parameters
    ----------
    index, looks : DataFrame
        As `wen.data.prepare.survey` returns them.
    classes : sequence of str
        Names of the negative and the positive class.
    """
    ending = index.path.str.extract(r"\.(\w+)$", expand=False).str.lower()
    size = index.width.astype(str) + "x" + index.height.astype(str) + " px"
    grey = (looks[list(outliers.HUES)].abs().max(axis=1) < outliers.GREY).map({True: "grey", False: "colour"})
    lines = []
    for what, values in (
        ("format", ending.replace({"jpeg": "jpg", "tiff": "tif"})),
        ("size", size),
        ("colour", grey),
    ):
        found = [values[index.label == label].value_counts() for label in (0, 1)]
        few = sum(map(len, found)) <= len(index) * FEW
        apart = what == "size" and any(_apart(index[side], index.label) for side in ("width", "height"))
        if set(found[0].index).isdisjoint(found[1].index) and (few or apart):
            named = [f"{name}: {some([f'{value} ({count:,})' for value, count in counts.items()])}"
                     for name, counts in zip(classes, found, strict=True)]  # fmt: skip
            lines.append(
                f"the {what} of an image alone shows its class, so that a network can learn it instead of the cells "
                f"({'; '.join(named)}); make it the same for both classes"
            )
    for label, name in enumerate(classes):
        if has_subjects(index) and index[index.label == label].subject.nunique() == 1:
            lines.append(
                f"all images of class {name} are of one subject, so that what distinguishes the classes cannot be told "
                "from what distinguishes this person; add subjects"
            )
    return lines


def _apart(values: pd.Series, label: pd.Series) -> bool:
    """Whether all values of one class are below those of the other."""
    (low, high), (lowest, highest) = ((values[label == one].min(), values[label == one].max()) for one in (0, 1))
    return bool(high < lowest or highest < low)


def remarks(summary: dict[str, Any], dataset: Dataset) -> list[str]:
    """Report what the user should check before the study, from `summary`."""
    lines = []
    if (unlike := summary["unlike"])["count"]:
        named = [f"{image['id']} ({'; '.join(image['reasons'])})" for image in unlike["examples"]]
        lines.append(
            f"images that differ from the others and may show no cell ({unlike['count']:,}); check them: "
            f"{some(named, unlike['count'])}"
        )
    if summary["padded"]:
        lines.append(
            f"{summary['padded']:,} of {summary['images']:,} images are not square, or are smaller than images.crop; "
            "they are padded with black"
        )
    if summary["subjects"] == summary["images"] and not dataset.of_cnmc:
        lines.append(
            f"each of the {summary['images']:,} images has a subject of its own, so a split by subject is the same "
            "as one by image; check that the ids are those of people"
        )
    if summary["subjects"] is None:
        lines.append(
            "subjects are unknown, so a person may have cells in both training and test; to rule this out, provide a "
            "table with a column subject, or a pattern that finds the person in the path (SUBJECT=REGEX)"
        )
    return lines
