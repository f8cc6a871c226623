"""Remove the outputs of folds, learning rates, networks and systems that params.yaml no longer has.

Stages depend on folders, such as data/predictions/0.001. With the output of a fold that was dropped, such a folder
differs from that of a fresh clone, and a stage would rerun there.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wen.config.jobs import addresses
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.stages import STAGES
from wen.integrity.store import Digests, Output, cache_folder, object_path, outputs, read_listing


def remove(params: Params, paths: Paths) -> list[str]:
    """Remove the outputs that only dropped stages have and that DVC can bring back.

    An output stays if DVC's cache lacks its content, or if it is not as dvc.lock records it.

    Returns
    -------
    list of str
        Their paths, relative to the root of the study.
    """
    if not (paths.root / ".dvc").is_dir():
        return []
    outs, names = outputs(paths.root), stages(params, paths)
    kept = {out.path for out in outs if out.stage not in names}
    digests, removed = Digests(), []
    for out in [out for out in outs if out.path not in kept]:
        files = dict(_files(out, paths.root))
        found = digests.of(files)
        if found and all(files[path] == md5 for path, md5 in found.items()) and _is_cached(out, files, paths.root):
            for path in found:
                path.unlink()
                _remove_empty(path.parent, paths.root)
            removed.append(out.path)
    return removed


def stages(params: Params, paths: Paths) -> set[str]:
    """Return the names of the stages in dvc.lock that params.yaml no longer has; stages of the user's own are kept."""
    present = addresses(params)
    recorded = {out.stage for out in outputs(paths.root)}
    return {name for name in recorded if name.partition("@")[0] in STAGES and name not in present}


def _files(out: Output, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of an output and its MD5 in dvc.lock; none for a folder whose listing the cache lacks."""
    listing = object_path(cache_folder(root), out.md5)
    if not out.md5.endswith(".dir"):
        yield root / out.path, out.md5
    elif listing.is_file():
        yield from ((root / out.path / name, md5) for name, md5 in read_listing(listing.read_bytes()).items())


def _is_cached(out: Output, files: dict[Path, str], root: Path) -> bool:
    """Whether the cache has an output. `wen.integrity.verify` has checked the content."""
    return all(object_path(cache_folder(root), md5).is_file() for md5 in (out.md5, *files.values()))


def _remove_empty(folder: Path, root: Path) -> None:
    with suppress(OSError):  # the folder is not empty
        while folder != root:
            folder.rmdir()
            folder = folder.parent
