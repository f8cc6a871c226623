"""What is wrong with params.yaml, told before any stage runs: DVC deletes a stage's outputs before it starts."""

import json
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from wen.config import grid
from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.data import readers
from wen.ensemble import weights
from wen.errors import Message, WenError
from wen.files import write_text
from wen.members.baselines import baseline
from wen.systems.system import settings_of


def check(params: Params, paths: Paths) -> None:
    """Check what `wen.config.read.load` cannot: the names that other modules know.

    Prints a sentence if the network is one whose activations cannot be kept, though params.yaml asks for them.

    Raises
    ------
    WenError
        If there is no such scheme, baseline or network, or the network cannot be cut there, or takes no images of this
        size; the text names the key.
    """
    grid.check(params, paths)
    readers.check(params.dataset)
    for name in params.schemes:
        weights.scheme(name)
    for name in params.baselines:
        baseline(name)
    for name in params.systems:
        settings_of(params, name)
    networks = {name: options.model_dump() for name, options in params.pretrained.items()}
    network = [
        params.backbone.model_dump(),
        params.images.size,
        params.finetune.unfreeze_from,
        version("timm"),
        networks,
    ]
    asked = f"{json.dumps(network)}\n"
    known = _known(asked, paths)
    if known is None:
        known = _network(params)
        _remember(asked, known, paths)
    if known and params.features.activations:
        print(known, file=sys.stderr)


def _network(params: Params) -> Message:
    """Build the network without weights, cut it and run it, on a device that computes nothing.

    What it gives is a sentence about a network that cannot be traced, else "".
    """
    from wen.network import pretrained
    from wen.network.cost import count
    from wen.network.untraced import notice

    if params.backbone.weights == "hub":
        pretrained.check_hub(params.backbone.name)
    for name, options in params.pretrained.items():
        _of_systems(Backbone(name=name, **options.model_dump()), params.images.size)
    try:
        return "" if count(params).is_traced else notice(params.backbone.name)
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise WenError(
            f"images.size: {params.images.size} px or finetune.unfreeze_from: {params.finetune.unfreeze_from} does "
            f"not work with {params.backbone.name}; change one of them ({' '.join(str(error).split())[:200]})"
        ) from None


def _of_systems(options: Backbone, size: int) -> None:
    """Build a network of the published systems, and cut its classifier off."""
    import torch

    from wen.network.backbone import build, head_name
    from wen.network.cut import cut

    try:
        with torch.device("meta"):
            network = build(options, size).eval()
            cut(network, head_name(network))
    except WenError as error:
        raise WenError(f"params.yaml: pretrained: {str(error).removeprefix('backbone.name: ')}") from None


def _known(asked: str, paths: Paths) -> Message | None:
    """What was found of this network before: to import timm takes seconds. None: nothing."""
    found = _memory(paths).read_text(encoding="utf-8") if _memory(paths).is_file() else ""
    return found.removeprefix(asked).strip() if found.startswith(asked) else None


def _remember(asked: str, found: Message, paths: Paths) -> None:
    """Keep what was found; where nothing can be written, it takes seconds again the next time."""
    if _memory(paths).parent.is_dir():
        with suppress(OSError):
            write_text(_memory(paths), asked + found)


def _memory(paths: Paths) -> Path:
    return paths.home / ".dvc/tmp/known-network.txt"
