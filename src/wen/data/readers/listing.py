"""The result of reading a data set."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wen.data.cell import Cell
from wen.data.folder import some

READABLE = ("images outside", "images not listed", "images of other classes", "files in")
"""How the kinds of files begin that are not left out because of their format."""


@dataclass(frozen=True)
class Listing:
    """The labelled images of a data set, with its problems and the files that are missing or not read."""

    cells: list[Cell]
    """Sorted by id; the subject is empty if it is not known."""
    problems: list[str]
    """A line for each cause."""
    not_read: dict[str, dict[str, Any]]
    """For each kind of file that is not read ``count`` and ``examples``, see `wen.data.folder.tally`."""
    people: dict[str, Any]
    """Who counts as one person, see `wen.data.people.summary`."""
    formats: str
    """Which files are read."""
    final: list[Path] = field(default_factory=list)
    """Unlabelled images of C-NMC's final test set."""
    missing: list[str] = field(default_factory=list)
    """Names of C-NMC's preliminary images that are labelled but not there."""

    @property
    def left_out(self) -> list[str]:
        """Say which files are not read and which images are missing."""
        kinds = [
            f"{kind} ({found['count']:,}): {some(found['examples'], found['count'])}"
            for kind, found in self.not_read.items()
        ]
        lines = [f"not read: {'; '.join(kinds)}"] if kinds else []
        if any(not kind.startswith(READABLE) for kind in self.not_read):
            lines[0] += f". Cells are read from {self.formats} files only"
        if "archives" in self.not_read:
            lines[0] += "; unpack archives that contain images"
        if self.missing:
            lines.append(
                f"preliminary images with a label but no image file ({len(self.missing):,}): {some(self.missing)}"
            )
        return lines
