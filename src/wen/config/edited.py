"""Notice that the parameters of a stage were edited while it ran.

DVC records the parameters of a stage when the stage ends. It would record the new value for the results of the old
one, and consider them up to date from then on.
"""

import sys
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML

from wen.config.paths import Paths
from wen.config.read import parse
from wen.errors import WenError


def watch(stage: str, paths: Paths) -> Callable[[], None]:
    """Remember params.yaml; the returned function raises `WenError` if a parameter of the stage has changed since.

    Parameters
    ----------
    stage : str
        The stage's name in DVC, such as ``train-fold@0.001-0``.
    paths : Paths
    """
    before = paths.params.read_bytes()

    def check() -> None:
        after = paths.params.read_bytes()
        if sys.exception() is None and after != before and (changed := _changed(stage, before, after, paths)):
            raise WenError(
                f"{paths.params}: {', '.join(changed)} changed while {stage} ran, and DVC would record the new value "
                "for results of the old one; run `dvc repro` again. A finished training is not repeated if you undo "
                "the change first"
            )

    return check


def _changed(stage: str, before: bytes, after: bytes, paths: Paths) -> list[str]:
    """The parameters that dvc.yaml lists for the stage and that differ, or the file itself if the stage reads it."""
    name, _, key = stage.partition("@")
    described = YAML(typ="safe", pure=True).load(paths.dvc.read_bytes())["stages"][name]
    described = described.get("do", described)
    if paths.params.name in described.get("deps", ()):
        return ["its content"]
    old, new = (parse(content, paths.params).model_dump() for content in (before, after))
    names = [parameter.replace("${key}", key) for parameter in described.get("params", ())]
    return [name for name in names if _value(old, name) != _value(new, name)]


def _value(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
