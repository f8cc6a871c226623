"""Hashes of many large files, computed again only for those that changed since they were last read."""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wen.files import write_json

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Linux' name for the time since the machine started: after a power cut a file may be empty and look untouched."""


def md5(files: Iterable[Path], memory: Path) -> dict[Path, str]:
    """Hash files by MD5, as DVC does.

    Parameters
    ----------
    files : iterable of Path
    memory : Path
        A JSON file that remembers each file's hash for as long as its inode, size and times stay, and the machine is
        not started again. Nothing is remembered where its folder is missing.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    known = _read(memory)
    states = {path: _state(path) for path in files}
    found = {path: known[str(path)][1] for path, state in states.items() if known.get(str(path), ("",))[0] == state}
    left = [path for path in states if path not in found]
    with ThreadPoolExecutor() as pool:
        found |= dict(zip(left, pool.map(_md5, left), strict=True))
    if left and memory.parent.is_dir():
        table = {str(path): [state, found[path]] for path, state in states.items()}
        write_json(memory, {"boot": _boot(), "files": table})
    return found


def _read(memory: Path) -> dict[str, Any]:
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        table: dict[str, Any] = content["files"] if content["boot"] == _boot() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return table


def _boot() -> str:
    return BOOT.read_text(encoding="utf-8").strip() if BOOT.exists() else ""


def _state(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
