"""Find the image that a row of a table refers to."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import PurePosixPath


class Search:
    """Find the image that a table refers to by its path, by the end of its path, or without its ending.

    Case is ignored unless it distinguishes two images. A name with its ending takes precedence over one without. A
    number without leading zeros, as spreadsheets write 007, finds an image or a folder unless another one has just this
    name. A folder may have another name in the table, but not the name of another folder: P7/1.png does not refer to
    P8/1.png if there is a folder P7, if the table names P8, or if any folder on this level has the same name in the
    table.
    """

    def __init__(self, images: Sequence[str], written: Sequence[str]) -> None:
        self.by_name: dict[str, list[str]] = defaultdict(list)
        self.by_number: dict[str, list[str]] = defaultdict(list)
        for name in images:
            path = self._plain(name)
            self.by_name[path.name].append(name)
            self.by_name[path.stem].append(name)
            if path.stem.isdecimal():
                for key in {unpadded(path.name), unpadded(path.stem)}:
                    self.by_number[key].append(name)
        levels = [self._levels(names) for names in (images, written)]
        self.folders, self.written = (set[str]().union(*found) for found in levels)
        self.comparable = [not one.isdisjoint(other) for one, other in zip(*levels, strict=False)]

    def __call__(self, text: str) -> list[str]:
        """Return the images whose paths agree best with the text, from the file name upwards."""
        written = text.replace("\\", "/")
        path = self._plain(written)
        named = self.by_name.get(path.name) or self.by_number.get(unpadded(path.name), [])
        candidates = [name for name in named if not self._elsewhere(text, name)]
        if len(candidates) < 2:
            return list(candidates)
        likeness = [self._likeness(written, name) for name in candidates]
        return [name for name, found in zip(candidates, likeness, strict=True) if found == max(likeness)]

    def _likeness(self, written: str, name: str) -> tuple[bool, int, int, bool]:
        """Compare the file names, and count the common folders, first without leading zeros, then with them."""
        one, other = self._plain(written), self._plain(name)
        common = self._shared(self._folders(written), self._folders(name))
        return (
            one.name == other.name,
            common,
            self._shared(one.parent.parts, other.parent.parts),
            written.endswith(name),
        )

    def _elsewhere(self, text: str, name: str) -> bool:
        """Whether the lowest folders that differ are known to be different folders."""
        one, other = self._folders(text), self._folders(name)
        pairs = enumerate(zip(reversed(one), reversed(other), strict=False))
        level, a, b = next(((level, a, b) for level, (a, b) in pairs if a != b), (None, "", ""))
        return level is not None and (
            self.comparable[level] or (a in self.folders and a not in other) or (b in self.written and b not in one)
        )

    @classmethod
    def _levels(cls, names: Sequence[str]) -> list[set[str]]:
        """The names of the folders on each level above the files, from the lowest."""
        levels = zip_longest(*(reversed(cls._folders(name)) for name in set(names)))
        return [{part for part in level if part is not None} for level in levels]

    @classmethod
    def _folders(cls, name: str) -> tuple[str, ...]:
        return tuple(map(unpadded, cls._plain(name.replace("\\", "/")).parent.parts))

    @staticmethod
    def _plain(name: str) -> PurePosixPath:
        return PurePosixPath(unicodedata.normalize("NFC", name).casefold())

    @staticmethod
    def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
        """Return how many of the folders above two images have the same names."""
        pairs = zip(reversed(one), reversed(other), strict=False)
        return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def unpadded(text: str) -> str:
    """Remove the leading zeros of a number, which may have an ending, as spreadsheets do."""
    return re.sub(r"^0+(?=[0-9])", "", text)
