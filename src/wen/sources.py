"""Find images from files, folders, patterns and lists of names, and read them safely."""

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
"""Largest size of an image file, in bytes; a BMP of 9,000 x 9,000 px has 243 million."""
KINDS = 8
"""Maximum number of file suffixes in a message."""
NO_FILE = {
    stat.S_ISDIR: "a folder, not an image",
    stat.S_ISFIFO: "a pipe (FIFO), not a file",
    stat.S_ISSOCK: "a socket, not a file",
    stat.S_ISCHR: "a device, not a file",
    stat.S_ISBLK: "a device, not a file",
}


def find(sources: Iterable[str]) -> list[str]:
    """List the images of the given sources, and print to standard error which files of a folder are skipped.

    Parameters
    ----------
    sources : iterable of str
        Files; folders, whose images are found by their suffix, also in subfolders and linked folders; patterns such as
        ``cells/*.bmp``; or ``-`` for names on standard input, separated by line ends or NUL.

    Returns
    -------
    list of str
        Paths in the order of the sources; those of a folder or a pattern are sorted. Unreadable files are included;
        `read` reports the reason.

    Raises
    ------
    WenError
        If a source has no image.
    """
    return [file for source in sources for file in _files(source)]


def unique(files: Iterable[str]) -> list[str]:
    """Keep one name of each file, also if several sources contain it or a link leads to its folder."""
    return list({(os.path.realpath(os.path.dirname(file)), os.path.basename(file)): file for file in files}.values())


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
        status = os.stat(file)
    except FileNotFoundError:
        raise BadImage("a broken link" if os.path.islink(file) else "no such file") from None
    for is_kind, kind in NO_FILE.items():
        if is_kind(status.st_mode):
            raise BadImage(kind if os.access(file, os.R_OK) else f"{kind}, and not readable")
    if status.st_size > LARGEST:
        raise BadImage(f"{status.st_size:,} bytes, more than the limit of {LARGEST:,} for an image")
    if not status.st_size:  # files in /proc also have size 0, and reading some of them never ends
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
    elif "://" in source:
        raise WenError(f"{shown(source)}: an address; download the images and name their folder")
    else:
        found = [file for match in sorted(glob.glob(source, recursive=True)) for file in _matched(match)]
        if not found:
            raise WenError(f"{shown(source)}: no such file, folder or pattern; correct the path")
        yield from unique(found)  # `**` returns a folder once for each link to it


def _matched(match: str) -> Iterator[str]:
    yield from _folder(match, may_be_empty=True) if os.path.isdir(match) else [match]


def _listed(content: bytes) -> Iterator[str]:
    """Parse a list of names in the encodings and separators of find, ls and Windows."""
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
    """List the images in a folder by their suffix. Each subfolder is read once, even if several links lead to it.

    Hidden subfolders hold thumbnails or snapshots of the same images; they are counted and not read.
    """
    images: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    hidden = 0

    def add_unreadable(error: OSError) -> None:
        images.append(str(error.filename))  # `read` reports the reason

    for parent, folders, names in os.walk(folder, onerror=add_unreadable, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            print(f"{shown(parent)}: skipped, a link to a folder that was already read", file=sys.stderr)
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        kept = [name for name in folders if not is_litter(Path(name))]
        hidden += sum(name.startswith(".") for name in kept)
        folders[:] = sorted(
            (name for name in kept if not name.startswith(".")),
            key=lambda name: (os.path.islink(os.path.join(parent, name)), name),
        )
        for path in (Path(parent, name) for name in sorted(names)):
            if is_litter(Path(path.name)):
                continue
            if path.suffix.lower() in ENDINGS:
                images.append(str(path))
            elif path.is_symlink() and not path.exists():
                print(f"{shown(path)}: skipped, a broken link", file=sys.stderr)
            else:
                others[path.suffix.lower()] += 1
    if hidden:
        print(f"{shown(folder)}: skipped hidden folders: {hidden:,}", file=sys.stderr)
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
