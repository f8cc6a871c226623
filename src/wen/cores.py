"""The number of cores that this process may use."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def usable(root: Path = Path("/")) -> int:
    """Return the number of cores that the system, a scheduler and a container let this process use.

    A scheduler limits the set of cores; a container usually limits the time on all of them, by a control group of
    Linux. A limit of 1.5 cores counts as 2.

    Parameters
    ----------
    root : Path
        Folder with the ``proc`` and ``sys`` of the system.
    """
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([present, *(math.ceil(limit) for limit in _limits(root))]))


def _limits(root: Path) -> Iterator[float]:
    """Yield the limits, in cores, of the control groups of this process and of those around them, in versions 1 and 2.

    In a container, the paths in proc may be those of the host, and the files of its own group at the top.
    """
    file = root / "proc/self/cgroup"
    for line in file.read_text().splitlines() if file.is_file() else []:
        _, controllers, path = line.split(":", 2)
        mounted = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        if not controllers or "cpu" in controllers.split(","):
            for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield from _limit(mounted / group.relative_to("/"))


def _limit(group: Path) -> Iterator[float]:
    """Yield the limit of a control group, if it has one."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        if (file := group / "cpu.max").is_file():
            quota, period = file.read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if quota.strip() not in ("max", "-1"):
            yield int(quota) / int(period)
