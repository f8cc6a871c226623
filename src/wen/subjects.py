"""An answer for each person, from the probabilities of the person's cells."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wen.config.seeds import seed_for
from wen.data.readers import csv_file
from wen.errors import WenError
from wen.names import shown
from wen.rows import Row

FILE, SUBJECT = ("file", "path", "image"), ("subject", "person", "patient")
"""What the columns of a table of subjects may be called."""
RESAMPLES = 2000
BATCH = 100
"""Resamples at once, so that memory holds few of a person with many cells."""


def of_files(table: Path, files: Sequence[str]) -> list[str]:
    """Find the subject of each image in a CSV of ``file`` and ``subject``.

    A file is named by its path, from here or from the table's folder, or by its name alone.

    Raises
    ------
    WenError
        If the table cannot be read, lacks a column, gives a file two subjects, or an image none.
    """
    subject_of: dict[str, str] = {}
    for file, subject in _listed(table):
        places = {Path(file).absolute(), (table.parent / file).absolute()} if Path(file).parent.name else {file}
        for place in map(str, places):
            if subject_of.setdefault(place, subject) != subject:
                raise WenError(
                    f"{shown(table)}: {shown(file)} has two subjects, {subject_of[place]} and {subject}; keep one"
                )
    found = [subject_of.get(str(Path(file).absolute()), subject_of.get(Path(file).name, "")) for file in files]
    if missing := [file for file, subject in zip(files, found, strict=True) if not subject]:
        more = f" and {len(missing) - 1:,} more images" if len(missing) > 1 else ""
        raise WenError(f"{shown(table)}: no subject for {shown(missing[0])}{more}; add the missing rows")
    return found


def _listed(path: Path) -> list[tuple[str, str]]:
    table = csv_file.read(path)
    names = [name.lower() for name in table.columns]
    columns = [next((names.index(name) for name in known if name in names), -1) for known in (FILE, SUBJECT)]
    if -1 in columns:
        raise WenError(
            f"{shown(path)}: columns {FILE[0]} and {SUBJECT[0]} are needed; found {shown(', '.join(names)[:200])}"
        )
    return [(row[columns[0]], row[columns[1]]) for _, row in table.rows]


def row(subject: str, probability: np.ndarray, threshold: float, classes: tuple[str, str], seed: int) -> Row:
    """What is said of a person.

    Parameters
    ----------
    subject : str
    probability : ndarray of shape (n,)
        Of the positive class, of each of the person's cells.
    threshold : float
    classes : tuple of str
        Names of the negative and the positive class.
    seed : int

    Returns
    -------
    dict
        ``cells``, their number; ``mean`` probability with ``low`` and ``high``, the 95% interval of it if other cells
        of this person had been photographed (percentile bootstrap over the cells; None for a single cell); the
        ``share`` of cells called positive; and what the person is called, by the mean.
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
