"""Verify that every output, and its copy in DVC's cache, matches dvc.lock, and repair damaged files.

A power cut can leave files empty, truncated or zeroed, and a disk can flip a bit. DVC would not notice: it does not
hash read-only files of the cache again, nor files of the workspace whose size and time are unchanged.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import Message, WenError
from wen.files import atomic
from wen.integrity import dropped
from wen.integrity.store import (
    SETTLED,
    Digests,
    Output,
    cache_folder,
    files_in,
    folder_md5,
    is_shared,
    object_path,
    objects,
    outputs,
    read_listing,
    write_listing,
)

TABLE = "wen-verified.json"
BLOCK = 4096
"""Size of the blocks that a file system writes, or loses, in bytes."""
WRITABLE = 0o222


def run(paths: Paths) -> None:
    """Hash all files in dvc.lock and in the cache; restore or remove damaged ones, and refill the cache.

    Raises
    ------
    WenError
        If a file was damaged, missing or changed, if the cache lacked files, if dvc.lock is damaged, or if there is no
        DVC repository.
    """
    if not (paths.root / ".dvc").is_dir():
        raise WenError(f"{paths.root.resolve()}: not a DVC repository; run this in the folder of a study")
    inspection = _Inspection(paths.root, everything=True)
    with _writable_by_group(paths.root):
        damaged = inspection.repair()
        added = [] if damaged else inspection.refill()
    if damaged:
        raise WenError(
            f"damaged files, {len(damaged)} of {len(inspection.found)}: {listed(damaged)}. Those with an intact "
            "copy were restored, the others removed; `dvc pull` fetches these from a remote, `dvc repro` makes them "
            "again"
        )
    if others := inspection.others(_dropped(paths)):
        raise WenError(
            f"outputs that are missing, or not those that dvc.lock names, {len(others)}: {listed(others)}. "
            "`dvc checkout` brings them back from the cache, `dvc pull` from a remote, and `dvc repro` makes them again"
        )
    if added:
        raise WenError(_refilled(added, inspection.cache))
    print(f"{len(inspection.found)} files checked; outputs and cache match dvc.lock")


def check(paths: Paths) -> list[str]:
    """Repair damaged outputs, and make `dvc repro` notice each output that differs from dvc.lock.

    Only files that are new, or may have been lost since the last check, are hashed, so that this is fast enough to run
    before every `dvc repro`.

    * A damaged file of the cache is replaced by the intact copy of the workspace, or removed if there is none.
    * A damaged file of the workspace (empty, truncated, partly zeroed, or linked to a damaged file of the cache) is
      replaced by the intact copy of the cache or of git, or removed if there is none.
    * Any other file that differs from dvc.lock, such as an edited one, is left to DVC. Its modification time is set to
      now, so that DVC hashes it.
    * A file that only the workspace has is added to the cache. DVC would run its stage again, even if it is intact.

    Returns
    -------
    list of str
        Paths of the damaged files, relative to the root.

    Raises
    ------
    WenError
        If dvc.lock is damaged.
    """
    if not (paths.root / ".dvc").is_dir():
        return []
    inspection = _Inspection(paths.root, everything=False)
    with _writable_by_group(paths.root):
        damaged, added = inspection.repair(), inspection.refill()
    if added:
        print(_refilled(added, inspection.cache), file=sys.stderr)
    return damaged


def _refilled(added: list[str], cache: Path) -> Message:
    return (
        f"{cache}: DVC's cache lacked {len(added)} files that dvc.lock names; they were added from this folder. If the "
        "cache was moved or its disk is not mounted, bring it back: it also holds earlier results"
    )


def listed(names: list[str], most: int = 10) -> str:
    """Join the first names, and add the number of the others."""
    others = f" and {len(names) - most} others" if len(names) > most else ""
    return ", ".join(names[:most]) + others


class _Inspection:
    """The expected and the actual MD5 of the files of workspace and cache.

    Attributes
    ----------
    expected : dict
        Expected MD5 of every file of the workspace that dvc.lock covers, including files in folders; "" if unknown.
    objects : dict
        Paths of the inspected files of the cache, by the MD5 in their names.
    found : dict
        Actual MD5 of every existing file among both.
    intact : set
        MD5 of the ``objects`` whose content matches their name.
    broken : dict
        Paths of the ``objects`` whose content does not, by the MD5 in their names.
    """

    def __init__(self, root: Path, everything: bool) -> None:
        self.root, self.cache, self.outs = root, cache_folder(root), outputs(root)
        self.digests = Digests(self.cache / TABLE, rehash=everything)
        self.listings = self._listings()
        self.expected = dict(self._expected(self.outs))
        named = {*self.expected.values(), *(out.md5 for out in self.outs)} - {""}
        since = 0.0 if everything else _last_stage(root) - SETTLED
        self.objects = {md5: object_path(self.cache, md5) for md5 in named} | dict(objects(self.cache, since))
        self.found = self.digests.of([*self.expected, *self.objects.values()])
        existing = {md5: path for md5, path in self.objects.items() if path in self.found}
        self.intact = {md5 for md5, path in existing.items() if self.found[path] == md5.removesuffix(".dir")}
        self.broken = {md5: path for md5, path in existing.items() if md5 not in self.intact}

    def repair(self) -> list[str]:
        """Restore or remove the damaged files, and return their names."""
        damaged = self._repair_workspace()
        damaged += self._repair_cache(set(damaged))
        _remove_empty_runs(self.cache)
        self.digests.save()
        return self._named(damaged)

    def refill(self) -> list[str]:
        """Add the intact outputs that the cache lacks, and return their names.

        The cache may have been moved or deleted, or its disk may not be mounted. Outputs that git tracks, and those
        with ``cache: false`` in dvc.yaml, need no cache.
        """
        lacking = {md5: path for md5, path in self.objects.items() if path not in self.found and not path.exists()}
        outs = _cached(self.outs, self.root) if lacking else []
        expected = self._expected(outs)
        intact = {md5: path for path, md5 in expected if md5 in lacking and self.found.get(path) == md5}
        tracked = _tracked(self.root) if lacking else set()
        added = [path for path in intact.values() if path not in tracked]
        for md5, path in intact.items():
            if path not in tracked:
                _add(lacking[md5], path)
        for out in [out for out in outs if out.md5 in lacking and out.md5 in self.listings]:
            folder, files = self.root / out.path, self.listings[out.md5]
            is_intact = folder.is_dir() and all(self.found.get(folder / name) == md5 for name, md5 in files.items())
            if is_intact and tracked.isdisjoint(folder / name for name in files):
                _restore(lacking[out.md5], write_listing(files), mode=0o444)
                added.append(folder)
        return self._named(added)

    def others(self, dropped: set[str]) -> list[str]:
        """Return the outputs that differ from dvc.lock without being damaged: missing, edited or of another version.

        For a folder, its files; the folder itself, if its listing is unknown. Outputs of the stages in ``dropped`` do
        not count.
        """
        outs = [out for out in self.outs if out.stage not in dropped]
        unknown = [self.root / out.path for out in outs if out.md5.endswith(".dir") and out.md5 not in self.listings]
        files = [path for path, md5 in self._expected(outs) if md5 and self.found.get(path) != md5]
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

    def _repair_cache(self, reported: set[Path]) -> list[Path]:
        """Repair the cache, and return its damaged files except copies of the ``reported`` files of the workspace."""
        damaged = []
        for md5, path in self.broken.items():
            copies = [file for file, name in self.expected.items() if name == md5]
            if reported.isdisjoint(copies):
                damaged.append(path)
            intact_copy = next((file for file in copies if self.found.get(file) == md5), None)
            listing = self.listings.get(md5)
            _restore(path, write_listing(listing) if listing else intact_copy, mode=0o444)
        return damaged

    def _listings(self) -> dict[str, dict[str, str]]:
        """Return the MD5 of the files of each folder in dvc.lock, by the MD5 of the folder.

        A listing that the cache does not have is reconstructed from the workspace or from the last commit, if all
        files are intact there.
        """
        folders = {out.md5: out for out in self.outs if out.md5.endswith(".dir")}
        paths = {md5: object_path(self.cache, md5) for md5 in folders}
        found = self.digests.of(paths.values())
        listings = {}
        for md5, out in folders.items():
            if found.get(paths[md5]) == md5.removesuffix(".dir"):
                listings[md5] = read_listing(paths[md5].read_bytes())
                continue
            for files_of in (self._workspace, self._committed):
                if folder_md5(files := files_of(out)) == md5:
                    listings[md5] = files
                    break
        return listings

    def _expected(self, outs: list[Output]) -> Iterator[tuple[Path, str]]:
        for out in outs:
            if not out.md5.endswith(".dir"):
                yield self.root / out.path, out.md5
            else:
                listing = self.listings.get(out.md5) or dict.fromkeys(self._workspace(out), "")
                yield from ((self.root / out.path / path, md5) for path, md5 in listing.items())

    def _workspace(self, out: Output) -> dict[str, str]:
        """Return the MD5 of the files that a folder holds in the workspace."""
        folder = self.root / out.path
        found = self.digests.of(files_in(folder))
        return {path.relative_to(folder).as_posix(): md5 for path, md5 in found.items()}

    def _committed(self, out: Output) -> dict[str, str]:
        """Return the MD5 of the files that a folder holds in the last commit."""
        folder = self.root / out.path
        files = _committed(self.root, folder)
        return {path.relative_to(folder).as_posix(): hashlib.md5(data).hexdigest() for path, data in files.items()}

    def _is_of_another_version(self, path: Path) -> bool:
        """Whether a file is an intact output of another version of dvc.lock, as after `git checkout`."""
        cached = object_path(self.cache, self.found[path])
        return path.stat().st_size > 0 and self.digests.of([cached]).get(cached) == self.found[path]


def _cached(outs: list[Output], root: Path) -> list[Output]:
    """Return the outputs without those that dvc.yaml keeps out of the cache."""
    stages = YAML(typ="safe").load((root / "dvc.yaml").read_bytes())["stages"].values()
    described = [stage.get("do", stage) for stage in stages]
    listed = [out for stage in described for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    options = {path: options for out in listed if isinstance(out, dict) for path, options in out.items()}
    uncached = [re.sub(r"\$\{.+?\}", "*", path) for path, option in options.items() if option.get("cache") is False]
    return [out for out in outs if not any(PurePosixPath(out.path).match(pattern) for pattern in uncached)]


def _dropped(paths: Paths) -> set[str]:
    """Return the stages that params.yaml no longer has; none if it cannot be read."""
    try:
        return dropped.stages(load(paths.params), paths)
    except WenError:
        return set()


def _last_stage(root: Path) -> float:
    """Return the time at which dvc.lock was last written; older objects of the cache have been checked before."""
    try:
        return (root / "dvc.lock").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_torn(path: Path, intact: Path | None, size: int | None) -> bool:
    """Whether a file is a remainder of the intact one after a power cut, with some blocks zeroed or cut off.

    Without an intact copy: whether it is shorter than recorded in dvc.lock, or ends in zeros.
    """
    actual_size = path.stat().st_size
    if intact is None or not actual_size:
        with path.open("rb") as file:
            file.seek(max(0, actual_size - BLOCK))
            return actual_size < (size or 1) or not any(file.read())
    if actual_size > intact.stat().st_size:
        return False
    with path.open("rb") as file, intact.open("rb") as other:
        while block := file.read(BLOCK):
            if other.read(BLOCK)[: len(block)] != block and any(block):
                return False
    return True


def _restore(path: Path, source: Path | bytes | None, mode: int = 0o644) -> None:
    """Replace a damaged file by an intact one, or remove it if there is none."""
    if os.name == "nt":  # Windows does not remove read-only files
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


def _add(path: Path, source: Path) -> None:
    """Add an output to the cache: as a link if it is read-only, as DVC's links are, else as a copy."""
    with atomic(path) as partial:
        if source.is_symlink() or source.stat().st_mode & WRITABLE or not _link(source, partial):
            shutil.copyfile(source, partial)
        partial.chmod(0o444)


@contextmanager
def _writable_by_group(root: Path) -> Iterator[None]:
    """Create folders of a shared cache as DVC does: the other users of the group must be able to add files to them."""
    if not is_shared(root):
        yield
        return
    before = os.umask(0o002)
    try:
        yield
    finally:
        os.umask(before)


def _link(source: Path, path: Path) -> bool:
    try:
        path.hardlink_to(source)
    except OSError:  # on another disk, or not supported
        return False
    return True


def _tracked(root: Path) -> set[Path]:
    """Return the files of a folder that git tracks; none outside a repository."""
    try:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return set()
    return {root / os.fsdecode(name) for name in names.split(b"\0")}


def _committed(root: Path, path: Path) -> dict[Path, bytes]:
    """Return the content of a file, or of the files in a folder, in the last commit; empty if not tracked by git."""
    command = ["git", "archive", "--format=tar", "HEAD", path.relative_to(root).as_posix()]
    try:
        content = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {root / name: file.read() for name, file in files if file}


def _remove_empty_runs(cache: Path) -> None:
    """Remove empty folders of the run-cache, which DVC leaves when it removes a damaged run, and then fails to read.

    Folders of the last second stay, because another process may be about to fill them.
    """
    for folder in (cache / "runs").glob("*/*"):
        with suppress(OSError):  # the folder is not empty
            if folder.stat().st_mtime < time.time() - 1:
                folder.rmdir()
