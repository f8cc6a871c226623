"""Classify subjects from the probabilities of their cells."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from wen.config.seeds import seed_for
from wen.data import csv_file, people
from wen.data.csv_file import Table
from wen.data.problems import Problems
from wen.data.readers import cell_table, other_paths
from wen.errors import WenError
from wen.names import shown
from wen.rows import Row

RESAMPLES = 2000
"""Number of bootstrap resamples."""
BATCH = 100
"""Resamples that are drawn at once, to limit the memory for a subject with many cells."""


def of_files(path: Path, files: Sequence[str]) -> list[str]:
    """Find the subject of each image in a CSV file; see `in_table`."""
    return in_table(csv_file.read(path), path, files)


def in_table(table: Table, path: Path, files: Sequence[str], folder: Path | None = None) -> list[str]:
    """Find the subject of each image in a table with columns ``file`` and ``subject``, or other names of a study's.

    A file is given by its path, relative to the current folder or to the table's folder, or by its name with or without
    its ending. Spellings of the same id, such as 7 and 007, are unified by `wen.data.people.unite`.

    Parameters
    ----------
    table : Table
    path : Path
        Path of the table.
    files : sequence of str
    folder : Path, optional
        Folder of the table; by default that of its path.

    Returns
    -------
    list of str
        The subject of each file.

    Raises
    ------
    WenError
        If a column is missing, a file has two subjects, an image has none, or a name without folder denotes several
        images.
    """
    subject_of: dict[str, str] = {}
    listed = _listed(table, path, files)
    united = people.unite({str(row): subject for row, (_, subject) in enumerate(listed)})
    for row, (file, written) in enumerate(listed):
        if people.is_unknown(written):
            continue
        subject = united[str(row)]
        for key in {
            key for spelling in (file, file.replace("\\", "/")) for key in _keys(spelling, folder or path.parent)
        }:
            if subject_of.setdefault(key, subject) != subject:
                raise WenError(
                    f"{shown(path)}: {shown(file)} has two subjects, {subject_of[key]} and {subject}; keep one"
                )
    by_name = {_place(file) for file in files} - set(subject_of)
    names = Counter(name for file in by_name for name in set(_names(file)))
    if several := [name for name in sorted(names) if names[name] > 1 and name in subject_of]:
        raise WenError(f"{shown(path)}: {shown(several[0])} is the name of {names[several[0]]} images; add the folder")
    found = [
        next((subject_of[key] for key in (_place(file), *_names(file)) if key in subject_of), "") for file in files
    ]
    if missing := [file for file, subject in zip(files, found, strict=True) if not subject]:
        more = f" and {len(missing) - 1:,} more images" if len(missing) > 1 else ""
        remedy = (
            f"correct line {table.uneven[0]}, which does not have {len(table.columns)} values like the header"
            if table.uneven
            else "add the missing rows or subjects"
            + ("" if folder else "; paths start in the current folder or in that of the table")
        )
        raise WenError(f"{shown(path)}: no subject for {shown(missing[0])}{more}; {remedy}")
    return found


def _keys(file: str, folder: Path) -> set[str]:
    """The places that a file of the table may denote; its name, if that is all that the table has."""
    return {_place(file), _place(str(folder / file))} if Path(file).parent.name else {_composed(Path(file).name)}


def _names(file: str) -> list[str]:
    """The names by which a table may list a file without its folder."""
    return [_composed(Path(file).name), _composed(Path(file).stem)]


def _place(file: str) -> str:
    return _composed(os.path.abspath(file))


def _composed(name: str) -> str:
    """A name as most programs write it; macOS takes letters and accents apart."""
    return unicodedata.normalize("NFC", name)


def _listed(table: Table, path: Path, images: Sequence[str]) -> list[tuple[str, str]]:
    columns = [found[0] for role in ("path", "subject") if (found := cell_table.candidates(table, role))]
    if len(columns) < 2:
        raise WenError(f"{shown(path)}: columns file and subject are needed; found {shown(table.named)}")
    problems = Problems()
    other_paths.compare(table, columns[0], images, problems)
    if problems:
        raise WenError("\n".join(f"{shown(path)}: {shown(line)}" for line in problems.lines()))
    files, written = map(table.values, columns)
    return list(zip(files, written, strict=True))


def rows(cells: Iterable[tuple[str, Row]], threshold: float, classes: tuple[str, str], seed: int) -> list[Row]:
    """Return a row for each subject, in the order of their first cells.

    Parameters
    ----------
    cells : iterable of tuple
        Subject and row of each cell; the row's ``probability`` and ``warning`` are used.
    threshold, classes, seed
        As in `row`.

    Returns
    -------
    list of dict
        The result of `row`, and ``warnings``, the number of cells with a warning.
    """
    probabilities: dict[str, list[float]] = {}
    warnings: Counter[str] = Counter()
    for subject, cell in cells:
        probabilities.setdefault(subject, []).append(cell["probability"])
        warnings[subject] += bool(cell["warning"])
    return [
        row(subject, np.array(values), threshold, classes, seed) | {"warnings": warnings[subject]}
        for subject, values in probabilities.items()
    ]


def row(subject: str, probability: np.ndarray, threshold: float, classes: tuple[str, str], seed: int) -> Row:
    """Classify a subject by the mean probability of its cells.

    Parameters
    ----------
    subject : str
    probability : ndarray of shape (n,)
        Probability of the positive class for each cell.
    threshold : float
        Decision threshold, for cells and for the subject.
    classes : tuple of str
        Names of the negative and the positive class.
    seed : int

    Returns
    -------
    dict
        - ``subject``.
        - ``cells``: number of cells.
        - ``mean``: mean probability; ``low`` and ``high``: its 95% confidence interval for this subject (percentile
          bootstrap over the cells; None for a single cell).
        - ``share``: fraction of cells that are called positive.
        - ``called``: class of the subject, by the mean probability.
    """
    mean = float(probability.mean())
    low, high = _interval(probability, seed_for(seed, subject, what="cells of a subject"))
    return {
        "subject": subject,
        "cells": len(probability),
        "mean": mean,
        "low": low,
        "high": high,
        "share": float((probability >= threshold).mean()),
        "called": classes[int(mean >= threshold)],
    }


def _interval(probability: np.ndarray, seed: int) -> tuple[float | None, float | None]:
    if len(probability) < 2:
        return None, None
    rng = np.random.default_rng(seed)
    means = [
        rng.choice(probability, (BATCH, len(probability))).mean(axis=1) for _ in range(RESAMPLES // BATCH)
    ]  # fmt: skip
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)
