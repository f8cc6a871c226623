"""Read dvc.lock and DVC's cache by their documented formats.

DVC's commands are not used, because starting one takes longer than the entire check before every `dvc repro`.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
from configobj import ConfigObj, ConfigObjError
from dvc import dirs

from wen.data.folder import is_litter
from wen.errors import WenError
from wen.files import digest, write_text
from wen.integrity import lock

MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SETTLED = 24 * 3600
"""Time after which written data is certain to be on the disk, even after a power cut, in s."""


@dataclass(frozen=True)
class Output:
    """An output in dvc.lock."""

    stage: str
    path: str
    """Path relative to the root of the project."""
    md5: str
    """MD5 of the file. For a folder, the MD5 of its listing, followed by ``.dir``."""
    size: int | None
    """Size in bytes."""


def outputs(root: Path) -> list[Output]:
    """Read all outputs of dvc.lock, including those with ``cache: false``; none if there is no dvc.lock.

    Raises
    ------
    WenError
        If dvc.lock is damaged.
    """
    path = root / "dvc.lock"
    stages = lock.stages(path) if path.exists() else {}
    outs = [(stage, out) for stage, record in stages.items() for out in record.outs]
    candidates = [Output(stage, out.path, str(out.md5 or ""), out.size) for stage, out in outs]
    return [out for out in candidates if MD5.fullmatch(out.md5) and _is_inside(out.path)]


def recorded(text: str, root: Path) -> dict[str, str]:
    """Return the MD5 of each output that is a file, and of each file in the folders whose listing the cache has.

    Parameters
    ----------
    text : str
        Content of a dvc.lock.
    root : Path
    """
    cache, found = cache_folder(root), {}
    stages = lock.parsed(root / "dvc.lock", text) if text else {}
    for out in (out for stage in stages.values() for out in stage.outs):
        listing = object_path(cache, str(out.md5))
        if not str(out.md5).endswith(".dir"):
            found[out.path] = str(out.md5)
        elif listing.is_file():
            found |= {f"{out.path}/{name}": md5 for name, md5 in read_listing(listing.read_bytes()).items()}
    return found


def config_files(root: Path) -> list[Path]:
    """Return the files of DVC's settings; each overrides those before it: of the system, user, repository and clone."""
    return [Path(dirs.system_config_dir(), "config"), Path(dirs.global_config_dir(), "config"),
            root / ".dvc/config", root / ".dvc/config.local"]  # fmt: skip


def settings(file: Path) -> dict[str, dict[str, Any]]:
    """Read a file of DVC's settings as DVC does: the options of each section; none if the file is missing.

    Raises
    ------
    WenError
        If DVC cannot read it either.
    """
    try:
        sections = ConfigObj(str(file), encoding="utf-8", raise_errors=True).dict()
    except (ConfigObjError, UnicodeDecodeError) as error:
        raise WenError(f"{file}: damaged settings of DVC ({' '.join(str(error).split())}); correct the file") from None
    return {
        name.lower(): {key.lower(): value for key, value in options.items()}
        for name, options in sections.items()
        if isinstance(options, dict)
    }


def cache_folder(root: Path) -> Path:
    """Return the folder of DVC's cache: cache.dir of its settings, relative to their file, else .dvc/cache."""
    for file in reversed(config_files(root)):
        if folder := settings(file).get("cache", {}).get("dir"):
            return file.parent / Path(folder).expanduser()
    return root / ".dvc/cache"


def is_shared(root: Path) -> bool:
    """Whether DVC's settings let the users' group write to the cache (``cache.shared``)."""
    return any(settings(file).get("cache", {}).get("shared") for file in config_files(root))


def object_path(cache: Path, md5: str) -> Path:
    """Return the path of the object with this MD5 in a cache or a remote."""
    return cache / "files/md5" / md5[:2] / md5[2:]


def objects(cache: Path, since: float) -> Iterator[tuple[str, Path]]:
    """Yield the MD5 and the path of the objects that were added to a cache since a time, in s since 1970."""
    with suppress(FileNotFoundError), os.scandir(cache / "files/md5") as folders:
        for folder in folders:
            if folder.is_dir() and folder.stat().st_mtime >= since:
                for entry in os.scandir(folder):
                    name = folder.name + entry.name
                    if MD5.fullmatch(name) and entry.stat().st_ctime >= since:
                        yield name, Path(entry.path)


def read_listing(content: bytes) -> dict[str, str]:
    """Parse DVC's listing of a folder: the MD5 of each file, by its path in the folder."""
    entries: list[dict[str, Any]] = json.loads(content)
    return {entry["relpath"]: entry["md5"] for entry in entries if _is_inside(entry["relpath"])}


def write_listing(files: dict[str, str]) -> bytes:
    """Serialise DVC's listing of a folder, whose MD5 is that of the folder."""
    return json.dumps([{"md5": files[path], "relpath": path} for path in sorted(files)]).encode()


def files_in(folder: Path) -> list[Path]:
    """List the files of a folder that DVC tracks: all but those that .dvcignore leaves out."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [file for file in files if not is_litter(file) and file.suffix != ".partial"]


def folder_md5(files: dict[str, str]) -> str:
    """Return the MD5 of a folder, as dvc.lock has it, from the MD5 of its files by their paths in the folder."""
    return hashlib.md5(write_listing(files)).hexdigest() + ".dir"


class Digests:
    """Cached MD5 of files. A file is hashed again only if its inode, size or times have changed.

    After a restart of the machine, files that had been written less than a day before the cache was saved are also
    hashed again: a power cut loses data that was not yet on the disk, but may keep the times.

    Parameters
    ----------
    table : Path, optional
        File of the cache; without it, nothing is cached.
    rehash : bool
        Whether to ignore the cache and hash every file.
    """

    def __init__(self, table: Path | None = None, rehash: bool = False) -> None:
        self.table, self.boot = table, _boot_id()
        self.cached: dict[str, str] = {}
        self.used: dict[str, str] = {}
        if table and not rehash:
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                content = json.loads(table.read_bytes())
                settled = 1e9 * (float("inf") if content["boot"] == self.boot else content["time"] - SETTLED)
                self.cached = {key: md5 for key, md5 in content["md5"].items() if int(key.split()[0]) < settled}

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Hash files in parallel; paths that are missing or not a file are skipped."""
        keys = {path: key for path in paths if (key := _key(path))}
        new = {key: path for path, key in keys.items() if key not in self.cached and key not in self.used}
        with ThreadPoolExecutor() as pool:
            hashed = dict(zip(new, pool.map(_md5, new.values()), strict=True))
        self.used |= {key: md5 for key in keys.values() if (md5 := hashed.get(key) or self.cached.get(key))}
        return {path: self.used[key] for path, key in keys.items() if key in self.used}

    def save(self) -> None:
        """Save the cache. If it cannot be written, the next run hashes all files again."""
        if self.table and self.used != self.cached:
            with suppress(OSError):
                content = {"boot": self.boot, "time": time.time(), "md5": self.used}
                write_text(self.table, json.dumps(content))


def _is_inside(path: str) -> bool:
    """Whether a relative path from one of DVC's files stays inside its folder."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _boot_id() -> str:
    """Return a text that changes when the machine restarts."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def _key(path: Path) -> str:
    """Return a text that changes whenever a file's content does, even if its modification time is set back."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ctime_ns} {status.st_mtime_ns} {status.st_size} {status.st_ino}" if path.is_file() else ""


def _md5(path: Path) -> str:
    try:
        return digest(path, "md5")
    except FileNotFoundError:
        return ""
