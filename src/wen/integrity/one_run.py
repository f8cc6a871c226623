"""Check that params.yaml, models, predictions and metrics belong to the same run, using DVC's records in dvc.lock."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wen.code import listed
from wen.config.jobs import addresses
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import digest, read_json
from wen.identity import FOCUS
from wen.integrity.lock import Stage, stages
from wen.integrity.store import files_in, folder_md5

COMPARED = ("data/predictions/", "metrics/", "data/index.csv", "data/split.csv")
"""Files whose content is compared with dvc.lock. For other files, only the records of the stages are compared."""
LISTING = re.compile(r"data/code/(.+)\.txt")
"""Path of the list of the code and libraries of a stage, or of a published system as ``system/NAME``."""
MOST = 6
"""Maximum number of differences in a message."""


def check(params: Params, paths: Paths, focus: bool) -> None:
    """Compare params.yaml with the parameters, and files with the hashes, that DVC recorded for each stage.

    Parameters
    ----------
    params, paths
    focus : bool
        Whether the report must also belong to the run, and describe the classifier that params.yaml puts in focus.

    Raises
    ------
    WenError
        If anything differs. The message lists the differences and the remedies.
    """
    recorded = stages(paths.root / "dvc.lock")
    required = [stage for stage in addresses(params) if focus or stage != "report"]
    records = {name: recorded[name] for name in required if name in recorded}
    problems = [f"dvc.lock: stage {name} has not run" for name in required if name not in recorded and name != "code"]
    problems += changed_parameters(records, paths)
    if not problems:
        problems += [*_outdated_dependencies(records), *_changed_files(records, paths)]
    if focus and not problems:
        problems += _changed_focus(params, paths)
    _raise_if_any(problems)


def check_models(models: Iterable[Path], paths: Paths) -> None:
    """Compare models with dvc.lock; raise `WenError` if one differs from what DVC recorded."""
    outs = {out.path: out.md5 for stage in stages(paths.root / "dvc.lock").values() for out in stage.outs}

    def is_recorded(path: Path) -> bool:
        """Whether a file, or the folder that is the DVC output, is as recorded."""
        name = path.relative_to(paths.root)
        tracked = [candidate for candidate in (name, *name.parents) if candidate.as_posix() in outs]
        return bool(tracked) and outs[tracked[0].as_posix()] == _digest(paths.root / tracked[0])

    _raise_if_any([
        f"{path}: not the model recorded by DVC" for path in models if path.exists() and not is_recorded(path)
    ])  # fmt: skip


def check_code(params: Params, paths: Paths) -> None:
    """Raise `WenError` if a stage would now run with other code or libraries than in its last run."""
    _raise_if_any([f"{stage}: its code or libraries changed since it ran" for stage in changed_code(params, paths)])


def changed_code(params: Params, paths: Paths) -> list[str]:
    """Name the stages, except ``report``, whose code or libraries are not those that DVC recorded for their last run.

    data/code can be older than the code, because only stage ``code`` updates it.
    """
    recorded = stages(paths.root / "dvc.lock")
    deps = [dep for name in addresses(params) if name in recorded and name != "report" for dep in recorded[name].deps]
    lists = [(found[1], dep.md5) for dep in deps if (found := LISTING.fullmatch(dep.path))]
    present = listed.current({name for name, _ in lists}, paths)
    return [name for name, md5 in dict.fromkeys(lists) if hashlib.md5(present[name].encode()).hexdigest() != md5]


def _raise_if_any(problems: list[str]) -> None:
    if problems:
        more = [f"and {len(problems) - MOST:,} more"] * (len(problems) > MOST)
        lines = "\n".join(f"  {line}" for line in [*problems[:MOST], *more])
        raise WenError(
            "params.yaml, models and metrics come from different runs:\n"
            f"{lines}\n"
            "`dvc repro` updates them, `git checkout params.yaml` undoes an edit, and `dvc status` shows details"
        )


def changed_parameters(records: dict[str, Stage], paths: Paths) -> Iterator[str]:
    """Describe the parameters that changed since a stage ran."""
    current = _flatten(YAML(typ="safe", pure=True).load(paths.params.read_bytes()))
    reported: set[str] = set()
    for name, stage in records.items():
        for section, recorded in stage.params.get("params.yaml", {}).items():
            old = _flatten(recorded, section)
            new = {key: value for key, value in current.items() if f"{key}.".startswith(f"{section}.")}
            for key in sorted((old.keys() | new.keys()) - reported):
                if old.get(key) != new.get(key):
                    reported.add(key)
                    yield f"params.yaml: {key} is {_value(new, key)}, but {name} ran with {_value(old, key)}"


def _flatten(value: Any, key: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys; lists are values."""
    if not isinstance(value, dict):
        return {key: value}
    parts = ((f"{key}.{part}".strip("."), item) for part, item in value.items())
    return {name: leaf for part, item in parts for name, leaf in _flatten(item, part).items()}


def _value(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"


def _outdated_dependencies(records: dict[str, Stage]) -> Iterator[str]:
    """Describe the files that were rewritten after another stage had read them."""
    written = {out.path: (name, out.md5) for name, stage in records.items() for out in stage.outs}
    for name, stage in records.items():
        for dep in stage.deps:
            writer, md5 = written.get(dep.path, ("", dep.md5))
            if md5 != dep.md5:
                yield f"{dep.path}: {writer} rewrote it after {name} had read it"


def _changed_files(records: dict[str, Stage], paths: Paths) -> Iterator[str]:
    """Describe the files and folders that changed since a stage read or wrote them."""
    digests: dict[str, str | None] = {}
    reported: set[str] = set()
    for name, stage in records.items():
        for item in (*stage.deps, *stage.outs):
            if not f"{item.path}/".startswith(COMPARED) and item.path not in COMPARED:
                continue
            if item.path not in digests:
                digests[item.path] = _digest(paths.root / item.path)
            if digests[item.path] != item.md5 and item.path not in reported:
                reported.add(item.path)
                problem = "not found" if digests[item.path] is None else f"changed since {name} ran"
                yield f"{item.path}: {problem}"


def _changed_focus(params: Params, paths: Paths) -> Iterator[str]:
    """Describe how the classifier in focus differs from the one that the report describes."""
    reported = read_json(paths.evidence).get("focus")
    if not isinstance(reported, dict):
        yield f"{paths.evidence}: does not name the classifier it reports on"
        return
    for key in FOCUS:
        new, old = getattr(params, key), reported.get(key)
        if new != old:
            yield f"params.yaml: {key} is {json.dumps(new)}, but the report is about {json.dumps(old)}"


def _digest(path: Path) -> str | None:
    """Return the MD5 of a file, or that of a folder as DVC computes it: of the JSON list of its files and their MD5."""
    if path.is_dir():
        return folder_md5({file.relative_to(path).as_posix(): digest(file, "md5") for file in files_in(path)})
    return digest(path, "md5") if path.is_file() else None
