"""What DVC keeps, read by its documented formats: dvc.lock, and the cache with its hashes.

Not by DVC's commands: one takes longer to start than all of the check that runs before every `dvc repro`.
"""

import configparser
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

from wen.files import digest, write_text
from wen.integrity import lock

MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SETTLED = 24 * 3600
"""Seconds after which what was written is on the disk for certain, whatever ends the machine."""


@dataclass(frozen=True)
class Output:
    """An output that dvc.lock names."""

    stage: str
    path: str
    """Relative to the project's root."""
    md5: str
    """Of a folder, that of its listing, and it ends in ``.dir``."""
    size: int | None


def outputs(root: Path) -> list[Output]:
    """Read every output of dvc.lock, those with ``cache: false`` too; none if there is no dvc.lock.

    Raises
    ------
    WenError
        If dvc.lock is damaged.
    """
    path = root / "dvc.lock"
    stages = lock.stages(path) if path.exists() else {}
    outs = [(stage, out) for stage, record in stages.items() for out in record.outs]
    found = [Output(stage, out.path, str(out.md5 or ""), out.size) for stage, out in outs]
    return [out for out in found if MD5.fullmatch(out.md5) and _inside(out.path)]


def cache_folder(root: Path) -> Path:
    """The folder of DVC's cache: what .dvc/config.local or .dvc/config say, else .dvc/cache."""
    for name in ("config.local", "config"):
        config = configparser.ConfigParser(interpolation=None, strict=False)
        with suppress(configparser.Error, UnicodeDecodeError):
            config.read(root / ".dvc" / name, encoding="utf-8")
        if folder := config.get("cache", "dir", fallback="").strip("\"' "):
            return root / ".dvc" / folder
    return root / ".dvc/cache"


def object_path(cache: Path, md5: str) -> Path:
    """Where the cache, or a remote, holds the file with this MD5."""
    return cache / "files/md5" / md5[:2] / md5[2:]


def objects(cache: Path, since: float) -> Iterator[tuple[str, Path]]:
    """MD5 and path of what a cache got after a point in time, in seconds since 1970."""
    with suppress(FileNotFoundError), os.scandir(cache / "files/md5") as folders:
        for folder in folders:
            if folder.is_dir() and folder.stat().st_mtime >= since:
                for entry in os.scandir(folder):
                    name = folder.name + entry.name
                    if MD5.fullmatch(name) and entry.stat().st_ctime >= since:
                        yield name, Path(entry.path)


def read_listing(content: bytes) -> dict[str, str]:
    """The files of a folder, by their paths in it, with the MD5 of each."""
    entries: list[dict[str, Any]] = json.loads(content)
    return {entry["relpath"]: entry["md5"] for entry in entries if _inside(entry["relpath"])}


def write_listing(files: dict[str, str]) -> bytes:
    """What DVC keeps of a folder with these files; its MD5 is that of the folder."""
    return json.dumps([{"md5": files[path], "relpath": path} for path in sorted(files)]).encode()


class Digests:
    """MD5 of files. One whose inode, size and times are those it was hashed with is not read again.

    After a restart of the machine it is, unless it had been written a day before: a power cut loses what was
    not yet on the disk, and keeps its times.

    Parameters
    ----------
    table : Path, optional
        Where the MD5 are kept for the next time.
    anew : bool
        Hash every file.
    """

    def __init__(self, table: Path | None = None, anew: bool = False) -> None:
        self.table, self.boot = table, _boot()
        self.kept: dict[str, str] = {}
        self.used: dict[str, str] = {}
        if table and not anew:
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                content = json.loads(table.read_bytes())
                settled = 1e9 * (float("inf") if content["boot"] == self.boot else content["time"] - SETTLED)
                self.kept = {key: md5 for key, md5 in content["md5"].items() if int(key.split()[0]) < settled}

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Hash files side by side; what is no file, or gone, is left out."""
        keys = {path: key for path in paths if (key := _key(path))}
        first = {key: path for path, key in keys.items() if key not in self.kept and key not in self.used}
        with ThreadPoolExecutor() as pool:
            hashed = dict(zip(first, pool.map(_md5, first.values()), strict=True))
        self.used |= {key: md5 for key in keys.values() if (md5 := hashed.get(key) or self.kept.get(key))}
        return {path: self.used[key] for path, key in keys.items() if key in self.used}

    def save(self) -> None:
        """Keep the MD5 for the next time; where the cache cannot be written, that hashes all again."""
        if self.table and self.used != self.kept:
            with suppress(OSError):
                content = {"boot": self.boot, "time": time.time(), "md5": self.used}
                write_text(self.table, json.dumps(content))


def _inside(path: str) -> bool:
    """Whether a path from a file of DVC's stays in the folder that it is relative to."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _boot() -> str:
    """What is another after a restart of the machine."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def _key(path: Path) -> str:
    """What changes when a file's content does, even if its time of change is set back."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_ctime_ns} {found.st_mtime_ns} {found.st_size} {found.st_ino}" if path.is_file() else ""


def _md5(path: Path) -> str:
    try:
        return digest(path, "md5")
    except FileNotFoundError:
        return ""
