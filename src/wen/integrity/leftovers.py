"""Remove what processes that were killed have left: unfinished outputs, and copies of the project for nodes.

`wen.files.atomic` removes those of the same output and machine before it writes again. A container has another name
each time it starts, and an output may not be written again.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from wen.config.paths import Paths
from wen.files import EARLIER

FOLDERS = ("data", "models", "metrics", "plots", ".checkpoints")
"""Folders that are searched; in the root of the study, only files and folders directly in it."""
STALE = 24 * 3600
"""Time without any change after which no process is assumed to write any more, in s."""


def remove(paths: Paths) -> list[str]:
    """Remove the leftovers in a study in which nothing was written for a day.

    The age decides, because whether a process of another machine lives cannot be known. An earlier version of a folder
    stays if nothing has taken its place.

    Returns
    -------
    list of str
        Their paths, relative to the root of the study.
    """
    removed = []
    for path in [*_unfinished(paths.root), *_copies_for_nodes(paths.root)]:
        if time.time() - _last_change(path) > STALE:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path.relative_to(paths.root).as_posix())
    return removed


def _unfinished(root: Path) -> Iterator[Path]:
    """Yield the temporary paths of outputs that were being written, or replaced."""
    yield from (path for path in root.glob(".*.partial") if _is_replaced(path))
    for folder in FOLDERS:
        for place, folders, files in os.walk(root / folder):
            found = [name for name in (*folders, *files) if name.startswith(".") and name.endswith(".partial")]
            folders[:] = [name for name in folders if name not in found]
            yield from (path for name in found if _is_replaced(path := Path(place, name)))


def _is_replaced(path: Path) -> bool:
    """Whether it is a new version that was not finished, or an earlier one of a folder that exists again."""
    parts = path.name[1:].split(".")
    if parts[-3:-2] != [EARLIER]:
        return True
    return any(path.with_name(".".join(parts[:count])).exists() for count in range(1, len(parts)))


def _copies_for_nodes(root: Path) -> Iterator[Path]:
    """Yield the folders of `wen run` in which nodes have worked."""
    yield from (path for path in (root / ".dvc/tmp").glob("wen-*") if path.is_dir() and any(path.iterdir()))


def _last_change(path: Path) -> float:
    """Return the time at which anything in a folder, or a file, was last changed, in s since 1970."""
    inside = (Path(place, name) for place, folders, files in os.walk(path) for name in (*folders, *files))
    return max(other.lstat().st_ctime for other in (path, *inside))
