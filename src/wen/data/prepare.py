"""Stage ``prepare``: open and check every image, and list them in data/index.csv."""

import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track

from wen.config.params import Dataset, Params
from wen.config.paths import Paths
from wen.data import cnmc, copies, images, overview, people, pictures, synthetic
from wen.data.cell import Cell
from wen.data.table import EXACT, INDEX, NEAR
from wen.errors import WenError
from wen.files import atomic, write_json


def run(params: Params, paths: Paths) -> None:
    """Write data/index.csv, data/copies.csv, metrics/dataset.json and plots/dataset/.

    The index has one row an image, sorted by id: id, path (relative to the root), label (1 ALL,
    0 HEM), subject, source (fold_0..2, preliminary), width and height in px, SHA-256 of the file and
    of the decoded pixels. Images with equal pixels are duplicates, whatever their headers; `wen.data.copies.find` lists
    these and near-copies.

    Warns
    -----
    UserWarning
        If near-copies have different labels; the text names them.

    Raises
    ------
    WenError
        With a line for every problem; nothing is written then.
    """
    dataset = params.dataset
    if dataset.source == "synthetic" and dataset.synthetic:
        synthetic.write(paths.synthetic, dataset.synthetic, dataset.side, params.seed)
        folder, root = paths.synthetic, paths.root
    else:
        folder, root = paths.raw, paths.home
    index, statistics, summary = survey(folder, root, dataset.side, dataset.complete)
    pairs, counts = search(index, root, dataset)
    if dataset.source != "synthetic":  # the stage owns data/synthetic and leaves it empty
        with atomic(paths.synthetic) as partial:
            partial.mkdir()
    with atomic(paths.dataset_plots) as partial:
        overview.draw(index, statistics, root, partial)
        pictures.draw(index, pairs, root, partial / paths.copies_plots.name)
    with atomic(paths.index) as partial:
        index.to_csv(partial, index=False, lineterminator="\n")
    with atomic(paths.copies) as partial:
        pairs.to_csv(partial, index=False, lineterminator="\n")
    write_json(paths.dataset_metrics, summary | {"copies": counts})
    _warn_of_classes(index, pairs)


def survey(folder: Path, root: Path, side: int, complete: bool) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Check a folder of C-NMC and describe it without writing anything.

    Parameters
    ----------
    folder : Path
        Holds the images in one of the layouts of `wen.data.cnmc`.
    root : Path
        What the index's paths are to be relative to.
    side : int
        Width and height every labelled image must have, in px.
    complete : bool
        Whether the counts must be the published ones.

    Returns
    -------
    index, statistics : DataFrame
        A row for each image: data/index.csv, and its ``area`` and ``intensity``.
    summary : dict
        metrics/dataset.json.

    Raises
    ------
    WenError
        With a line for every problem.
    """
    listing = cnmc.read(folder)
    problems = list(listing.problems)
    with ThreadPoolExecutor() as pool:
        opened = pool.map(lambda cell: _open(cell, root, side), listing.cells)
        results = list(track(opened, "checking images", total=len(listing.cells), transient=True))
    problems += [result for result in results if isinstance(result, str)]
    rows = [result for result in results if isinstance(result, _Row)]
    index = pd.DataFrame([row.index for row in rows], columns=list(INDEX))
    problems += _contradictions(index)
    if complete:
        problems += _gaps(listing)
    if not problems and index.label.nunique() < 2:
        problems.append(
            f"{folder}: holds {len(index)} labelled images, {int(index.label.sum())} of them ALL; both "
            "classes are needed. `make study DATA=...` brings C-NMC here"
        )
    if problems:
        raise WenError(f"{len(problems)} problem(s) with the images:\n" + "\n".join(problems + listing.left_out))
    for line in listing.left_out + people.remarks(listing.cells):
        print(f"warning: {line}", file=sys.stderr)
    statistics = pd.DataFrame([(row.area, row.intensity) for row in rows], columns=["area", "intensity"])
    return index, statistics, _summary(index, statistics, listing)


def search(index: pd.DataFrame, root: Path, dataset: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Find the copies among the images of an index.

    Returns
    -------
    pairs : DataFrame
        data/copies.csv.
    counts : dict
        ``copies`` of metrics/dataset.json: of exact and of near ones; None for near ones if not searched for.
    """
    pairs = copies.find(index, root, dataset.near_difference if dataset.near_copies else None)
    counts = {kind: copies.summary(index, pairs[pairs.kind == kind]) for kind in (EXACT, NEAR)}
    return pairs, counts if dataset.near_copies else counts | {NEAR: None}


def _warn_of_classes(index: pd.DataFrame, pairs: pd.DataFrame) -> None:
    path = index.set_index("id").path
    joined = copies.between_classes(index, pairs)
    if len(joined):
        lines = [f"{path[one]} and {path[other]}" for one, other in zip(joined.one, joined.other, strict=True)]
        warnings.warn(
            f"{len(lines)} near-copies have different labels; look at them and correct the wrong label, or lower "
            "dataset.near_difference if they are different cells:\n" + "\n".join(lines),
            stacklevel=2,
        )


@dataclass(frozen=True)
class _Row:
    """An image's row of data/index.csv, and its statistics."""

    index: dict[str, Any]
    area: float
    intensity: float


def _open(cell: Cell, root: Path, side: int) -> _Row | str:
    try:
        data = cell.path.read_bytes()
        image = images.decode_bmp(data, side)
    except images.BadImage as error:
        return f"{cell.path}: {error}"
    except OSError as error:
        return f"{cell.path}: {error.strerror}"
    pixels = np.asarray(image)
    inside = pixels.any(axis=2)
    index = {
        "id": cell.id,
        "path": cell.path.relative_to(root).as_posix(),
        "label": cell.label,
        "subject": cell.subject,
        "source": cell.source,
        "width": image.width,
        "height": image.height,
        "sha256": images.sha256(data),
        "pixels": images.sha256(pixels.tobytes()),
    }
    return _Row(index, float(inside.mean()), float(pixels[inside].mean()) if inside.any() else 0.0)


def _contradictions(index: pd.DataFrame) -> list[str]:
    """Images with equal pixels and different labels."""
    classes = index.groupby("pixels").label.transform("nunique")
    return [
        f"{', '.join(group.path)}: equal images with different labels"
        for _, group in index[classes > 1].groupby("pixels")
    ]


def _gaps(listing: cnmc.Listing) -> list[str]:
    gaps = [f"incomplete C-NMC 2019, {line}" for line in cnmc.incomplete(listing.cells)]
    if listing.missing:
        gaps.append(f"labelled but missing: {', '.join(listing.missing)}")
    if gaps:
        gaps.append(
            "to study the images that are here, set dataset.complete: false in params.yaml "
            "(make study ... COMPLETE=false)"
        )
    return gaps


def _summary(index: pd.DataFrame, statistics: pd.DataFrame, listing: cnmc.Listing) -> dict[str, Any]:
    same_pixels = index.groupby("pixels").size()
    same_file = index.groupby("sha256").size()
    pairs = Counter(
        " and ".join(sorted(pair)) for _, group in index.groupby("pixels") for pair in combinations(group.subject, 2)
    )
    classes = index.label.map({1: "ALL", 0: "HEM"}).to_numpy()
    return {
        "images": len(index),
        "ALL": int((index.label == 1).sum()),
        "HEM": int((index.label == 0).sum()),
        "subjects": index.subject.nunique(),
        "training_subjects": index[index.source != "preliminary"].subject.nunique(),
        "images_by_source": index.source.value_counts().sort_index().to_dict(),
        "unlabelled_final_images": len(listing.final),
        "labelled_but_missing": len(listing.missing),
        "not_read": listing.not_read,
        "people": people.summary(listing.cells),
        "duplicate_pairs": int((same_pixels * (same_pixels - 1) // 2).sum()),
        "duplicate_pairs_same_bytes": int((same_file * (same_file - 1) // 2).sum()),
        "duplicate_pairs_by_subjects": dict(sorted(pairs.items(), key=lambda count: (-count[1], count[0]))),
        "cells_per_subject": index.subject.value_counts().describe()[["min", "50%", "max"]].to_dict(),
        "cell_area_share": statistics.area.groupby(classes).mean().to_dict(),
        "cell_intensity": statistics.intensity.groupby(classes).mean().to_dict(),
    }
