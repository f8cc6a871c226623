"""The arrays of data/features, written and read in batches, so that memory holds a batch however many images there are.

An array has a row for each image of data/index.csv; that of a random view, for each image that is ever trained on.
"""

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wen.errors import WenError
from wen.files import readable


class Writer:
    """A .npy file that grows batch by batch to ``rows`` rows."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.rows, self.written = path, rows, 0
        self.file = path.open("wb")

    def append(self, values: np.ndarray) -> None:
        """Write the next rows, of shape (n, ...)."""
        if self.file.tell() == 0:
            header = np.lib.format.header_data_from_array_1_0(values)
            np.lib.format.write_array_header_1_0(self.file, header | {"shape": (self.rows, *values.shape[1:])})
        self.file.write(np.ascontiguousarray(values).data)
        self.written += len(values)

    def check(self) -> None:
        """Raise unless as many rows were appended as announced.

        Raises
        ------
        MemoryError
            If fewer: OpenVINO may give no rows where it finds no memory, and not say so.
        ValueError
            If more.
        """
        if self.written < self.rows:
            raise MemoryError(f"{self.path.name}: only {self.written} of {self.rows} rows were computed")
        if self.written > self.rows:
            raise ValueError(f"{self.path}: {self.written} rows, but {self.rows} were announced")

    def close(self) -> None:
        self.file.close()


@contextmanager
def writers(paths: Iterable[Path], rows: int) -> Iterator[list[Writer]]:
    """Open several files side by side; they are closed when the block ends, and complete if it ends well."""
    opened = [Writer(path, rows) for path in paths]
    try:
        yield opened
        for writer in opened:
            writer.check()
    finally:
        for writer in opened:
            writer.close()


def read(path: Path, rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the given rows of an array, one batch for each array of row numbers.

    Raises
    ------
    WenError
        If the file is missing, not an array, or too short.
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
        stored.base.madvise(mmap.MADV_DONTNEED)  # or memory would hold all that was ever read


@dataclass(frozen=True)
class Turned:
    """The view of an image turned by one of `wen.data.symmetry.TURNS`."""

    turn: int

    def __str__(self) -> str:
        return f"turned-{self.turn}"


View = Turned | int | None
"""A turned image, a random view by its number, or the image as it is."""


def array_path(folder: Path, kind: str, view: View = None) -> Path:
    """Where the features stage keeps one kind of array for one view."""
    return folder / f"{kind}-{'clean' if view is None else view}.npy"


def rows_of_views_path(folder: Path) -> Path:
    """Where it keeps which row each image of data/index.csv has in arrays of random views; -1 is none."""
    return folder / "rows-of-views.npy"
