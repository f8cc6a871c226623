"""``wen study``: bring the real data under data/raw, check them, and put a profile in place."""

import os
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PureWindowsPath

from rich.progress import track

from wen.data.prepare import survey
from wen.errors import WenError
from wen.files import whole, write_text
from wen.params import parse
from wen.paths import Paths

LARGEST_ZIP = 40 * 2**30  # bytes unpacked; C-NMC 2019 is 11 GB


def run(data: Path, profile: str, incomplete: bool, paths: Paths) -> None:
    """Bring C-NMC to data/raw/cnmc, check it, and write the profile to params.yaml.

    Parameters
    ----------
    data : Path
        A folder or zip, in any layout that `wen.data.cnmc` reads. It is linked or copied, never altered.
    profile : str
        Name of a file in profiles/.
    incomplete : bool
        Accept a part of C-NMC: ``dataset.complete: false`` in params.yaml.
    paths : Paths

    Raises
    ------
    WenError
        If there is no such profile or data, or the data have problems; nothing is changed then.
    """
    text = _profile(profile, incomplete, paths)
    params = parse(text, paths.profiles / f"{profile}.yaml")
    target = paths.raw / "cnmc"
    dataset = params.dataset
    if data.resolve() == target.resolve():
        _, _, summary = survey(target, paths.root, dataset.side, dataset.complete)
    else:
        with whole(target) as partial:
            _bring(data, partial)
            try:
                _, _, summary = survey(partial, paths.root, dataset.side, dataset.complete)
            except WenError as error:
                raise WenError(str(error).replace(str(partial), str(data))) from None
    if paths.params.exists() and paths.params.read_text(encoding="utf-8") not in _profiles(paths):
        paths.params.replace(paths.params.with_suffix(".yaml.old"))
        print("your own params.yaml is kept as params.yaml.old")
    write_text(paths.params, text)
    print(
        f"data/raw/cnmc: {summary['images']:,} images ({summary['ALL']:,} ALL, {summary['HEM']:,} HEM) of "
        f"{summary['subjects']} subjects, {summary['duplicate_pairs']} duplicate pairs\n"
        f"params.yaml: profile {profile}. Start the study with: dvc repro"
    )


def _profile(name: str, incomplete: bool, paths: Paths) -> str:
    file = paths.profiles / f"{name}.yaml"
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in paths.profiles.glob("*.yaml")))
        raise WenError(f"--profile {name}: no such profile; there are {names}")
    text = file.read_text(encoding="utf-8")
    return text.replace("  complete: true ", "  complete: false", 1) if incomplete else text


def _profiles(paths: Paths) -> list[str]:
    """Every text of params.yaml that can be had again without the user."""
    names = [path.stem for path in paths.profiles.glob("*.yaml")]
    return [_profile(name, incomplete, paths) for name in names for incomplete in (False, True)]


def _bring(source: Path, target: Path) -> None:
    if source.is_dir():
        _link(source, target)
    elif source.is_file():
        _unzip(source, target)
    else:
        raise WenError(f"{source}: no such folder or zip")


def _link(source: Path, target: Path) -> None:
    """Hard-link every file of a folder, or copy where the file system cannot link."""
    files = [path for path in sorted(source.rglob("*")) if not path.is_dir()]
    for path in files:
        if not path.is_file():
            raise WenError(f"{path}: neither a file nor a folder, or a link to nothing")
    for path in track(files, "bringing images", transient=True):
        place = target / path.relative_to(source)
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
            for name, times in Counter(member.filename for member in members).items():
                if times > 1:
                    raise WenError(f"{source}: {name!r} is in it {times} times")
            size = sum(member.file_size for member in members)
            free = shutil.disk_usage(target.parent).free
            if size > min(LARGEST_ZIP, free):
                raise WenError(f"{source}: unpacks to {size / 1e9:.1f} GB; {free / 1e9:.1f} GB are free here")
            for member in track(members, "unpacking images", transient=True):
                archive.extract(member, target)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise WenError(f"{source}: neither a folder nor a whole zip ({error})") from None
    except (
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:  # packed in a way that Python lacks; a password; a name
        raise WenError(f"{source}: cannot be unpacked ({error}); unpack it yourself and give the folder") from None


def _check(member: zipfile.ZipInfo, source: Path) -> None:
    """Refuse a member that would land outside the target, and what is no plain file."""
    path, kind = PureWindowsPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    if not member.filename or path.root or path.drive or ".." in path.parts or kind not in (0, stat.S_IFREG):
        raise WenError(f"{source}: unsafe member {member.filename!r}; nothing was unpacked")
