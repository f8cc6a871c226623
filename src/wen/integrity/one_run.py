"""Whether params.yaml, the models, their predictions and the metrics are of one run, by what DVC recorded of it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wen.config.jobs import addresses
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.folder import is_litter
from wen.errors import WenError
from wen.files import digest, read_json
from wen.identity import FOCUS
from wen.integrity.lock import Stage, stages
from wen.integrity.store import write_listing

COMPARED = ("data/predictions/", "metrics/", "data/index.csv", "data/split.csv")
"""Files whose bytes are compared with dvc.lock; of the others, what two stages recorded of them."""
MOST = 6
"""Differences that a message lists."""


def check(params: Params, paths: Paths, focus: bool) -> None:
    """Compare params.yaml with the parameters, and files with the hashes, that DVC recorded when each stage ran.

    Parameters
    ----------
    params, paths
    focus : bool
        Whether the report has to be of this run, too, and about the classifier that params.yaml has in focus.

    Raises
    ------
    WenError
        With what differs and what to do.
    """
    recorded = stages(paths.root / "dvc.lock")
    needed = [stage for stage in addresses(params) if focus or stage != "report"]
    ran = {name: recorded[name] for name in needed if name in recorded}
    problems = [f"dvc.lock: stage {name} has not run" for name in needed if name not in recorded and name != "code"]
    problems += parameters(ran, paths)
    if not problems:
        problems += [*_recorded(ran), *_files(ran, paths)]
    if focus and not problems:
        problems += _focus(params, paths)
    _refuse(problems)


def check_models(models: Iterable[Path], paths: Paths) -> None:
    """Compare models with dvc.lock; one that is not what DVC recorded is a `WenError`."""
    outs = {out.path: out.md5 for stage in stages(paths.root / "dvc.lock").values() for out in stage.outs}

    def recorded(path: Path) -> bool:
        """Whether a file, or the folder that DVC knows it by, is as recorded."""
        name = path.relative_to(paths.root)
        known = [place for place in (name, *name.parents) if place.as_posix() in outs]
        return bool(known) and outs[known[0].as_posix()] == _digest(paths.root / known[0])

    _refuse([
        f"{path}: not the model recorded by DVC" for path in models if path.exists() and not recorded(path)
    ])  # fmt: skip


def _refuse(problems: list[str]) -> None:
    if problems:
        more = [f"and {len(problems) - MOST:,} more"] * (len(problems) > MOST)
        listed = "\n".join(f"  {line}" for line in [*problems[:MOST], *more])
        raise WenError(
            "params.yaml, models and metrics come from different runs:\n"
            f"{listed}\n"
            "`dvc repro` updates them, `git checkout params.yaml` undoes an edit, and `dvc status` shows details"
        )


def parameters(ran: dict[str, Stage], paths: Paths) -> Iterator[str]:
    """Parameters that a stage ran with and that are other ones now."""
    now = _flat(YAML(typ="safe", pure=True).load(paths.params.read_bytes()))
    named: set[str] = set()
    for name, stage in ran.items():
        for section, recorded in stage.params.get("params.yaml", {}).items():
            then = _flat(recorded, section)
            here = {key: value for key, value in now.items() if f"{key}.".startswith(f"{section}.")}
            for key in sorted((then.keys() | here.keys()) - named):
                if then.get(key) != here.get(key):
                    named.add(key)
                    yield f"params.yaml: {key} is {_value(here, key)}, but {name} ran with {_value(then, key)}"


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Values by their dotted keys; a list is a value."""
    if not isinstance(value, dict):
        return {key: value}
    parts = ((f"{key}.{part}".strip("."), item) for part, item in value.items())
    return {name: leaf for part, item in parts for name, leaf in _flat(item, part).items()}


def _value(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"


def _recorded(ran: dict[str, Stage]) -> Iterator[str]:
    """Stages that read another file than its stage last wrote."""
    written = {out.path: (name, out.md5) for name, stage in ran.items() for out in stage.outs}
    for name, stage in ran.items():
        for dep in stage.deps:
            writer, md5 = written.get(dep.path, ("", dep.md5))
            if md5 != dep.md5:
                yield f"{dep.path}: {writer} rewrote it after {name} had read it"


def _files(ran: dict[str, Stage], paths: Paths) -> Iterator[str]:
    """Files and folders that are no longer what a stage read or wrote."""
    known: dict[str, str | None] = {}
    named: set[str] = set()
    for name, stage in ran.items():
        for item in (*stage.deps, *stage.outs):
            if not f"{item.path}/".startswith(COMPARED) and item.path not in COMPARED:
                continue
            if item.path not in known:
                known[item.path] = _digest(paths.root / item.path)
            if known[item.path] != item.md5 and item.path not in named:
                named.add(item.path)
                found = "not found" if known[item.path] is None else f"changed since {name} ran"
                yield f"{item.path}: {found}"


def _focus(params: Params, paths: Paths) -> Iterator[str]:
    """How what is in focus differs from what the report is about."""
    reported = read_json(paths.evidence).get("focus")
    if not isinstance(reported, dict):
        yield f"{paths.evidence}: does not name the classifier it reports on"
        return
    for key in FOCUS:
        now, then = getattr(params, key), reported.get(key)
        if now != then:
            yield f"params.yaml: {key} is {json.dumps(now)}, but the report is about {json.dumps(then)}"


def _digest(path: Path) -> str | None:
    """MD5 of a file, or of a folder as DVC has it: that of the list of its files and their MD5, in JSON."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        kept = [file for file in files if not is_litter(file) and file.suffix != ".partial"]  # as .dvcignore has it
        listed = {file.relative_to(path).as_posix(): digest(file, "md5") for file in kept}
        return hashlib.md5(write_listing(listed)).hexdigest() + ".dir"
    return digest(path, "md5") if path.is_file() else None
