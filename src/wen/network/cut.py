"""The network cut in two: a trunk that never changes, and a tail that is trained."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from wen.errors import WenError
from wen.network.backbone import head_name
from wen.network.device import autocast
from wen.network.traced import Traced, cuttable, near, offer, path_of
from wen.network.untraced import KEY, Pooling, Untraced, place


@dataclass(frozen=True)
class Cut:
    """One network's modules, shared and not copied: head(pool(top(trunk(images))))."""

    trunk: "Convolutions"
    """Images to the activations at the cut."""
    top: "Convolutions"
    """Activations at the cut to the last feature map, as timm's ``forward_features`` ends."""
    pool: nn.Module
    """Feature map to pooled features, in float32: timm's ``forward_head`` up to the classifier."""
    head: nn.Linear
    """Pooled features to one logit, in float32."""
    unfreeze_from: str
    """The module that it is cut before."""
    channels: int
    """The map's dimension of channels."""
    is_traced: bool = True
    """False where the network cannot be traced: then the trunk passes images on, and all else is in ``top``."""

    @property
    def tail(self) -> nn.Sequential:
        """What stage 2 trains: activations at the cut to one logit."""
        return nn.Sequential(self.top, self.pool, self.head)


class Convolutions(nn.Sequential):
    """The part of a network that takes the time: all that is ever computed in a half type.

    What comes out is float32, so pooling, head and loss behind it are float32 too: there it costs nothing, and a
    logit of bfloat16 would have 8 bits.

    Parameters
    ----------
    *modules : Module
    dtype : torch.dtype
        What they compute in, under autocast if that is a half type.
    """

    def __init__(self, *modules: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(*modules)
        self.dtype = dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        with autocast(values.device, self.dtype):
            maps: torch.Tensor = super().forward(values)
        return maps.float()


def cut(network: nn.Module, unfreeze_from: str, dtype: torch.dtype = torch.float32) -> Cut:
    """Cut before a module: it and all that runs after it are trained, what runs before it is frozen.

    A network that cannot be traced stays in one piece, see `wen.network.untraced.Untraced`.

    Parameters
    ----------
    network : Module
        Of timm, as `wen.network.backbone.build` makes it.
    unfreeze_from : str
        The name of a module, as ``layer4`` or ``blocks.5``; ``auto`` is the last stage that has parameters. A module
        of timm's ``forward_head``, or the classifier, leaves all feature maps frozen.
    dtype : torch.dtype
        What all before the pooling computes in.

    Raises
    ------
    WenError
        If there is no such module, or several tensors cross before it.
    """
    channels = -1 if getattr(network, "output_fmt", "NCHW") == "NHWC" else 1
    if not is_traceable(network):
        name, classifier = place(network, unfreeze_from), cast(nn.Linear, network.get_submodule(head_name(network)))
        top = Convolutions(Untraced(network, name), dtype=dtype)
        return Cut(Convolutions(dtype=dtype), top, Pooling(network), classifier, name, channels, is_traced=False)
    name = _last_stage(network) if unfreeze_from == "auto" else unfreeze_from
    if not any(name == path for path, _ in network.named_modules() if path):
        raise WenError(f"{KEY}: {name}: the network has no such module; {offer(network, name)}")
    features, head = Traced(network, "forward_features", name), Traced(network, "forward_head", head_name(network))
    at = features.before(name)
    if at is None:
        _check_in_head(network, name)
        at = features.end
    elif not features.is_legal(at):
        raise WenError(
            f"{KEY}: {name}: several tensors pass between the modules before and after it, but only one may; "
            f"{near(features, name, at)}"
        )
    pooled = head.before(head_name(network))
    if pooled is None:
        raise WenError(
            f"backbone.name: {type(network).__name__} never calls its classifier, {head_name(network)}; choose "
            "another network"
        )
    if len(head.crossing(pooled)) > 1:
        raise WenError(
            f"backbone.name: {type(network).__name__} has other classifiers than {head_name(network)}; choose "
            "another network"
        )
    return Cut(
        trunk=Convolutions(features.part(0, at), dtype=dtype),
        top=Convolutions(features.part(at, features.end), dtype=dtype),
        pool=nn.Sequential(head.part(0, pooled), nn.Flatten()),
        head=cast(nn.Linear, network.get_submodule(head_name(network))),
        unfreeze_from=name,
        channels=channels,
    )


def is_traceable(network: nn.Module) -> bool:
    """Whether torch.fx can follow what the network calls, and one tensor crosses at more places than one."""
    try:
        Traced(network, "forward_head", "")
        return len(cuttable(network)) > 1
    except WenError:
        return False


def _last_stage(network: nn.Module) -> str:
    """The first module behind the last but one of timm's stages that can be cut before, with parameters after it."""
    for stage in reversed([info["module"] for info in getattr(network, "feature_info", [])][:-1]):
        graph = Traced(network, "forward_features", stage)
        end = graph.before(stage)
        behind = [at for at in graph.places() if end is not None and at > end]
        if behind:
            return path_of(graph.nodes[behind[0]])
    raise WenError(f"{KEY}: auto: timm names no stages of {type(network).__name__}; {offer(network, '')}")


def _check_in_head(network: nn.Module, name: str) -> None:
    """Refuse a module that never runs, or one of the head behind others that would be trained, too."""
    graph = Traced(network, "forward_head", name)
    at = graph.before(name)
    if at is None:
        raise WenError(f"{KEY}: {name}: the network never calls this module; {offer(network, name)}")
    earlier = [path_of(node) for k, node in enumerate(graph.nodes[:at]) if graph.has_weights(k)]
    if earlier:
        raise WenError(f"{KEY}: {name}: runs after {earlier[0]}, where the head begins; write {earlier[0]}")
