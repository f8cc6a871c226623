"""List the files of a folder of images, and classify those that are not read."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

EXAMPLES = 3
"""Number of names that a message gives."""
ARCHIVE = re.compile(r"\.(zipx?|z?[0-9]{2,3}|tar|t?gz|t?bz2?|t?xz|t?zst|lz4|lzma|7z|rar|iso|cab)", re.IGNORECASE)
IMAGE = re.compile(
    r"\.(bmp|dib|png|tiff?|jpe?g?|jfif|jp2|j2k|gif|webp|avif|hei[cf]|jxl|p[bgpn]m|tga|dcm|nii|svs|ndpi|mrxs|czi|nd2|lif|"
    r"raw|dng|cr2|nef|psd)",
    re.IGNORECASE,
)
DOCUMENT = re.compile(
    r"\.(txt|md|rst|rtf|pdf|docx?|odt|csv|tsv|xlsx?|ods|json|xml|html?|ya?ml|log|ini|url|lnk|py|ipynb|md5|sha[0-9]+)",
    re.IGNORECASE,
)
"""Endings of other files. A file with an unknown ending among the cells may be a cell with a damaged name."""

_LITTER = re.compile(
    r"\._.*|icon\r|\.DS_Store|\.directory|\.git(keep|ignore|attributes)|(eh)?thumbs\.db(:encryptable)?|desktop\.ini|"
    r".*:zone\.identifier|"
    r"(readme|licen[cs]e|copying)(\.(txt|md|rst|html?|pdf))?",
    re.IGNORECASE,
)
_LITTER_FOLDER = re.compile(
    r"__macosx|@eadir|#recycle|\$recycle\.bin|system volume information|lost\+found|\.(ipynb_checkpoints|appledouble|"
    r"spotlight-v100|trashes|trash-[0-9]+|fseventsd|git|dvc)",
    re.IGNORECASE,
)


def files(root: Path) -> tuple[list[Path], list[str]]:
    """List every file under ``root``, and everything else there that is not a folder.

    Parameters
    ----------
    root : Path
        A folder, or a link to one.

    Returns
    -------
    found : list of Path
        Sorted. Links to files are files.
    problems : list of str
        A line for each cause: links to folders, broken links, pipes, devices and sockets, and unreadable folders.
        Images could be missing because of them, so they are reported.
    """
    found: list[Path] = []
    by_cause: dict[str, list[str]] = defaultdict(list)

    def unreadable(error: OSError) -> None:
        by_cause[f"{error.strerror}; its content cannot be listed"].append(str(error.filename))

    for place, folders, names in os.walk(root, onerror=unreadable):
        for path in (Path(place, name) for name in [*folders, *names]):
            named = str(path) if str(path).isprintable() else repr(str(path))
            if path.is_symlink() and path.is_dir():
                by_cause["a symbolic link to a folder; put the real folder in its place"].append(named)
            elif path.is_symlink() and not path.is_file():
                by_cause["a broken symbolic link; put its target in its place"].append(named)
            elif path.is_file():
                found.append(path)
            elif not path.is_dir():
                by_cause["neither a file nor a folder; remove it"].append(named)
    problems = {cause: sorted(names) for cause, names in by_cause.items()}
    return sorted(found), [
        f"{names[0]}: {cause}" if len(names) == 1 else f"{len(names):,} times {cause}: {some(names)}"
        for cause, names in sorted(problems.items(), key=lambda item: item[1])
    ]


def is_litter(path: Path) -> bool:
    """Whether the name shows that an operating system or a program left the file or folder among the images."""
    return bool(_LITTER.fullmatch(path.name)) or in_litter(path)


def in_litter(path: Path) -> bool:
    """Whether a path is, or is inside, a folder that a system or program keeps for itself."""
    return any(_LITTER_FOLDER.fullmatch(part) for part in path.parts)


def kind(path: Path, formats: str) -> str:
    """Name the kind of a file that is not read, by its ending; ``formats`` names the formats that are read."""
    if ARCHIVE.fullmatch(path.suffix):
        return "archives"
    return f"images of other formats than {formats}" if IMAGE.fullmatch(path.suffix) else "other files"


def tally(names: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Count the files that were not read, by kind.

    Parameters
    ----------
    names : iterable of (kind, name)

    Returns
    -------
    dict
        For each kind ``count`` and ``examples``, the first few names.
    """
    by_kind = defaultdict(list)
    for group, name in names:
        by_kind[group].append(name)
    return {group: {"count": len(by_kind[group]), "examples": by_kind[group][:EXAMPLES]} for group in sorted(by_kind)}


def some(names: list[str], count: int | None = None) -> str:
    """Join the first few names: ``a, b, c and 5 more``. ``count`` is the total if ``names`` has only the first ones."""
    more = (len(names) if count is None else count) - len(names[:EXAMPLES])
    return ", ".join(names[:EXAMPLES]) + (f" and {more:,} more" if more else "")
