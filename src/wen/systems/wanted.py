"""List the networks and inputs that the published systems of params.yaml need, before any of them runs.

Each stage depends on one of these files instead of all of params.yaml's ``systems`` and ``pretrained``. A new system or
a changed setting therefore does not rerun networks whose outputs exist.
"""

import json
from collections.abc import Callable

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.files import atomic
from wen.systems.system import Kind, find, settings_of

Weights = tuple[str, str]
"""Text that identifies the weights, and the reason why they are not available, or an empty text."""


def run(params: Params, paths: Paths, weights: Callable[[Backbone], Weights]) -> None:
    """Write networks/NAME.json and systems/NAME.json in data/networks/wanted/, and remove other files there.

    Parameters
    ----------
    params, paths
    weights : callable
        Returns a text that identifies a network's pretrained weights, such as the hash of their file, and the reason
        why they are not available, or an empty text.
    """
    texts = {f"systems/{name}.json": _text(reads(params, name)) for name in params.systems}
    for name in params.pretrained:
        backbone = params.network_of_systems(name)
        kinds = kinds_of(params, name)
        identity, missing = weights(backbone)
        texts[f"networks/{name}.json"] = _text(
            {"network": backbone.model_dump(mode="json"), "weights": identity, "missing": missing, "kinds": kinds}
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
    """Return the inputs that a system reads from each of its networks."""
    settings = settings_of(params, name)
    return dict.fromkeys(settings.networks, find(name).READS[settings.depth])


def kinds_of(params: Params, network: str) -> list[Kind]:
    """Return the inputs that any system reads from a network."""
    return sorted({kind for system in params.systems for kind in reads(params, system).get(network, ())})


def _text(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
