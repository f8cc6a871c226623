"""Bring the files of a folder or zip into an empty folder: link, copy or unpack them."""

import lzma
import os
import posixpath
import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from wen.bar import track
from wen.data.folder import ARCHIVE, DOCUMENT, IMAGE, files, some
from wen.errors import WenError

UTF_8 = 0x800
"""Flag of a zip's member whose name is UTF-8."""
LARGEST_ZIP = 40 * 2**30  # bytes unpacked; C-NMC 2019 is 11 GB
# What zipfile raises on a damaged zip; ValueError on a name that is not UTF-8, or an entry beyond the file's end.
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError)
# On a zip with an unsupported compression, with a password, or with too long names or too large an LZMA dictionary.
UNFIT = (NotImplementedError, RuntimeError, OSError, MemoryError)


def list_files(data: Path) -> list[Path]:
    """List the files of a folder or zip by their relative paths; empty if it cannot be read."""
    if data.is_dir():
        return sorted(path.relative_to(data) for path in files(data)[0])
    if not data.is_file():
        return []
    try:
        with zipfile.ZipFile(data) as archive:
            names = [name.replace("\\", "/") for name in archive.namelist()]
            return [Path(name) for name in names if name and not name.endswith("/")]
    except (*DAMAGE, *UNFIT):
        return []


def link_or_unpack(source: Path, target: Path) -> None:
    """Link every file of a folder to a new folder, or copy it where the file system cannot link; or unpack a zip there.

    Raises
    ------
    WenError
        If the source is neither, holds two files of one name on this disk, or is not safe or possible to unpack.
    """
    if source.is_dir():
        _link(source, target)
    elif source.is_file():
        if IMAGE.fullmatch(source.suffix) or DOCUMENT.fullmatch(source.suffix):
            raise WenError(f"{source}: one file; name the folder or zip that contains the images")
        if ARCHIVE.fullmatch(source.suffix) and not zipfile.is_zipfile(source) and source.suffix.lower() != ".zip":
            raise WenError(f"{source}: an archive other than a zip; unpack it and name the folder")
        _unzip(source, target)
    else:
        raise WenError(f"{source}: no such folder or zip")


def _link(source: Path, target: Path) -> None:
    """Hard-link every file of a folder; copy it where the file system cannot link."""
    paths, problems = files(source)
    if problems:
        raise WenError("\n".join(problems))
    target.mkdir()
    for path in track(paths, "bringing images"):
        place = target / path.relative_to(source)
        _refuse_merged(place, source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), place)
        except OSError:
            shutil.copy2(path, place)


def _unzip(source: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            members = [member for member in archive.infolist() if not (member.filename and member.is_dir())]
            for member in members:
                _check(member, source)
            _decode_names(members, source)
            members = [member for member in members if not member.filename.endswith("/")]
            for name, times in Counter(member.filename for member in members).items():
                if times > 1:
                    raise WenError(f"{source}: contains {name!r} {times} times; keep one")
            size = sum(member.file_size for member in members)
            free = shutil.disk_usage(target.parent).free
            if size > min(LARGEST_ZIP, free):
                raise WenError(f"{source}: needs {size / 1e9:.1f} GB unpacked; {free / 1e9:.1f} GB are free")
            for member in track(members, "unpacking images"):
                _refuse_merged(target / member.filename, source)
                archive.extract(member, target)
    except DAMAGE as error:
        raise WenError(
            f"{source}: neither a folder nor a complete zip ({_text(error)}); download or copy it again"
        ) from None
    except UNFIT as error:
        raise WenError(
            f"{source}: cannot be unpacked ({_text(error)}); unpack it yourself and name the folder"
        ) from None


def _refuse_merged(place: Path, source: Path) -> None:
    """Refuse a file whose name is taken: a Mac's or Windows' disk gives A.png and a.png one file."""
    if os.path.lexists(place):
        raise WenError(
            f"{source}: this disk cannot hold {place.name} beside a file whose name differs only in capitals or in how "
            "accents are written; rename one of the two"
        )


def _decode_names(members: Sequence[zipfile.ZipInfo], source: Path) -> None:
    """Correct the names of members, and warn of those of unknown encoding.

    Without a flag for UTF-8, zipfile reads a name as code page 437. Many programs, such as macOS's, write UTF-8 and no
    flag. Windows tools write backslashes.
    """
    unsure = []
    for member in members:
        name = member.filename
        if not member.flag_bits & UTF_8 and not name.isascii():
            try:
                name = name.encode("cp437").decode("utf-8")
            except UnicodeError:
                unsure.append(name)
        name = name.replace("\\", "/")
        member.filename = name if name.endswith("/") else posixpath.normpath(name)
    if unsure:
        print(
            f"warning: {source}: names in an unknown encoding, perhaps read wrongly ({len(unsure):,}): {some(unsure)}; "
            "if they are wrong, unpack the zip yourself and name the folder",
            file=sys.stderr,
        )


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__  # EOFError and MemoryError often have no text


def _check(member: zipfile.ZipInfo, source: Path) -> None:
    """Reject a member that would be unpacked outside the target, or is not a regular file."""
    path, kind = PureWindowsPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    if not member.filename or path.root or path.drive or ".." in path.parts or kind not in (0, stat.S_IFREG):
        raise WenError(f"{source}: unsafe path {member.filename!r} in the archive; nothing was unpacked")
