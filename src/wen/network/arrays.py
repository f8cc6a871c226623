"""Write and read the arrays of data/features in batches, so that memory use does not depend on the number of images.

An array has one row per image of data/index.csv; the array of a random view has one row per development image.
"""

import hashlib
import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wen.errors import WenError
from wen.files import readable

BLOCK = 2**20
"""Bytes that `ends` reads at each end of a file."""


class Writer:
    """Write a .npy file of ``rows`` rows, batch by batch."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.rows, self.written = path, rows, 0
        self.file = path.open("wb")

    def append(self, values: np.ndarray) -> None:
        """Append an array of shape (n, ...)."""
        if self.file.tell() == 0:
            header = np.lib.format.header_data_from_array_1_0(values)
            np.lib.format.write_array_header_1_0(self.file, header | {"shape": (self.rows, *values.shape[1:])})
        self.file.write(np.ascontiguousarray(values).data)
        self.written += len(values)

    def check(self) -> None:
        """Check that the announced number of rows was appended.

        Raises
        ------
        MemoryError
            If there are fewer rows: OpenVINO returns empty outputs when it runs out of memory.
        ValueError
            If there are more rows.
        """
        if self.written < self.rows:
            raise MemoryError(f"{self.path.name}: only {self.written} of {self.rows} rows were computed")
        if self.written > self.rows:
            raise ValueError(f"{self.path}: {self.written} rows, but {self.rows} were announced")

    def close(self) -> None:
        self.file.close()


@contextmanager
def writers(paths: Iterable[Path], rows: int) -> Iterator[list[Writer]]:
    """Open several files for the duration of a block, and check at its end that all are complete."""
    opened = [Writer(path, rows) for path in paths]
    try:
        yield opened
        for writer in opened:
            writer.check()
    finally:
        for writer in opened:
            writer.close()


def read(path: Path, rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield rows of a stored array, one batch per array of row numbers.

    Raises
    ------
    WenError
        If the file is missing, is not an array, or has too few rows.
    """
    with readable(path):
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    for batch in rows:
        try:
            values = stored[batch]
        except IndexError:
            raise WenError(
                f"{path}: shape {stored.shape} is too short for row {max(batch)} of data/index.csv; delete it and "
                "run `dvc repro`"
            ) from None
        yield values
        stored.base.madvise(mmap.MADV_DONTNEED)  # releases the pages that were read


@dataclass(frozen=True)
class Turned:
    """View of an image under one of the symmetries `wen.data.symmetry.TURNS`."""

    turn: int

    def __str__(self) -> str:
        return f"turned-{self.turn}"


View = Turned | int | None
"""A turned image, the number of a random view, or None for the unchanged image."""


def array_path(folder: Path, kind: str, view: View = None) -> Path:
    """Path of the array of one kind (images, pooled, activations) and one view."""
    return folder / f"{kind}-{'clean' if view is None else view}.npy"


def rows_of_views_path(folder: Path) -> Path:
    """Path of the array that maps rows of data/index.csv to rows of the random views' arrays (-1: not stored)."""
    return folder / "rows-of-views.npy"


def ends(paths: Iterable[Path]) -> str:
    """Hash the beginning and the end of files: enough to notice arrays that other code or another device computed."""
    content = hashlib.sha256()
    for path in paths:
        with readable(path), path.open("rb") as file:
            content.update(f"{path.name} {path.stat().st_size}".encode() + file.read(BLOCK))
            file.seek(max(0, path.stat().st_size - BLOCK))
            content.update(file.read())
    return content.hexdigest()
