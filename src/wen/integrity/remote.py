"""Whether the DVC remote holds all that dvc.lock names, and pushing what it does not.

`dvc push` asks a remote only for a folder's listing and takes its files for granted. It also keeps its list of what
to push; killed while it makes the list, it pushes that part, with the listing, and then says "up to date".
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.fs import LocalFileSystem
from dvc.repo import Repo

from wen.config.paths import Paths
from wen.errors import WenError
from wen.integrity.store import Digests, cache_folder, object_path, read_listing
from wen.integrity.verify import TABLE, listed


def run(paths: Paths, name: str | None) -> None:
    """Compare every cached output, and every file of a folder, with a remote; push what is missing or damaged there.

    A file in a remote is damaged if its size is not that of the file here; in a remote that is a folder, if its
    MD5 is not its name.

    Parameters
    ----------
    paths : Paths
    name : str, optional
        The remote; by default, DVC's default remote.

    Raises
    ------
    WenError
        If something is neither here nor there, or DVC or the remote cannot be read.
    """
    cache = cache_folder(paths.root)
    digests = Digests(cache / TABLE)
    try:
        with Repo(str(paths.root)) as repo, repo.lock:
            repo.drop_data_index()  # the list of a push or pull that was killed
            remote = repo.cloud.get_remote_odb(name, "verify")
            owners = dict(_objects(repo, remote, cache, digests))
            here = digests.of(object_path(cache, md5) for md5 in owners)
            intact = {md5: path for md5 in owners if here.get(path := object_path(cache, md5)) == md5[:32]}
            missing = _missing(remote, list(owners), intact)
            _push(remote, {md5: intact[md5] for md5 in missing if md5 in intact})
    except NotDvcRepoError:
        raise WenError(f"{paths.root.resolve()}: not a DVC repository; run this in the project's folder") from None
    except (DvcException, OSError) as error:
        raise WenError(" ".join(str(error).split())) from None
    lost = sorted(owners[md5] for md5 in missing if md5 not in intact)
    print(
        f"{len(owners) - len(lost)} objects are in the remote; "
        f"{len(missing) - len(lost)} were missing or damaged and have been pushed"
    )
    if lost:
        raise WenError(
            f"{len(lost)} objects are intact neither here nor in the remote: {listed(lost)}. `dvc repro` makes "
            "them again; then run this command again"
        )


def _objects(repo: Repo, remote: Any, cache: Path, digests: Digests) -> Iterator[tuple[str, str]]:
    """MD5 of every object that a push should bring to the remote, with the output and the stage that it is of."""
    for out in repo.index.outs:
        if not (out.use_cache and out.can_push and out.hash_info and out.hash_info.name == "md5"):
            continue
        md5, path = out.hash_info.value, Path(out.fs_path).relative_to(repo.root_dir).as_posix()
        stage = f"(stage {getattr(out.stage, 'name', None) or out.stage.relpath})"
        yield md5, f"{path} {stage}"
        if out.hash_info.isdir:
            for file, of_file in _listing(md5, remote, cache, digests).items():
                yield of_file, f"{path}/{file} {stage}"


def _listing(md5: str, remote: Any, cache: Path, digests: Digests) -> dict[str, str]:
    """The files of a folder, from here or from the remote; none if its listing is intact in neither."""
    place = object_path(cache, md5)
    if digests.of([place]).get(place) == md5[:32]:
        return read_listing(place.read_bytes())
    try:
        with remote.fs.open(remote.oid_to_path(md5), "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return {}
    return read_listing(content) if hashlib.md5(content).hexdigest() == md5[:32] else {}


def _missing(remote: Any, wanted: list[str], intact: dict[str, Path]) -> list[str]:
    """Which objects the remote has not got, or has damaged."""
    places = [remote.oid_to_path(md5) for md5 in wanted]
    if remote.fs.protocol == "local":
        found = Digests().of(map(Path, places))
        return [md5 for md5, place in zip(wanted, places, strict=True) if found.get(Path(place)) != md5[:32]]
    missing = []
    for md5, info in zip(wanted, remote.fs.info(places, return_exceptions=True), strict=True):
        if isinstance(info, Exception) and not isinstance(info, FileNotFoundError):
            raise info
        if isinstance(info, Exception) or (md5 in intact and info["size"] != intact[md5].stat().st_size):
            missing.append(md5)
    return missing


def _push(remote: Any, found: dict[str, Path]) -> None:
    """Copy objects to the remote; listings of folders last, since they tell DVC that the files are there."""
    for listings in (False, True):
        chosen = {md5: str(path) for md5, path in found.items() if md5.endswith(".dir") == listings}
        if chosen:
            remote.add(list(chosen.values()), LocalFileSystem(), list(chosen), check_exists=False)
