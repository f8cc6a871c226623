"""``wen study``: link or copy the data to data/raw, check them, and write a profile to params.yaml."""

import filecmp
import itertools
import lzma
import os
import posixpath
import re
import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

from wen.bar import track
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import parse
from wen.data.folder import ARCHIVE, DOCUMENT, IMAGE, files, some
from wen.data.prepare import search, survey
from wen.data.readers import cnmc
from wen.data.recognise import About, recognised
from wen.data.split import assign
from wen.errors import WenError
from wen.files import atomic

UTF_8 = 0x800
"""Flag of a zip's member whose name is UTF-8."""
LARGEST_ZIP = 40 * 2**30  # bytes unpacked; C-NMC 2019 is 11 GB
# What zipfile raises on a damaged zip; ValueError on a name that is not UTF-8, or an entry beyond the file's end.
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError)
# On a zip with an unsupported compression, with a password, or with too long names or too large an LZMA dictionary.
UNFIT = (NotImplementedError, RuntimeError, OSError, MemoryError)


def run(data: Path, profile: str, incomplete: bool, paths: Paths, about: About | None = None) -> None:
    """Bring images to data/raw, check them, and write the profile to params.yaml.

    C-NMC, in any layout that `wen.data.readers.cnmc` reads, is brought to data/raw/cnmc and studied as the profile
    says. Other images are brought to data/raw/cells, and the profile is rewritten for them: `wen.data.recognise`.

    Parameters
    ----------
    data : Path
        A folder or zip, or a table beside its images. It is linked or copied, never changed.
    profile : str
        Name of a file in profiles/.
    incomplete : bool
        Accept a part of C-NMC: ``dataset.complete: false`` in params.yaml.
    paths : Paths
    about : About, optional
        What the user states about the data.

    Raises
    ------
    WenError
        If the profile or the data do not exist, or the data have problems; nothing is changed then.
    """
    content = _profile(profile, incomplete, paths)
    parse(content, paths.profiles / f"{profile}.yaml")
    _is_edited(paths)  # raises, before anything changes, if params.yaml cannot be read
    about, data = about or About(), _at_home(data)
    if about.table:
        about = replace(about, table=_at_home(about.table))
    if data.suffix.lower() in (".csv", ".tsv") and data.is_file() and about.table is None:
        about, data = replace(about, table=data), data.parent
    if data.is_dir() and paths.root.resolve().is_relative_to(data.resolve()):
        raise WenError(f"{data}: contains this study; name the folder that holds the images alone")
    names = _names(data)
    of_cnmc = replace(about, name=None) == About() and cnmc.is_layout(names)
    if of_cnmc and about.name:
        raise WenError(f"--name {about.name}: not used for C-NMC, or images named and filed like C-NMC; leave it out")
    target = paths.raw / ("cnmc" if of_cnmc else "cells")
    _refuse_inside(data, target)
    before = _relative(target)
    with _brought(data, target) as folder:
        try:
            if not of_cnmc:
                content = recognised(folder, data, about, content, profile)
            params = parse(content, paths.profiles / f"{profile}.yaml")
            summary = _checked(folder, paths.root, params, profile)
        except WenError as error:
            if about.table and Path(about.table.name) not in before:  # of images in place, which must stay as they were
                (folder / about.table.name).unlink(missing_ok=True)
            message = _with_user_paths(str(error), folder, data, paths)
            remedy = f"\n{cnmc.OTHERWISE}" if of_cnmc and not cnmc.has_folders(names) else ""
            raise WenError(message + remedy) from None
        lost = [target / name for name in before if not _is_equal(target / name, folder / name)]
        new = len(_relative(folder) - before)
        if any(map(_is_only_copy, lost)):
            kept = target.replace(_old_name(target))
            print(
                f"{kept.relative_to(paths.root)}: the previous study's images, kept because some of them may exist "
                "nowhere else; delete the folder if you have copies"
            )
    if before and (lost or new):
        print(
            f"{target.relative_to(paths.root)}: {len(lost):,} of {len(before):,} files of the previous study were "
            f"replaced or removed, and {new:,} files are new. The results here are of the previous study until `dvc "
            "repro` ends; to return to it, run `wen study` with its data again"
        )
    _write_params(content, paths)
    dataset, subjects = params.dataset, summary["subjects"]
    print(
        f"{target.relative_to(paths.root)}: {summary['images']:,} images ({summary['positive']:,} {dataset.positive}, "
        f"positive; {summary['negative']:,} {dataset.negative}, negative) of "
        f"{'unknown' if subjects is None else subjects} subjects; {_copies(summary['copies'])}\n"
        f"params.yaml: profile {profile}. Start the study with: dvc repro"
    )


def _at_home(path: Path) -> Path:
    """Expand ~, as shells do not in DATA=~/lab (zsh) or --table=~/cells.csv."""
    return Path(os.path.expanduser(path))


def _write_params(content: bytes, paths: Paths) -> None:
    """Write params.yaml, and keep the previous one if the user edited it."""
    if _is_edited(paths) and paths.params.read_bytes() != content:
        old = _old_name(paths.params)
        paths.params.replace(old)
        print(f"the previous params.yaml was kept as {old.name}")
    with atomic(paths.params) as partial:
        partial.write_bytes(content)


def _relative(folder: Path) -> set[Path]:
    """List the files of a folder by their relative paths."""
    return {path.relative_to(folder) for path in files(folder)[0]}


def _is_equal(old: Path, new: Path) -> bool:
    """Whether a file has the bytes of another; images of equal names often have equal sizes, too, as C-NMC's BMPs."""
    return new.is_file() and (old.samefile(new) or filecmp.cmp(old, new, shallow=False))


def _is_only_copy(path: Path) -> bool:
    """Whether an image has no other name on this file system: it was moved here, unpacked, or copied from another."""
    return bool(IMAGE.fullmatch(path.suffix)) and path.lstat().st_nlink == 1 and not path.is_symlink()


def _with_user_paths(message: str, folder: Path, data: Path, paths: Paths) -> str:
    """Replace the temporary folder in a message by the folder or zip that the user named."""
    within = [folder.relative_to(root) for root in (paths.root, paths.home) if folder.is_relative_to(root)]
    for place in (folder, *within):
        message = message.replace(f"{place.as_posix()}", str(data))
    return message


def _refuse_inside(data: Path, target: Path) -> None:
    """Refuse data inside the folder that they would replace, because all else in it, or the zip, would be deleted."""
    place, replaced = data.resolve(), target.parent.resolve() / target.name
    if place != replaced and place.is_relative_to(replaced):
        raise WenError(
            f"{data}: lies in {target}, which `wen study` replaces; move it out of {target.parent}, and give its new "
            "path"
        )


@contextmanager
def _brought(data: Path, target: Path) -> Iterator[Path]:
    """Yield the folder that holds the data; it becomes the target if the block succeeds."""
    if data.resolve() == target.resolve() and not target.is_symlink():
        yield target
    else:
        with atomic(target) as partial:
            _bring(data, partial)
            yield partial


def _names(data: Path) -> list[Path]:
    """List the files of a folder or zip by their relative paths; empty if it cannot be read."""
    if data.is_dir():
        return sorted(_relative(data))
    if not data.is_file():
        return []
    try:
        with zipfile.ZipFile(data) as archive:
            names = [name.replace("\\", "/") for name in archive.namelist()]
            return [Path(name) for name in names if name and not name.endswith("/")]
    except (*DAMAGE, *UNFIT):
        return []


def _checked(folder: Path, root: Path, params: Params, profile: str) -> dict[str, Any]:
    index, _, summary = survey(folder, root, params)
    pairs, counts = search(index, root, params.dataset)
    if not params.dataset.of_cnmc:  # a part of C-NMC may be brought without being split
        try:
            assign(index, pairs, params.split, len(params.folds), params.seed)
        except WenError as error:
            raise WenError(f"{error}. folds, seed and split are those of profiles/{profile}.yaml") from None
    return summary | {"copies": counts}


def _copies(counts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {of_kind['pairs']:,}{_across(of_kind['pairs_across_subjects'])}"
        for name, of_kind in (("pairs of duplicates", counts["exact"]), ("of near-copies", counts["near"]))
        if of_kind is not None
    )


def _across(pairs: int | None) -> str:
    return "" if pairs is None else f" ({pairs:,} across subjects)"


def _profile(name: str, incomplete: bool, paths: Paths) -> bytes:
    file = paths.profiles / f"{name}.yaml"
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in paths.profiles.glob("*.yaml")))
        if not names:
            raise WenError(
                f"{paths.profiles}: no profiles here; run this in the project's folder, or make a study with "
                "`wen init FOLDER`"
            )
        raise WenError(f"--profile {name}: no such profile; choose one of {names}")
    content = file.read_bytes()
    return re.sub(rb"(?m)^  complete: true\b ?", b"  complete: false", content, count=1) if incomplete else content


def _is_edited(paths: Paths) -> bool:
    """Whether the user wrote or edited params.yaml: its content is not that of a profile."""
    if not paths.params.exists():
        return False
    if not paths.params.is_file():
        raise WenError(f"{paths.params}: not a file; move it away")
    names = [path.stem for path in paths.profiles.glob("*.yaml") if path.is_file()]
    return paths.params.read_bytes() not in [_profile(name, part, paths) for name in names for part in (False, True)]


def _old_name(path: Path) -> Path:
    """The first of NAME.old, NAME.old.2, ... that does not exist, so that nothing earlier is lost."""
    endings = itertools.chain([".old"], (f".old.{number}" for number in itertools.count(2)))
    places = (path.with_name(path.name + ending) for ending in endings)
    return next(place for place in places if not os.path.lexists(place))


def _bring(source: Path, target: Path) -> None:
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
