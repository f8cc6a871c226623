"""Stage ``prepare``: check every image, list them in data/index.csv, and search for copies."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import cpu_count

from wen.bar import track
from wen.config.params import Dataset, Params
from wen.config.paths import Paths
from wen.data import copies, describe, images, outliers, overview, people, pictures, readers, synthetic
from wen.data.cell import Cell
from wen.data.folder import some
from wen.data.problems import Problems
from wen.data.readers import cnmc
from wen.data.readers.listing import Listing
from wen.data.table import EXACT, INDEX, NEAR
from wen.errors import WenError
from wen.files import atomic, sha256, write_json

MOST_EQUAL = 200
"""Maximum number of equal images: 1,500 of one image are a million pairs."""


def run(params: Params, paths: Paths) -> None:
    """Write data/index.csv, data/copies.csv, metrics/dataset.json and plots/dataset/.

    The index has one row per image, sorted by id: id, path (relative to the root), label (1 positive, 0 negative),
    subject (empty if unknown), source, width and height in px, and the SHA-256 of the file and of the decoded pixels.
    Images with equal pixels are duplicates, even if their files differ; `wen.data.copies.find` lists these and
    near-copies.

    Raises
    ------
    WenError
        If there are problems with the images, with a line for each cause; nothing is written.
    """
    dataset = params.dataset
    folder, root = readers.place(dataset, paths), paths.home
    if dataset.synthetic and dataset.side and dataset.source == "synthetic":
        synthetic.write(folder, dataset.synthetic, dataset.side, params.seed)
        root = paths.root
    index, looks, summary = survey(folder, root, params)
    pairs, counts = search(index, root, dataset)
    if dataset.source != "synthetic":  # data/synthetic is an output of the stage, so it must exist
        with atomic(paths.synthetic) as partial:
            partial.mkdir()
    with atomic(paths.dataset_plots) as partial:
        overview.draw(index, looks, dataset, root, partial)
        pictures.draw(index, pairs, root, partial / paths.copies_plots.name)
    with atomic(paths.index) as partial:
        index.to_csv(partial, index=False, lineterminator="\n")
    with atomic(paths.copies) as partial:
        pairs.to_csv(partial, index=False, lineterminator="\n")
    write_json(paths.dataset_metrics, summary | {"copies": counts})


def survey(folder: Path, root: Path, params: Params) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Check and describe a folder of images, without writing anything.

    Parameters
    ----------
    folder : Path
        Folder of the images.
    root : Path
        Folder that the paths in the index are relative to.
    params : Params
        Its ``dataset`` describes the images, its ``images.crop`` determines which images are padded.

    Returns
    -------
    index, looks : DataFrame
        One row per image: the content of data/index.csv, and the measures of `wen.data.outliers.look`.
    summary : dict
        The content of metrics/dataset.json.

    Raises
    ------
    WenError
        If there are problems with the images, with a line for each cause.
    """
    dataset = params.dataset
    listing = readers.read(dataset, folder)
    found_problems = Problems()
    with ThreadPoolExecutor(cpu_count()) as pool:
        opened = pool.map(lambda cell: _open(cell, root, dataset), listing.cells)
        rows = list(track(opened, "checking images", total=len(listing.cells)))
    good = []
    for cell, row in zip(listing.cells, rows, strict=True):
        if isinstance(row, _Row):
            good.append(row)
        else:
            found_problems.add(row.cause, cell.path, row.detail)
    index = pd.DataFrame([row.index for row in good], columns=list(INDEX))
    _check_labels_of_duplicates(index, found_problems)
    _check_number_of_duplicates(index, found_problems)
    problems = listing.problems + found_problems.lines()
    if dataset.complete and (listing.cells or not problems):  # with none of its folders, its counts would only distract
        problems += _gaps(listing)
    if not problems and index.label.nunique() < 2:
        counts = [f"{int((index.label == value).sum()):,} {name}" for value, name in enumerate(dataset.classes)]
        problems.append(
            f"{folder}: contains {len(index)} labelled images, {' and '.join(counts)}; both classes are needed. "
            "Add images with `wen study DATA`"
        )
    if problems:
        raise WenError(f"{len(problems)} problem(s) with the images:\n" + "\n".join(problems + listing.left_out))
    looks = pd.DataFrame([row.look for row in good])
    summary = describe.summary(index, looks, listing, params)
    found = describe.remarks(summary, dataset) + describe.shortcuts(index, looks, dataset.classes)
    for line in listing.left_out + people.remarks(listing.people) + found:
        print(f"warning: {line}", file=sys.stderr)
    return index, looks, summary


def search(index: pd.DataFrame, root: Path, dataset: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Find the copies among the images of an index.

    Returns
    -------
    pairs : DataFrame
        The content of data/copies.csv.
    counts : dict
        ``copies`` of metrics/dataset.json, for exact and for near copies; None for near copies without a search.

    Warns
    -----
    UserWarning
        If near-copies have different labels; the message names the first of them.
    """
    pairs = copies.find(index, root, dataset.near_difference if dataset.near_copies else None)
    counts = {kind: copies.summary(index, pairs[pairs.kind == kind]) for kind in (EXACT, NEAR)}
    _warn_of_label_conflicts([f"{one} and {other}" for one, other in counts[NEAR]["between_classes"]])
    return pairs, counts if dataset.near_copies else counts | {NEAR: None}


def _warn_of_label_conflicts(pairs: list[str]) -> None:
    if pairs:
        warnings.warn(
            f"pairs of near-copies with different labels ({len(pairs):,}): {some(pairs)}; look at them, and correct "
            "the wrong label or, if they show different cells, lower dataset.near_difference",
            stacklevel=2,
        )


@dataclass(frozen=True)
class _Row:
    """The row of an image in data/index.csv, and its measures from `wen.data.outliers.look`."""

    index: dict[str, Any]
    look: dict[str, float]


def _open(cell: Cell, root: Path, dataset: Dataset) -> _Row | images.BadImage:
    try:
        data = cell.path.read_bytes()
        image = images.decode_bmp(data, dataset.side) if dataset.of_cnmc else images.decode(data)
        if dataset.side and image.size != (dataset.side, dataset.side):
            raise images.BadImage(f"differs from dataset.side, {dataset.side}", f"{image.width}x{image.height} px")
    except images.BadImage as error:
        return error
    except OSError as error:
        return images.BadImage(str(error.strerror))
    pixels = np.asarray(image)
    index = {
        "id": cell.id,
        "path": cell.path.relative_to(root).as_posix(),
        "label": cell.label,
        "subject": cell.subject,
        "source": cell.source,
        "width": image.width,
        "height": image.height,
        "sha256": sha256(data),
        "pixels": sha256(pixels.tobytes()),
    }
    return _Row(index, outliers.look(image))


def _check_labels_of_duplicates(index: pd.DataFrame, problems: Problems) -> None:
    """Report images with equal pixels and different labels."""
    classes = index.groupby("pixels").label.transform("nunique")
    for _, group in index[classes > 1].groupby("pixels"):
        differing = group.sort_values(["label", "path"]).groupby("label").path.first()
        more = len(group) - len(differing)
        problems.add(
            "equal images with different labels; correct the label or remove one image",
            " and ".join(sorted(differing)) + (f" and {more:,} more equal images" if more else ""),
        )


def _check_number_of_duplicates(index: pd.DataFrame, problems: Problems) -> None:
    """Report images that occur very often, such as an empty frame: data/copies.csv would list each pair of them."""
    for _, group in index.groupby("pixels"):
        if len(group) > MOST_EQUAL:
            cause = f"{len(group):,} equal images; keep one of them"
            problems.add(cause, group.path.min())


def _gaps(listing: Listing) -> list[str]:
    gaps = [f"incomplete C-NMC 2019, {line}" for line in cnmc.incomplete(listing.cells)]
    if (gaps or listing.missing) and listing.cells:  # the listing itself reports the missing images
        gaps.append(
            "to study these images only, set dataset.complete: false in params.yaml (`wen study ... --incomplete`)"
        )
    return gaps
