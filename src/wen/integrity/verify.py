"""Whether every output, and its copy in DVC's cache, is what dvc.lock says.

A power cut can leave files empty, cut or zeroed, and a disk can lose a bit. DVC does not read a cached file again
that is read-only, nor one in the workspace whose size and time are as before: it would take the damage for good.
"""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import atomic
from wen.integrity.store import (
    SETTLED,
    Digests,
    Output,
    cache_folder,
    object_path,
    objects,
    outputs,
    read_listing,
    write_listing,
)

TABLE = "wen-verified.json"
BLOCK = 4096
"""Bytes that a file system writes, or loses, at once."""


def run(paths: Paths) -> None:
    """Hash all that dvc.lock names and all that is in the cache; restore or remove what is damaged.

    Raises
    ------
    WenError
        If something was damaged, missing or changed, if dvc.lock is damaged, or if there is no DVC repository.
    """
    if not (paths.root / ".dvc").is_dir():
        raise WenError(f"{paths.root.resolve()}: not a DVC repository; run this in the folder of a study")
    inspection = _Inspection(paths.root, everything=True)
    if damaged := inspection.repair():
        raise WenError(
            f"{len(damaged)} of {len(inspection.found)} files were damaged: {listed(damaged)}. Those with an intact "
            "copy were restored, the others removed; `dvc pull` fetches these from a remote, `dvc repro` makes them "
            "again"
        )
    if others := inspection.others():
        raise WenError(
            f"{len(others)} outputs are missing, or not those that dvc.lock names: {listed(others)}. `dvc checkout` "
            "brings them back from the cache, `dvc pull` from a remote, and `dvc repro` makes them again"
        )
    print(f"{len(inspection.found)} files checked; outputs and cache match dvc.lock")


def check(paths: Paths) -> list[str]:
    """Find damaged outputs, and have `dvc repro` notice each output that is not what dvc.lock says.

    Fast enough to run before every `dvc repro`: only what is new, or may have been lost since, is hashed.

    * A damaged file of the cache is replaced by the workspace's intact copy, else removed.
    * A damaged file of the workspace (empty, cut, zeroed in part, or linked to a damaged file of the cache) is
      replaced by the cache's or git's intact copy, else removed.
    * Any other file that dvc.lock does not know, such as one that was edited, is left to DVC; its time of
      change becomes now, so that DVC reads it.

    Returns
    -------
    list of str
        The damaged files, relative to the root.

    Raises
    ------
    WenError
        If dvc.lock is damaged.
    """
    if not (paths.root / ".dvc").is_dir():
        return []
    return _Inspection(paths.root, everything=False).repair()


def listed(names: list[str], most: int = 10) -> str:
    """The first of many names, and how many others there are."""
    others = f" and {len(names) - most} others" if len(names) > most else ""
    return ", ".join(names[:most]) + others


class _Inspection:
    """The MD5 that files should have, and those that they have.

    Attributes
    ----------
    expected : dict
        MD5 of every file of the workspace that dvc.lock names, in folders too; empty where it is not known.
    objects : dict
        Path of every file of the cache that is looked at, by the MD5 that is its name.
    found : dict
        MD5 of every one of them that is there.
    intact : set
        MD5 of those of ``objects`` whose content has it.
    broken : dict
        Those of ``objects`` that have another one.
    """

    def __init__(self, root: Path, everything: bool) -> None:
        self.root, self.cache, self.outs = root, cache_folder(root), outputs(root)
        self.digests = Digests(self.cache / TABLE, anew=everything)
        self.listings = self._listings()
        self.expected = dict(self._expected())
        named = {*self.expected.values(), *(out.md5 for out in self.outs)} - {""}
        since = 0.0 if everything else _last_stage(root) - SETTLED
        self.objects = {md5: object_path(self.cache, md5) for md5 in named} | dict(objects(self.cache, since))
        self.found = self.digests.of([*self.expected, *self.objects.values()])
        there = {md5: path for md5, path in self.objects.items() if path in self.found}
        self.intact = {md5 for md5, path in there.items() if self.found[path] == md5.removesuffix(".dir")}
        self.broken = {md5: path for md5, path in there.items() if md5 not in self.intact}

    def repair(self) -> list[str]:
        """Restore or remove what is damaged; the names of those files."""
        damaged = self._repair_workspace()
        damaged += self._repair_cache(set(damaged))
        _forget_empty_runs(self.cache)
        self.digests.save()
        return self._named(damaged)

    def others(self) -> list[str]:
        """Outputs that are not what dvc.lock says and not damaged: never fetched, deleted, edited, of another version.

        Of a folder, those of its files; the folder itself, if nothing says what was in it.
        """
        folders = [out for out in self.outs if out.md5.endswith(".dir")]
        unknown = [self.root / out.path for out in folders if out.md5 not in self.listings]
        files = [path for path, md5 in self.expected.items() if md5 and self.found.get(path) != md5]
        return self._named([*files, *unknown])

    def _named(self, paths: list[Path]) -> list[str]:
        return [os.path.relpath(path, self.root).replace(os.sep, "/") for path in paths]

    def _repair_workspace(self) -> list[Path]:
        sizes = {self.root / out.path: out.size for out in self.outs}
        damaged = []
        for path, md5 in self.expected.items():
            if self.found.get(path, md5) == md5 or self._is_of_another_version(path):
                continue
            broken = self.broken.get(md5)
            intact = self.objects[md5] if md5 in self.intact else None
            if (broken and self.found[broken] == self.found[path]) or _is_torn(path, intact, sizes.get(path)):
                damaged.append(path)
                committed = _committed(self.root, path).get(path, b"")
                _restore(path, intact or (committed if hashlib.md5(committed).hexdigest() == md5 else None))
            else:
                os.utime(path)
        return damaged

    def _repair_cache(self, named: set[Path]) -> list[Path]:
        """What is damaged in the cache; an output of the workspace that is named already is not named twice."""
        damaged = []
        for md5, path in self.broken.items():
            owners = [file for file, name in self.expected.items() if name == md5]
            if named.isdisjoint(owners):
                damaged.append(path)
            twin = next((file for file in owners if self.found.get(file) == md5), None)
            listing = self.listings.get(md5)
            _restore(path, write_listing(listing) if listing else twin, mode=0o444)
        return damaged

    def _listings(self) -> dict[str, dict[str, str]]:
        """The files of each folder of dvc.lock with their MD5, by that of the folder.

        From the cache; where it has not got it, from the workspace or the last commit, if all is intact there.
        """
        folders = {out.md5: out for out in self.outs if out.md5.endswith(".dir")}
        places = {md5: object_path(self.cache, md5) for md5 in folders}
        found = self.digests.of(places.values())
        listings = {}
        for md5, out in folders.items():
            if found.get(places[md5]) == md5.removesuffix(".dir"):
                listings[md5] = read_listing(places[md5].read_bytes())
                continue
            for look in (self._workspace, self._committed):
                if hashlib.md5(write_listing(files := look(out))).hexdigest() == md5.removesuffix(".dir"):
                    listings[md5] = files
                    break
        return listings

    def _expected(self) -> Iterator[tuple[Path, str]]:
        for out in self.outs:
            if not out.md5.endswith(".dir"):
                yield self.root / out.path, out.md5
            else:
                listing = self.listings.get(out.md5) or dict.fromkeys(self._workspace(out), "")
                yield from ((self.root / out.path / path, md5) for path, md5 in listing.items())

    def _workspace(self, out: Output) -> dict[str, str]:
        """The files that a folder has now."""
        place = self.root / out.path
        found = self.digests.of(place.rglob("*"))
        return {path.relative_to(place).as_posix(): md5 for path, md5 in found.items()}

    def _committed(self, out: Output) -> dict[str, str]:
        """The files that a folder has in the last commit."""
        place = self.root / out.path
        files = _committed(self.root, place)
        return {path.relative_to(place).as_posix(): hashlib.md5(content).hexdigest() for path, content in files.items()}

    def _is_of_another_version(self, path: Path) -> bool:
        """Whether a file is an output that dvc.lock does not name now, as after `git checkout`."""
        other = object_path(self.cache, self.found[path])
        return path.stat().st_size > 0 and self.digests.of([other]).get(other) == self.found[path]


def _last_stage(root: Path) -> float:
    """When dvc.lock was written last: what the cache got long before was looked at then."""
    try:
        return (root / "dvc.lock").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_torn(path: Path, intact: Path | None, size: int | None) -> bool:
    """Whether a file is what a power cut leaves of the intact one: some of its blocks, the others zeroed or cut off.

    Where nothing intact is at hand: whether it is shorter than dvc.lock says, or ends in zeros.
    """
    found = path.stat().st_size
    if intact is None or not found:
        with path.open("rb") as file:
            file.seek(max(0, found - BLOCK))
            return found < (size or 1) or not any(file.read())
    if found > intact.stat().st_size:
        return False
    with path.open("rb") as file, intact.open("rb") as other:
        while block := file.read(BLOCK):
            if other.read(BLOCK)[: len(block)] != block and any(block):
                return False
    return True


def _restore(path: Path, source: Path | bytes | None, mode: int = 0o644) -> None:
    """Replace a damaged file by an intact one; remove it where there is none."""
    if os.name == "nt":  # which lets no read-only file be removed
        path.chmod(0o644)
    if source is None:
        path.unlink(missing_ok=True)
        return
    with atomic(path) as partial:
        if isinstance(source, bytes):
            partial.write_bytes(source)
        else:
            shutil.copyfile(source, partial)
        partial.chmod(mode)


def _committed(root: Path, path: Path) -> dict[Path, bytes]:
    """What the last commit holds at a path, a file or a folder; nothing where git does not know it."""
    command = ["git", "archive", "--format=tar", "HEAD", path.relative_to(root).as_posix()]
    try:
        content = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {root / name: file.read() for name, file in files if file}


def _forget_empty_runs(cache: Path) -> None:
    """Remove empty folders of the run-cache: DVC removes a damaged file of it, and fails at the empty folder.

    Not one of the last second, which another process may be about to fill.
    """
    for folder in (cache / "runs").glob("*/*"):
        with suppress(OSError):  # it is not empty
            if folder.stat().st_mtime < time.time() - 1:
                folder.rmdir()
