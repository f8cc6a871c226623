"""A labelled image, as a data set's reader returns it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """One labelled image.

    ``label`` is 1 for the positive class and 0 for the negative; ``subject`` is empty if it is not known; ``source`` is
    fold_0..2 or preliminary in C-NMC, else cells.
    """

    id: str
    path: Path
    label: int
    subject: str
    source: str
