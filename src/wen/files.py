"""Outputs are written completely or not at all: to a temporary path beside them, flushed to disk, then renamed."""

import hashlib
import io
import json
import math
import os
import shutil
import socket
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from wen.errors import WenError

DAMAGE = (
    EOFError, MemoryError, NotImplementedError, OSError, OverflowError, RuntimeError, SyntaxError, ValueError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What readers of JSON, zip and npy raise on files of other formats."""
EARLIER = "earlier"
"""Marks the folder that a new one is about to replace."""
FLUSHES = 16
"""Files that are flushed in parallel: 640 small ones take 0.1 s, and 2.4 s one after the other."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which becomes ``path`` if the block succeeds, and is removed if it fails.

    The temporary path does not exist yet: the block creates it, as a file or as a folder. It is flushed to
    disk before it is renamed, so a power cut leaves the earlier ``path`` or the new one. A folder replaces
    only a folder, a file only a file.

    Raises
    ------
    WenError
        If something of another kind is at ``path``.
    """
    if not path.name or (path.exists() and not path.is_file() and not path.is_dir()):
        raise WenError(f"{path}: not a regular file or folder, so it cannot be replaced; choose another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    partial, earlier = _beside(path), _beside(path, f"{EARLIER}.")
    try:
        yield partial
        if path.exists() and path.is_dir() != partial.is_dir():
            found, expected = ("folder", "file") if path.is_dir() else ("file", "folder")
            raise WenError(f"{path}: is a {found}, but a {expected} must be written there; move it away")
        flush(partial)
        if partial.is_dir() and path.exists():
            path.replace(earlier)
        partial.replace(path)
        _flush_one(path.parent)
    finally:
        for leftover in (partial, earlier):
            _discard(leftover, path)


def flush(path: Path) -> None:
    """Flush a file, or a folder with everything in it, to disk."""
    with ThreadPoolExecutor(FLUSHES) as pool:
        for _ in pool.map(_flush_one, [*(path.rglob("*") if path.is_dir() else ()), path]):
            pass


def _flush_one(path: Path) -> None:
    folder, windows = path.is_dir(), os.name == "nt"
    if windows and (folder or not os.access(path, os.W_OK)):  # Windows flushes only what can be opened for writing
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not folder:  # not every file system flushes folders
            raise
    finally:
        os.close(descriptor)


def _beside(path: Path, mark: str = "") -> Path:
    """A temporary path beside ``path``, named after this machine and process."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{mark}{os.getpid()}.partial")


def _is_earlier(leftover: Path) -> bool:
    return leftover.name.split(".")[-3] == EARLIER


def _discard(leftover: Path, path: Path) -> None:
    """Remove a temporary path; but an earlier folder that was not replaced is put back."""
    if _is_earlier(leftover) and leftover.exists():
        doomed = leftover.with_name(leftover.name.replace(f".{EARLIER}.", "."))
        leftover = leftover.replace(doomed if path.exists() else path)
        if leftover == path:
            return
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover)
    else:
        leftover.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Discard the temporary paths that killed processes of this machine left beside ``path``."""
    found = path.parent.glob(f".{path.name}.{socket.gethostname()}.*.partial")
    for leftover in sorted(found, key=_is_earlier):
        owner = leftover.name.split(".")[-2]
        if owner.isdigit() and not _writes(int(owner), leftover):
            _discard(leftover, path)


def _writes(owner: int, partial: Path) -> bool:
    """Whether the process that began ``partial`` is alive, and not a later one with the same number."""
    try:
        process = psutil.Process(owner)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= partial.stat().st_mtime
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Mapping[Any, Any]) -> None:
    """Write ``value`` as JSON; a number that is undefined (NaN, infinite) becomes null."""
    write_text(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; one that is missing or damaged is a `WenError`."""
    with readable(path):
        return json.loads(path.read_text(encoding="utf-8"))


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest(path: Path, kind: str = "sha256") -> str:
    """Hexadecimal hash of a file, of which memory holds a part at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays without pickle; equal arrays give equal bytes."""
    # Not np.savez: its archives differ between patch releases of Python.
    with atomic(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of a file that `write_npz` wrote; one that is missing or damaged is a `WenError`."""
    with readable(path), zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
        }


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the exceptions of reading a missing or damaged output into a `WenError`."""
    try:
        yield
    except FileNotFoundError:
        raise WenError(f"{path}: not found; run `dvc repro` first") from None
    except PermissionError:
        raise
    except DAMAGE as error:
        raise WenError(f"{path}: damaged ({' '.join(str(error).split())}); delete it and run `dvc repro`") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
