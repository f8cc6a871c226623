"""``wen study``: link or copy the data to data/raw, check them, and write a profile to params.yaml."""

import filecmp
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import parse
from wen.data import unpack
from wen.data.folder import IMAGE, files
from wen.data.prepare import search, survey
from wen.data.readers import cnmc
from wen.data.recognise import About, recognised
from wen.data.split import assign
from wen.errors import WenError
from wen.files import atomic


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
    names = unpack.list_files(data)
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
            unpack.link_or_unpack(data, partial)
            yield partial


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
