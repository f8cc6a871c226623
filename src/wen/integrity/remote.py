"""Compare a DVC remote with dvc.lock, and push what is missing or damaged there.

`dvc push` does not suffice. It checks only that the remote has a folder's listing, and assumes that it has the files,
too. It also caches the list of objects to push; if it is killed while it collects them, it later pushes the incomplete
list and reports "up to date". Therefore, DVC runs in a copy of the project without these caches, in which every missing
file of a folder is a separate output.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wen.config.paths import Paths
from wen.dvc import configure_copy, dvc
from wen.errors import WenError
from wen.integrity.store import Digests, cache_folder, object_path, outputs, read_listing
from wen.integrity.verify import TABLE, listed

COPIED = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvc/config", ".dvc/config.local")


def run(paths: Paths, name: str | None) -> None:
    """Compare every cached output, including the files in folders, with a remote; push missing and damaged ones.

    In a remote that is a folder, a file whose content does not match the MD5 in its name counts as damaged. Files in
    other remotes are only checked for existence.

    Parameters
    ----------
    paths : Paths
    name : str, optional
        Name of the remote; by default, DVC's default remote.

    Raises
    ------
    WenError
        If an object is intact neither in the cache nor in the remote, or if DVC or the remote cannot be read.
    """
    root = paths.root.resolve()
    if not (root / ".dvc").is_dir():
        raise WenError(f"{root}: not a DVC repository; run this in the folder of a study")
    name, url = _remote(root, name)
    store = None if "://" in url else Path(url)
    cache = cache_folder(root)
    digests = Digests(cache / TABLE)
    _clear_index(root)
    with _copy(root, cache, name, url) as copy:
        objects = _objects(root, [cache, *([store] if store else [])], digests)
        damaged = _damaged(store, objects) if store else {}
        absent = {*_missing(copy, name), *damaged}
        pushed = _intact(cache, {path: objects[path] for path in absent & objects.keys()}, digests)
        for path in damaged.keys() & pushed.keys():
            damaged[path].unlink(missing_ok=True)
        _push(copy, name, pushed)
    print(f"objects pushed, because they were missing or damaged in the remote: {len(pushed)}")
    if lost := sorted(absent - pushed.keys()):
        raise WenError(
            f"objects that are intact neither here nor in the remote, {len(lost)}: {listed(lost)}. Make them again "
            "with `dvc repro`, then run this command again"
        )


def _remote(root: Path, name: str | None) -> tuple[str, str]:
    """Return the name of a remote, by default DVC's default remote, and its URL or folder."""
    options = dict(line.partition("=")[::2] for line in dvc(root, "config", "--list").splitlines())
    name = name or options.get("core.remote")
    if url := options.get(f"remote.{name}.url"):
        return str(name), url
    raise WenError(
        f"no DVC remote {name}" if name else "no default DVC remote; add one with `dvc remote add -d NAME URL`"
    )


def _clear_index(root: Path) -> None:
    """Remove DVC's cached lists of objects to push or pull."""
    if folder := re.search(r"^Repo\.site_cache_dir: (.+)$", dvc(root, "version"), re.MULTILINE):
        shutil.rmtree(Path(folder[1]) / "index", ignore_errors=True)


@contextmanager
def _copy(root: Path, cache: Path, name: str, url: str) -> Iterator[Path]:
    """Copy DVC's files of the project to a temporary folder, without outputs, which DVC would hash."""
    parent = root / ".dvc/tmp"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        copy = Path(folder)
        (copy / ".dvc").mkdir()
        for file in COPIED:
            if (root / file).exists():
                shutil.copyfile(root / file, copy / file)
        configure_copy(copy, str(cache.resolve()))
        dvc(copy, "remote", "modify", "--local", name, "url", url)  # the original may be relative
        yield copy


def _objects(root: Path, stores: list[Path], digests: Digests) -> dict[str, str]:
    """Return the MD5 of every output and, if one of the stores has an intact listing, of every file of a folder."""
    objects = {}
    for out in outputs(root):
        is_folder = out.md5.endswith(".dir")
        objects[f"{out.path}/" if is_folder else out.path] = out.md5
        listings = digests.of(object_path(store, out.md5) for store in stores if is_folder)
        listing = next((listing for listing, md5 in listings.items() if md5 == out.md5[:32]), None)
        if listing:
            objects |= {f"{out.path}/{file}": md5 for file, md5 in read_listing(listing.read_bytes()).items()}
    return objects


def _intact(store: Path, objects: dict[str, str], digests: Digests) -> dict[str, str]:
    """Return the objects that are intact in a store, a cache or a remote that is a folder."""
    found = digests.of({object_path(store, md5) for md5 in objects.values()})
    return {path: md5 for path, md5 in objects.items() if found.get(object_path(store, md5)) == md5[:32]}


def _damaged(store: Path, objects: dict[str, str]) -> dict[str, Path]:
    """Return the paths in a store of the objects that exist there but are damaged."""
    others = objects.keys() - _intact(store, objects, Digests()).keys()
    stored = {path: object_path(store, objects[path]) for path in others}
    return {path: location for path, location in stored.items() if location.exists()}


def _missing(copy: Path, name: str) -> list[str]:
    """Return the outputs, and files in folders, that a remote does not have; the path of a folder ends in a slash."""
    status = json.loads(dvc(copy, "data", "status", "--not-in-remote", "--granular", "--json", "--remote", name))
    paths: list[str] = status.get("not_in_remote", [])
    return paths


def _push(copy: Path, name: str, objects: dict[str, str]) -> None:
    """Push the files first, then the folders, whose listings make DVC assume that the files are in the remote."""
    files = sorted({md5 for md5 in objects.values() if not md5.endswith(".dir")})
    if files:
        outs = [{"md5": md5, "hash": "md5", "path": md5} for md5 in files]
        (copy / "files.dvc").write_text(json.dumps({"outs": outs}), encoding="utf-8")
        dvc(copy, "push", "--remote", name, "files.dvc")
    if folders := sorted(path.rstrip("/") for path, md5 in objects.items() if md5.endswith(".dir")):
        dvc(copy, "push", "--remote", name, *folders)
