"""Notice that a stage's parameters or dependencies changed while it ran.

DVC records the parameters and the dependencies of a stage when the stage ends. It would record the new version for the
results of the old one, and consider them up to date from then on.
"""

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml import YAML

from wen.config.paths import Paths
from wen.config.read import parse
from wen.data.folder import is_litter, some
from wen.errors import WenError
from wen.files import digest


def watch(stage: str, paths: Paths) -> Callable[[], None]:
    """Remember params.yaml and the stage's dependencies; the returned function raises `WenError` if they have changed.

    Parameters
    ----------
    stage : str
        The stage's name in DVC, such as ``train-fold@0.001-0``.
    paths : Paths
    """
    before, file = paths.params.read_bytes(), paths.root / "dvc.lock"
    lock = file.read_text(encoding="utf-8") if file.is_file() else ""
    deps, parameters = _described(stage, before, paths)
    found = _files(deps, paths)

    def check() -> None:
        if sys.exception() is not None:
            return
        changed = [
            *_changed_parameters(before, parameters, paths.params.name in deps, paths),
            *_changed_files(found, _files(deps, paths), lock, paths),
        ]
        if changed:
            raise WenError(
                f"{some(changed)} changed while {stage} ran, and DVC would record the new version for results "
                "of the old one; run `dvc repro` again. A finished training is not repeated if you undo the change "
                "first"
            )

    return check


def _described(stage: str, params: bytes, paths: Paths) -> tuple[list[str], list[str]]:
    """The dependencies and the parameters that dvc.yaml lists for a stage, with the values of this stage in them."""
    name, _, key = stage.partition("@")
    described = YAML(typ="safe").load(paths.dvc.read_bytes())["stages"][name]
    values = {"key": key} | parse(params, paths.params).model_dump()
    if matrix := described.get("matrix"):
        values["item"] = dict(zip(matrix, key.rsplit("-", len(matrix) - 1), strict=True))
    described = described.get("do", described)

    def filled(texts: list[str]) -> list[str]:
        return [re.sub(r"\$\{(.+?)\}", lambda found: str(_value(values, found[1])), text) for text in texts]

    return filled(described.get("deps", [])), filled(described.get("params", []))


def _changed_parameters(before: bytes, names: list[str], is_dependency: bool, paths: Paths) -> Iterator[str]:
    """Name the parameters that differ, or params.yaml itself if the stage depends on all of it."""
    after = paths.params.read_bytes()
    if after == before:
        return
    if is_dependency:
        yield f"{paths.params}: its content"
        return
    old, new = (parse(content, paths.params).model_dump() for content in (before, after))
    yield from (f"{paths.params}: {name}" for name in names if _value(old, name) != _value(new, name))


def _value(values: Any, name: str) -> Any:
    """Look up a name as in dvc.yaml, such as ``head.epochs`` or ``lr_grid[-1]``."""
    for part in re.findall(r"[^.\[\]]+", name):
        if isinstance(values, list):
            values = values[int(part)]
        else:
            values = values.get(part) if isinstance(values, dict) else None
    return values


def _files(deps: list[str], paths: Paths) -> dict[str, tuple[int, ...]]:
    """Inode, size and times of each file of the dependencies except params.yaml, by its path in the study."""
    found: dict[str, tuple[int, ...]] = {}
    for dep in (paths.root / dep for dep in deps if dep != paths.params.name):
        for file in dep.rglob("*") if dep.is_dir() else [dep]:
            name = file.relative_to(paths.root)
            if file.is_file() and not is_litter(name) and not any(part.endswith(".partial") for part in name.parts):
                status = file.stat()
                found[name.as_posix()] = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return found


def _changed_files(
    before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]], lock: str, paths: Paths
) -> Iterator[str]:
    """Name the files that differ, and whose content is not as dvc.lock recorded it when the stage began."""
    if differing := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        from wen.integrity.store import recorded  # takes time to import, and is rarely needed

        known = recorded(lock, paths.root)
        for name in differing:
            if name not in before or name not in after or digest(paths.root / name, "md5") != known.get(name):
                yield name
