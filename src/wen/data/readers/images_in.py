"""Find the image files of a folder, and list the files that are not read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wen.data import folder
from wen.data.folder import ARCHIVE, in_litter, is_litter
from wen.data.images import ENDINGS
from wen.data.problems import Problems
from wen.names import is_text

FORMATS = "BMP, PNG, TIFF and JPEG"


@dataclass(frozen=True)
class Found:
    """Image files by their relative paths, with ``/`` as separator; files left by the system are omitted.

    So are files in hidden folders, such as thumbnails, snapshots and a program's drafts, which are listed as not read.
    """

    images: dict[str, Path]
    not_read: list[tuple[str, str]]
    """Kind and name of every other file."""
    unlisted: list[str]
    """A message for each folder or link that could not be listed."""


def find(root: Path, problems: Problems, known: Iterable[Path] = ()) -> Found:
    """List the images under ``root``.

    Parameters
    ----------
    root : Path
    problems : Problems
        Names that cannot be printed are added to it.
    known : iterable of Path
        Files that are used for another purpose, such as a table.
    """
    paths, unlisted = folder.files(root)
    aside, images, not_read = set(known), {}, []
    for path in paths:
        within = path.relative_to(root)
        name = within.as_posix()
        ending = path.suffix.lower()
        if is_litter(within):
            if in_litter(within) and ARCHIVE.fullmatch(ending):
                not_read.append(("files in folders of a system or program", name))
        elif any(part.startswith(".") for part in within.parts[:-1]):
            not_read.append(("files in hidden folders", name))
        elif not is_text(name):
            problems.add("unprintable character in the name; rename it", repr(name))
        elif ending in ENDINGS:
            images[name] = path
        elif path not in aside:
            not_read.append((folder.kind(path, FORMATS), name))
    return Found(images, not_read, unlisted)
