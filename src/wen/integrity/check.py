"""Check params.yaml before any stage runs, because DVC deletes the outputs of a stage before the stage starts."""

import json
import sys
from collections.abc import Sequence
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
from wen.systems.system import Kind, settings_of
from wen.systems.wanted import kinds_of


def check(params: Params, paths: Paths) -> None:
    """Check the names in params.yaml that `wen.config.read.load` cannot check, and that the network can be built.

    Prints a notice if params.yaml asks for stored activations but the network cannot be cut.

    Raises
    ------
    WenError
        If a scheme, baseline, system or network does not exist, or if the network cannot be cut as requested or does
        not accept images of this size. The message names the key.
    """
    grid.check(params, paths)
    readers.check(params.dataset)
    for name in params.schemes:
        weights.scheme(name)
    for name in params.baselines:
        baseline(name)
    for name in params.systems:
        settings_of(params, name)
    networks = {name: [options.model_dump(), kinds_of(params, name)] for name, options in params.pretrained.items()}
    network = [
        params.backbone.model_dump(),
        params.images.size,
        params.finetune.unfreeze_from,
        version("timm"),
        networks,
    ]
    key = f"{json.dumps(network)}\n"
    notice = _cached_notice(key, paths)
    if notice is None:
        notice = _check_network(params)
        _cache_notice(key, notice, paths)
    if notice and params.features.activations:
        print(notice, file=sys.stderr)


def check_log(paths: Paths) -> None:
    """Check that the log of durations can be written. A stage writes it last, and would fail with its work done.

    Raises
    ------
    WenError
        If logs/times.csv cannot be created or written.
    """
    try:
        paths.times.parent.mkdir(exist_ok=True)
        paths.times.open("a").close()
    except OSError as error:
        raise WenError(
            f"{error.filename}: {error.strerror}, so no stage could finish; give this user the right to write it, or "
            "move it away"
        ) from None


def _check_network(params: Params) -> Message:
    """Build the network without weights, cut it and run it on PyTorch's meta device, which computes nothing.

    Returns
    -------
    str
        Notice about a network that cannot be traced, else "".
    """
    from wen.network import pretrained
    from wen.network.cost import count
    from wen.network.untraced import notice

    if params.backbone.weights == "hub":
        pretrained.check_hub(params.backbone.name)
    for name in params.pretrained:
        kinds = kinds_of(params, name)
        _check_network_of_systems(params.network_of_systems(name), params.images.size, kinds)
    try:
        return "" if count(params).is_traced else notice(params.backbone.name)
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise WenError(
            f"images.size: {params.images.size} px or finetune.unfreeze_from: {params.finetune.unfreeze_from} does "
            f"not work with {params.backbone.name}; change one of them ({' '.join(str(error).split())[:200]})"
        ) from None


def _check_network_of_systems(options: Backbone, size: int, kinds: Sequence[Kind]) -> None:
    """Build a network of the published systems without weights, cut it before the classifier, and run it on "meta".

    ``kinds`` are the inputs that the systems read from it. A network of tokens has no ``maps``, and one that torch.fx
    cannot trace is not trained from its ``weights``.
    """
    import torch

    from wen.network.backbone import build, head_name
    from wen.network.cut import cut
    from wen.systems.blocks import ChannelsFirst, untrainable

    try:
        with torch.device("meta"):
            network = build(options, size).eval()
            parts = cut(network, head_name(network))
            if "weights" in kinds and not parts.is_traced:
                raise WenError(untrainable(network))
            network(torch.empty(2, 3, size, size))
            if "maps" in kinds:
                ChannelsFirst(parts.channels)(parts.top(parts.trunk(torch.empty(2, 3, size, size))))
    except WenError as error:
        problem = str(error).removeprefix("backbone.name: ").replace("systems:", f"{options.name}:", 1)
        raise WenError(f"params.yaml: pretrained: {problem}") from None
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise WenError(
            f"params.yaml: pretrained: {options.name} does not work with images.size, {size} px; raise images.size, or "
            f"remove the network and its systems ({' '.join(str(error).split())[:200]})"
        ) from None


def _cached_notice(key: str, paths: Paths) -> Message | None:
    """Return the notice of an earlier check of the same networks, or None; importing timm would take seconds."""
    content = _cache_path(paths).read_text(encoding="utf-8") if _cache_path(paths).is_file() else ""
    return content.removeprefix(key).strip() if content.startswith(key) else None


def _cache_notice(key: str, notice: Message, paths: Paths) -> None:
    """Cache the notice; if nothing can be written, the next check takes seconds again."""
    if _cache_path(paths).parent.is_dir():
        with suppress(OSError):
            write_text(_cache_path(paths), key + notice)


def _cache_path(paths: Paths) -> Path:
    return paths.home / ".dvc/tmp/known-network.txt"
