"""What the published systems of params.yaml need, listed before any of them runs.

So a stage depends on what it needs and not on all of params.yaml's ``systems`` and ``pretrained``: another system, or
another setting of one, computes no network anew whose outputs are there.
"""

import json
from collections.abc import Callable

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.files import atomic
from wen.systems.system import Kind, find, settings_of

Weights = tuple[str, str]
"""A text by which weights are known, and why they cannot be had, or nothing."""


def run(params: Params, paths: Paths, weights: Callable[[Backbone], Weights]) -> None:
    """Write data/networks/wanted/: networks/NAME.json and systems/NAME.json; leave no other file there.

    Parameters
    ----------
    params, paths
    weights : callable
        Gives of a network's pretrained weights a text by which they are known, such as the hash of their file, and why
        they cannot be had, or nothing.
    """
    texts = {f"systems/{name}.json": _text(reads(params, name)) for name in params.systems}
    for name, options in params.pretrained.items():
        backbone = Backbone(name=name, **options.model_dump())
        kinds = sorted({kind for system in params.systems for kind in reads(params, system).get(name, ())})
        known, missing = weights(backbone)
        texts[f"networks/{name}.json"] = _text(
            {"network": backbone.model_dump(mode="json"), "weights": known, "missing": missing, "kinds": kinds}
        )
    found = {path.relative_to(paths.wanted).as_posix(): path for path in paths.wanted.rglob("*.json")}
    written = {name: path.read_text(encoding="utf-8", errors="replace") for name, path in found.items()}
    if paths.wanted.is_dir() and written == texts:
        return
    with atomic(paths.wanted) as partial:
        for folder in ("networks", "systems"):
            (partial / folder).mkdir(parents=True)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8", newline="\n")


def reads(params: Params, name: str) -> dict[str, tuple[Kind, ...]]:
    """What a system reads of each of its networks."""
    settings = settings_of(params, name)
    return dict.fromkeys(settings.networks, find(name).READS[settings.depth])


def _text(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
