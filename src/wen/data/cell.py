"""A labelled image, as a data set's reader returns it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """One labelled image: ``label`` 1 is ALL, 0 is HEM; ``source`` is fold_0..2 or preliminary."""

    id: str
    path: Path
    label: int
    subject: str
    source: str
