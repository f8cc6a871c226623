"""Remove the outputs of folds, learning rates, networks and systems that params.yaml no longer has.

Stages depend on folders, such as data/predictions/0.001. With the output of a fold that was dropped, such a folder
differs from that of a fresh clone, and a stage would rerun there.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wen.config.jobs import addresses
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.stages import STAGES
from wen.data.folder import is_litter
from wen.integrity.store import Digests, cache_folder, folder_md5, object_path, outputs

READ_TOGETHER = re.compile(
    r"(data/predictions/[\d.e-]+/\d+\.npz|plots/training/[\d.e-]+/\d+|data/(networks|predictions/system)/\w[\w.]*)"
)
"""Outputs of the stages that repeat, in the folders that other stages read."""


def remove(params: Params, paths: Paths) -> list[str]:
    """Remove the outputs that only dropped stages have and whose content is in DVC's cache or in the last commit.

    After `git checkout` of a commit with fewer folds, dvc.lock does not name the outputs of the others. Those that
    stages read as parts of a folder are found by their names.

    Returns
    -------
    list of str
        Their paths, relative to the root of the study.
    """
    if not (paths.root / ".dvc").is_dir():
        return []
    outs, names = outputs(paths.root), stages(params, paths)
    kept = {out.path for out in outs if out.stage not in names}
    found = dict.fromkeys([*(out.path for out in outs), *_read_together(params, paths)])
    cache, digests, removed = cache_folder(paths.root), Digests(), []
    for name in [name for name in found if name not in kept]:
        output = paths.root / name
        inside = [path for path in output.rglob("*") if not is_litter(path)] if output.is_dir() else [output]
        files = digests.of(inside)
        if files and (_is_cached(output, files, cache) or _is_committed(output, paths.root)):
            for path in files:
                path.unlink()
                _remove_empty(path.parent, paths.root)
            removed.append(name)
    return removed


def stages(params: Params, paths: Paths) -> set[str]:
    """Return the names of the stages in dvc.lock that params.yaml no longer has; stages of the user's own are kept."""
    present = addresses(params)
    recorded = {out.stage for out in outputs(paths.root)}
    return {name for name in recorded if name.partition("@")[0] in STAGES and name not in present}


def _read_together(params: Params, paths: Paths) -> Iterator[str]:
    """Yield the outputs in folders that stages read, except those of the stages that params.yaml has."""
    present = {paths.wanted, paths.systems_inputs, *(paths.network(name) for name in params.pretrained)}
    present |= {paths.of_system(name)[1] for name in params.systems}
    for member in params.networks:
        present |= {paths.predictions(member), paths.training(member)}
    for folder in ("data/networks", "data/predictions/*", "plots/training/*"):
        for path in sorted(paths.root.glob(f"{folder}/*")):
            name = path.relative_to(paths.root).as_posix()
            if path not in present and READ_TOGETHER.fullmatch(name):
                yield name


def _is_cached(output: Path, files: dict[Path, str], cache: Path) -> bool:
    """Whether the cache has a file, or a folder with its listing. `wen.integrity.verify` has checked the content."""
    objects = set(files.values())
    if output.is_dir():
        objects.add(folder_md5({path.relative_to(output).as_posix(): md5 for path, md5 in files.items()}))
    return all(object_path(cache, md5).is_file() for md5 in objects)


def _is_committed(output: Path, root: Path) -> bool:
    """Whether git tracks an output and it is as in the last commit, as metrics/ is in a clone."""
    command = ["git", "status", "--porcelain", "--ignored", "--untracked-files=all", "--", str(output)]
    try:
        return not subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return False


def _remove_empty(folder: Path, root: Path) -> None:
    with suppress(OSError):  # the folder is not empty
        while folder != root:
            folder.rmdir()
            folder = folder.parent
