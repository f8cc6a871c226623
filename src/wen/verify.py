"""Whether DVC's cache still holds what dvc.lock says.

DVC takes a cached file that is read-only for whole and does not read it again, so neither ``dvc status`` nor
``dvc repro`` notices a disk that lost a bit.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.output import Output
from dvc.repo import Repo

from wen.errors import WenError
from wen.paths import Paths


def run(paths: Paths) -> None:
    """Hash every cached output anew; take damaged ones out of the cache and out of the workspace.

    Raises
    ------
    WenError
        If one was damaged, or DVC cannot read the project.
    """
    try:
        with Repo(str(paths.root)) as repo:
            damaged, count = _damaged(repo)
    except NotDvcRepoError:
        raise WenError(f"{paths.root.resolve()}: no DVC repository; run this in the project's folder") from None
    except DvcException as error:  # of dvc.yaml, dvc.lock, params.yaml or .dvc/config, which its text names
        found = " ".join(str(error).split())
        raise WenError(f"{paths.root.resolve()}: {found}; mend that file, or take it from git again") from None
    if damaged:
        raise WenError(
            f"{len(damaged)} of {count} cached files are not what dvc.lock says; removed: {', '.join(damaged)}. "
            "`dvc pull` fetches them from a remote, `dvc repro` makes them again"
        )
    print(f"{count} cached files: each is what dvc.lock says")


def _damaged(repo: Repo) -> tuple[list[str], int]:
    """Remove damaged files; their names, and how many were hashed."""
    damaged, count = [], 0
    for out in repo.index.outs:
        for file, oid in _files(out):
            cached = Path(repo.cache.local.oid_to_path(oid))
            if not cached.exists():
                continue
            count += 1
            if _md5(cached) != oid.removesuffix(".dir"):
                damaged.append(file.relative_to(repo.root_dir).as_posix())
                cached.unlink()
                if file.is_file() and _md5(file) != oid:
                    file.unlink()
    return damaged, count


def _files(out: Output) -> Iterator[tuple[Path, str]]:
    """The files of an output, with the MD5 that dvc.lock has for each; of a folder, its listing first."""
    if not out.use_cache or not out.hash_info:
        return
    place = Path(out.fs_path)
    yield place, str(out.hash_info.value)
    if out.hash_info.isdir:
        for key, _, info in out.get_obj() or ():
            yield place.joinpath(*key), str(info.value)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
