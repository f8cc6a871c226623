"""Cut a network in two: a frozen trunk and a trainable tail."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from wen.errors import WenError
from wen.network.backbone import head_name
from wen.network.device import autocast
from wen.network.traced import Traced, cut_points, nearest_cuts, path_of, suggestion
from wen.network.untraced import KEY, Pooling, Untraced, first_trained


@dataclass(frozen=True)
class Cut:
    """The parts of a network, which computes ``head(pool(top(trunk(images))))``. They share its modules."""

    trunk: "Convolutions"
    """Maps images to the activations at the cut."""
    top: "Convolutions"
    """Maps the activations at the cut to the last feature map, the output of timm's ``forward_features``."""
    pool: nn.Module
    """Maps the feature map to pooled features in float32: timm's ``forward_head`` up to the classifier."""
    head: nn.Linear
    """Maps pooled features to one logit in float32."""
    unfreeze_from: str
    """Name of the module before which the network is cut."""
    channels: int
    """Index of the channel dimension of the feature map."""
    is_traced: bool = True
    """False if torch.fx cannot trace the network; the trunk is then the identity, and ``top`` the entire network."""

    @property
    def tail(self) -> nn.Sequential:
        """The part that stage 2 trains: activations at the cut to one logit."""
        return nn.Sequential(self.top, self.pool, self.head)


class Convolutions(nn.Sequential):
    """The part of a network that may run in half precision, where nearly all of the time is spent.

    The output is float32, so that pooling, head and loss run in float32. That costs no time, and a bfloat16 logit
    would have only 8 significant bits.

    Parameters
    ----------
    *modules : Module
    dtype : torch.dtype
        Precision of the modules; half types run under autocast.
    """

    def __init__(self, *modules: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(*modules)
        self.dtype = dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        with autocast(values.device, self.dtype):
            maps: torch.Tensor = super().forward(values)
        return maps.float()


def precisions(module: nn.Module) -> set[torch.dtype]:
    """Return the precisions of the convolutions in a module."""
    return {part.dtype for part in module.modules() if isinstance(part, Convolutions)}


def cut(network: nn.Module, unfreeze_from: str, dtype: torch.dtype = torch.float32) -> Cut:
    """Cut a network before a module: what runs before it is frozen, the module and what runs after it is trainable.

    A network that torch.fx cannot trace is not cut; see `wen.network.untraced.Untraced`.

    Parameters
    ----------
    network : Module
        A timm network, as `wen.network.backbone.build` returns it.
    unfreeze_from : str
        Name of a module, such as ``layer4`` or ``blocks.5``, or ``auto`` for the last stage that has parameters.
        With a module of timm's ``forward_head``, such as the classifier, all feature maps are frozen.
    dtype : torch.dtype
        Precision of everything before the pooling.

    Raises
    ------
    WenError
        If there is no such module, or if more than one tensor crosses the cut.
    """
    channels = -1 if getattr(network, "output_fmt", "NCHW") == "NHWC" else 1
    if not is_traceable(network):
        name = first_trained(network, unfreeze_from)
        classifier = cast(nn.Linear, network.get_submodule(head_name(network)))
        top = Convolutions(Untraced(network, name), dtype=dtype)
        return Cut(Convolutions(dtype=dtype), top, Pooling(network), classifier, name, channels, is_traced=False)
    name = _last_stage(network) if unfreeze_from == "auto" else unfreeze_from
    if not any(name == path for path, _ in network.named_modules() if path):
        raise WenError(f"{KEY}: {name}: the network has no such module; {suggestion(network, name)}")
    features, head = Traced(network, "forward_features", name), Traced(network, "forward_head", head_name(network))
    at = features.find(name)
    if at is None:
        _check_in_head(network, name)
        at = features.end
    elif not features.is_legal(at):
        raise WenError(
            f"{KEY}: {name}: several tensors pass between the modules before and after it, but only one may; "
            f"{nearest_cuts(features, name, at)}"
        )
    pooled = head.find(head_name(network))
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
    if any(node.op != "call_module" for node in head.nodes[pooled + 1 :]):  # timm's modules there flatten the logits
        raise WenError(
            f"backbone.name: {type(network).__name__} selects from the outputs of its classifier, "
            f"{head_name(network)}; choose another network"
        )
    return Cut(
        trunk=Convolutions(features.extract(0, at), dtype=dtype),
        top=Convolutions(features.extract(at, features.end), dtype=dtype),
        pool=nn.Sequential(head.extract(0, pooled), nn.Flatten()),
        head=cast(nn.Linear, network.get_submodule(head_name(network))),
        unfreeze_from=name,
        channels=channels,
    )


def is_traceable(network: nn.Module) -> bool:
    """Whether torch.fx can trace the network and there are at least two modules before which it can be cut."""
    try:
        Traced(network, "forward_head", "")
        return len(cut_points(network)) > 1
    except WenError:
        return False


def _last_stage(network: nn.Module) -> str:
    """Return the first legal cut after the second-to-last of timm's stages, or else after the stage before that."""
    for stage in reversed([info["module"] for info in getattr(network, "feature_info", [])][:-1]):
        graph = Traced(network, "forward_features", stage)
        end = graph.find(stage)
        after = [at for at in graph.legal_cuts() if end is not None and at > end]
        if after:
            return path_of(graph.nodes[after[0]])
    raise WenError(f"{KEY}: auto: timm names no stages of {type(network).__name__}; {suggestion(network, '')}")


def _check_in_head(network: nn.Module, name: str) -> None:
    """Check that a module outside ``forward_features`` is the first module with weights in ``forward_head``."""
    graph = Traced(network, "forward_head", name)
    at = graph.find(name)
    if at is None:
        raise WenError(f"{KEY}: {name}: the network never calls this module; {suggestion(network, name)}")
    earlier = [path_of(node) for k, node in enumerate(graph.nodes[:at]) if graph.has_weights(k)]
    if earlier:
        raise WenError(f"{KEY}: {name}: runs after {earlier[0]}, where the head begins; write {earlier[0]}")
