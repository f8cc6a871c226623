"""Whether the DVC remote holds all that dvc.lock names, and pushing what it does not.

`dvc push` asks a remote only for a folder's listing and takes its files for granted. It also keeps its list of what
to push; killed while it makes the list, it pushes that part, with the listing, and then says "up to date". So DVC gets
a copy of the project that knows no such list, and there a missing file of a folder is an output by itself.
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
    """Compare every cached output, and every file of a folder, with a remote; push what is missing or damaged there.

    A file is damaged if its MD5 is not its name; that is looked at in a remote that is a folder.

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
    root = paths.root.resolve()
    if not (root / ".dvc").is_dir():
        raise WenError(f"{root}: not a DVC repository; run this in the folder of a study")
    name, url = _remote(root, name)
    store = None if "://" in url else Path(url)
    cache = cache_folder(root)
    digests = Digests(cache / TABLE)
    _drop_lists(root)
    with _copy(root, cache, name, url) as copy:
        known = _objects(root, [cache, *([store] if store else [])], digests)
        damaged = _damaged(store, known) if store else {}
        absent = {*_missing(copy, name), *damaged}
        pushed = _intact(cache, {path: known[path] for path in absent & known.keys()}, digests)
        for path in damaged.keys() & pushed.keys():
            damaged[path].unlink(missing_ok=True)
        _push(copy, name, pushed)
    print(f"{len(pushed)} objects were missing or damaged in the remote and have been pushed")
    if lost := sorted(absent - pushed.keys()):
        raise WenError(
            f"{len(lost)} objects are intact neither here nor in the remote: {listed(lost)}. Make them again with "
            "`dvc repro`, then run this command again"
        )


def _remote(root: Path, name: str | None) -> tuple[str, str]:
    """The name of a remote, by default DVC's default, and its URL or folder."""
    options = dict(line.partition("=")[::2] for line in dvc(root, "config", "--list").splitlines())
    name = name or options.get("core.remote")
    if url := options.get(f"remote.{name}.url"):
        return str(name), url
    raise WenError(
        f"no DVC remote {name}" if name else ("no default DVC remote; add one with `dvc remote add -d NAME URL`")
    )


def _drop_lists(root: Path) -> None:
    """Drop the lists of what to push or pull that DVC keeps in its folder for caches."""
    if folder := re.search(r"^Repo\.site_cache_dir: (.+)$", dvc(root, "version"), re.MULTILINE):
        shutil.rmtree(Path(folder[1]) / "index", ignore_errors=True)


@contextmanager
def _copy(root: Path, cache: Path, name: str, url: str) -> Iterator[Path]:
    """A copy of what DVC knows of the project: no outputs, which DVC would hash, and no lists."""
    place = root / ".dvc/tmp"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as folder:
        copy = Path(folder)
        (copy / ".dvc").mkdir()
        for file in COPIED:
            if (root / file).exists():
                shutil.copyfile(root / file, copy / file)
        configure_copy(copy, str(cache.resolve()))
        dvc(copy, "remote", "modify", "--local", name, "url", url)  # which may be relative to the project
        yield copy


def _objects(root: Path, places: list[Path], digests: Digests) -> dict[str, str]:
    """MD5 of every output and, where a listing is intact in one of the places, of every file of a folder."""
    found = {}
    for out in outputs(root):
        folder = out.md5.endswith(".dir")
        found[f"{out.path}/" if folder else out.path] = out.md5
        listings = digests.of(object_path(place, out.md5) for place in places if folder)
        listing = next((listing for listing, md5 in listings.items() if md5 == out.md5[:32]), None)
        if listing:
            found |= {f"{out.path}/{file}": md5 for file, md5 in read_listing(listing.read_bytes()).items()}
    return found


def _intact(place: Path, objects: dict[str, str], digests: Digests) -> dict[str, str]:
    """Those objects that a cache, or a remote that is a folder, has as their MD5 says."""
    found = digests.of({object_path(place, md5) for md5 in objects.values()})
    return {path: md5 for path, md5 in objects.items() if found.get(object_path(place, md5)) == md5[:32]}


def _damaged(store: Path, objects: dict[str, str]) -> dict[str, Path]:
    """Those that a remote that is a folder has otherwise, and where."""
    others = objects.keys() - _intact(store, objects, Digests()).keys()
    places = {path: object_path(store, objects[path]) for path in others}
    return {path: place for path, place in places.items() if place.exists()}


def _missing(copy: Path, name: str) -> list[str]:
    """The outputs, and files in them, that a remote has not got; a folder's path ends in a slash."""
    status = json.loads(dvc(copy, "data", "status", "--not-in-remote", "--granular", "--json", "--remote", name))
    paths: list[str] = status.get("not_in_remote", [])
    return paths


def _push(copy: Path, name: str, objects: dict[str, str]) -> None:
    """Push files by themselves, then folders: their listings tell DVC that the files are there."""
    files = sorted({md5 for md5 in objects.values() if not md5.endswith(".dir")})
    if files:
        outs = [{"md5": md5, "hash": "md5", "path": md5} for md5 in files]
        (copy / "files.dvc").write_text(json.dumps({"outs": outs}), encoding="utf-8")
        dvc(copy, "push", "--remote", name, "files.dvc")
    if folders := sorted(path.rstrip("/") for path, md5 in objects.items() if md5.endswith(".dir")):
        dvc(copy, "push", "--remote", name, *folders)
