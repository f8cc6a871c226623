"""The memory that this process may use."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import psutil

FILES = {
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    "": ("memory.max", "memory.current", "inactive_file"),
}
"""Limit and use of a control group of Linux, and the part of the use that the system frees when memory is needed, in
versions 1 and 2."""


def usable(root: Path = Path("/")) -> tuple[int, int]:
    """Return the free and the total memory that the system, a scheduler and a container let this process use, in bytes.

    Parameters
    ----------
    root : Path
        Folder with the ``proc`` and ``sys`` of the system.
    """
    present = psutil.virtual_memory()
    free, total = zip((present.available, present.total), *_limits(root), strict=True)
    return max(0, min(free)), min(total)


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yield what is free in the control groups of this process and in those around them, and their limits.

    In a container, the paths in proc may be those of the host, and the files of its own group at the top.
    """
    file = root / "proc/self/cgroup"
    for line in file.read_text().splitlines() if file.is_file() else []:
        _, controller, path = line.split(":", 2)
        if controller in FILES:
            mounted = root / "sys/fs/cgroup" / controller
            for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield from _limit(mounted / group.relative_to("/"), *FILES[controller])


def _limit(group: Path, limit: str, use: str, freed: str) -> Iterator[tuple[int, int]]:
    with suppress(OSError, ValueError):  # no control group, or one without a limit
        most, used = (int((group / name).read_text()) for name in (limit, use))
        details = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        yield most - used + int(details.get(freed, 0)), most
