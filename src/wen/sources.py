"""Find the images that files, folders, patterns and lists of names denote, and read them safely."""

import codecs
import glob
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from wen.data.folder import is_litter
from wen.data.images import ENDINGS, BadImage
from wen.errors import WenError
from wen.names import shown

LARGEST = 256 * 2**20
"""Bytes of an image file; a BMP of 9,000 x 9,000 px has 243 million."""
KINDS = 8
"""How many endings a message names."""
NO_FILE = {
    stat.S_ISDIR: "a folder, not an image",
    stat.S_ISFIFO: "a pipe (FIFO), not a file",
    stat.S_ISSOCK: "a socket, not a file",
    stat.S_ISCHR: "a device, not a file",
    stat.S_ISBLK: "a device, not a file",
}


def find(sources: Iterable[str]) -> list[str]:
    """List the images that the sources denote, and print on standard error what is left out of a folder.

    Parameters
    ----------
    sources : iterable of str
        Files; folders, for all images in them and in linked folders, by their ending; patterns such as
        ``cells/*.bmp``; ``-`` for names on standard input, one a line, or each ended by NUL.

    Returns
    -------
    list of str
        In the sources' order, those of a folder or a pattern sorted by name. Unreadable files are included: `read`
        reports the reason.

    Raises
    ------
    WenError
        If a source names no image.
    """
    return [file for source in sources for file in _files(source)]


def read(file: str) -> bytes:
    """Read an image file.

    Raises
    ------
    BadImage
        If it does not exist, is not a regular file, is empty or has more than `LARGEST` bytes.
    OSError, ValueError
        If it cannot be read.
    """
    try:
        about = os.stat(file)
    except FileNotFoundError:
        raise BadImage("a broken link" if os.path.islink(file) else "no such file") from None
    for is_kind, kind in NO_FILE.items():
        if is_kind(about.st_mode):
            raise BadImage(kind if os.access(file, os.R_OK) else f"{kind}, and not readable")
    if about.st_size > LARGEST:
        raise BadImage(f"{about.st_size:,} bytes, more than the limit of {LARGEST:,} for an image")
    if not about.st_size:  # so do the files of /proc, and reading some of them never ends
        raise BadImage("empty file")
    with open(file, "rb") as stream:
        return stream.read(LARGEST)


def _files(source: str) -> Iterator[str]:
    if source == "-":
        yield from _listed(sys.stdin.buffer.read())
    elif os.path.isdir(source):
        yield from _folder(source)
    elif os.path.lexists(source):
        yield source
    else:
        found = [file for match in sorted(glob.glob(source, recursive=True)) for file in _matched(match)]
        if not found:
            raise WenError(f"{shown(source)}: no such file, folder or pattern; correct the path")
        # `**` finds a folder once for each link to it.
        yield from {(os.path.realpath(os.path.dirname(file)), os.path.basename(file)): file for file in found}.values()


def _matched(match: str) -> Iterator[str]:
    yield from _folder(match, may_be_empty=True) if os.path.isdir(match) else [match]


def _listed(content: bytes) -> Iterator[str]:
    """The names in a list, as find, ls or Windows write it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode("utf-8", "surrogateescape")
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\0" in content:
        yield from (os.fsdecode(name) for name in content.split(b"\0") if name)
        return
    for line in content.split(b"\n"):
        name = line.removesuffix(b"\r")
        if name.strip():
            yield os.fsdecode(line if name != line and os.path.lexists(line) else name)


def _folder(folder: str, may_be_empty: bool = False) -> list[str]:
    """All images in a folder, by their ending; each folder in it is read once, even if several links lead to it."""
    images: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()

    def unread(error: OSError) -> None:
        images.append(str(error.filename))  # `read` reports the reason

    for place, folders, names in os.walk(folder, onerror=unread, followlinks=True):
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in seen:
            print(f"{shown(place)}: skipped, a link to a folder that was already read", file=sys.stderr)
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(
            (name for name in folders if not is_litter(Path(place, name))),
            key=lambda name: (os.path.islink(os.path.join(place, name)), name),
        )
        for path in (Path(place, name) for name in sorted(names)):
            if is_litter(path):
                continue
            if path.suffix.lower() in ENDINGS:
                images.append(str(path))
            elif path.is_symlink() and not path.exists():
                print(f"{shown(path)}: skipped, a broken link", file=sys.stderr)
            else:
                others[path.suffix.lower()] += 1
    if not images and not may_be_empty:
        found = f", but {_count(others)}" if others else ""
        raise WenError(f"{shown(folder)}: no image in this folder (.bmp, .jpg, .png, .tif){found}")
    if others:
        skipped = _count(others)
        print(f"{shown(folder)}: {len(images):,} images; skipped other files: {skipped}", file=sys.stderr)
    return sorted(images)


def _count(kinds: Counter[str]) -> str:
    named = [f"{number:,} {shown(kind) or 'without an ending'}" for kind, number in kinds.most_common(KINDS)]
    rest = sum(kinds.values()) - sum(number for _, number in kinds.most_common(KINDS))
    return ", ".join([*named, f"{rest:,} with other endings"] if rest else named)
