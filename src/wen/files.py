"""Write outputs atomically (to a temporary path, flushed to disk, then renamed), and read them with clear errors."""

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
"""Exceptions that readers of JSON, zip and npy raise for damaged files."""
EARLIER = "earlier"
"""Marks the name of the old folder while it is replaced by a new one."""
FLUSHES = 16
"""Number of files that are flushed in parallel: 640 small files take 0.1 s instead of 2.4 s."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to ``path`` if the block succeeds and removed if it fails.

    The block creates the temporary path, as a file or a folder. It is flushed to disk before it is renamed, so that
    after a power cut either the old or the new ``path`` is complete. A folder can only replace a folder, and a file
    only a file.

    Raises
    ------
    WenError
        If ``path`` exists and is of another kind.
    """
    if not path.name or (path.exists() and not path.is_file() and not path.is_dir()):
        raise WenError(f"{path}: not a regular file or folder, so it cannot be replaced; choose another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    partial, earlier = _temporary_path(path), _temporary_path(path, f"{EARLIER}.")
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
    if windows and (
        folder or not os.access(path, os.W_OK)
    ):  # Windows flushes only files that can be opened for writing
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not folder:  # some file systems cannot flush folders
            raise
    finally:
        os.close(descriptor)


def _temporary_path(path: Path, mark: str = "") -> Path:
    """Return a temporary path in the folder of ``path``, named after this machine and process."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{mark}{os.getpid()}.partial")


def _is_earlier(leftover: Path) -> bool:
    return leftover.name.split(".")[-3] == EARLIER


def _discard(leftover: Path, path: Path) -> None:
    """Remove a temporary path, but restore an old folder that has not been replaced."""
    if _is_earlier(leftover) and leftover.exists():
        to_remove = leftover.with_name(leftover.name.replace(f".{EARLIER}.", "."))
        leftover = leftover.replace(to_remove if path.exists() else path)
        if leftover == path:
            return
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover)
    else:
        leftover.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Discard the temporary paths for ``path`` that killed processes of this machine have left."""
    leftovers = path.parent.glob(f".{path.name}.{socket.gethostname()}.*.partial")
    for leftover in sorted(leftovers, key=_is_earlier):
        pid = leftover.name.split(".")[-2]
        if pid.isdigit() and not _is_being_written(int(pid), leftover):
            _discard(leftover, path)


def _is_being_written(pid: int, partial: Path) -> bool:
    """Whether the process that created ``partial`` is alive. A younger process may have the same number."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= partial.stat().st_mtime
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Mapping[Any, Any]) -> None:
    """Write ``value`` as JSON; NaN and infinite numbers become null."""
    write_text(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; raise `WenError` if it is missing or damaged."""
    with readable(path):
        return json.loads(path.read_text(encoding="utf-8"))


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the hexadecimal hash of a file, which is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays without pickle; equal arrays give equal bytes."""
    # not np.savez, whose archives differ between patch releases of Python
    with atomic(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a file that `write_npz` wrote; raise `WenError` if it is missing or damaged."""
    with readable(path), zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
        }


@contextmanager
def readable(path: Path, damage: tuple[type[Exception], ...] = DAMAGE) -> Iterator[None]:
    """Convert the exceptions of a missing output, and those that ``damage`` names, into a `WenError`."""
    try:
        yield
    except FileNotFoundError:
        raise WenError(f"{path}: not found; run `dvc repro` first") from None
    except PermissionError:
        raise
    except damage as error:
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
