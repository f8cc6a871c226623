"""Train a network that torch.fx cannot trace: it is not cut, but runs as one module with part of its weights frozen."""

import difflib
import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from wen.errors import Message, WenError

KEY = "finetune.unfreeze_from"


class Untraced(nn.Module):
    """timm's ``forward_features`` with the modules before a given module frozen.

    The weights of that module and of all modules called after it, including the classifier, are trainable. All others
    are frozen, including weights that belong to no module, such as position embeddings. Frozen modules stay in
    inference mode: their batch normalisation keeps its statistics, and their dropout is off.

    Parameters
    ----------
    network : Module
        A timm network, as `wen.network.backbone.build` returns it. ``requires_grad`` of its parameters is set.
    name : str
        Name of the first trainable module.

    Raises
    ------
    WenError
        If the network does not call that module.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network: Any = network
        called = _called(network)
        indices = [called.index(module) for module in network.get_submodule(name).modules() if module in called]
        if not indices:
            raise WenError(f"{KEY}: {name}: {type(network).__name__} never calls this module")
        trainable = {part for module in called[min(indices) :] for part in module.modules()}
        self.frozen = [module for module in network.modules() if trainable.isdisjoint(module.modules())]
        weights = {id(weight) for module in trainable for weight in module.parameters()}
        for weight in network.parameters():
            weight.requires_grad_(id(weight) in weights)

    def train(self, mode: bool = True) -> "Untraced":
        """Set the mode of all but the frozen modules, which stay in inference mode."""
        super().train(mode)
        for module in self.frozen:
            module.training = False
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network.forward_features(images)
        return features


class Pooling(nn.Module):
    """timm's ``forward_head`` up to the classifier. `Untraced` owns its weights and controls its mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.forward_head: Any = network.forward_head

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.forward_head(maps, pre_logits=True)
        return pooled.flatten(1)


def first_trained(network: nn.Module, unfreeze_from: str) -> str:
    """Return the name of the first trainable module; ``auto`` is the module after the second-to-last stage.

    Raises
    ------
    WenError
        If there is no such module, if ``auto`` is given and timm names no stages, or if ``forward_head`` cannot
        return pooled features.
    """
    kind = type(network).__name__
    if "pre_logits" not in inspect.signature(network.forward_head).parameters:  # type: ignore[arg-type]
        raise WenError(
            f"backbone.name: {kind} cannot be traced, and its forward_head gives no pooled features; choose another "
            "network"
        )
    paths = [path for path, module in network.named_modules() if path and any(True for _ in module.parameters())]
    name = _last_stage(network, paths) if unfreeze_from == "auto" else unfreeze_from
    if name not in paths:
        near = difflib.get_close_matches(name, paths, n=3) or [path for path in paths if path.count(".") < 2]
        of_auto = unfreeze_from == "auto"
        why = f"auto: timm names no stages of {kind}" if of_auto else f"{name}: no such module with weights"
        raise WenError(f"{KEY}: {why}; choose one of {', '.join(near)}")
    return name


def notice(name: str) -> Message:
    """Return the notice about a network that cannot be traced."""
    return (
        f"features.activations: not stored, because torch.fx cannot trace {name}: stage 2 and prediction run the "
        "complete network on the images, on a CPU in PyTorch"
    )


def _called(network: nn.Module) -> list[nn.Module]:
    """Return the modules of a network in the order of their first call, without the network itself."""
    order: dict[nn.Module, None] = {}
    where, mode_before = next(network.parameters()).device, network.training
    image = torch.zeros(1, *network.pretrained_cfg["input_size"], device=where)  # type: ignore[index]
    with register_module_forward_pre_hook(lambda module, _: order.setdefault(module)), torch.no_grad():
        features = network.eval().forward_features(image)  # type: ignore[operator]
        if not isinstance(features, torch.Tensor):
            raise WenError(
                f"backbone.name: {type(network).__name__}'s forward_features gives several tensors; choose another "
                "network"
            )
        network.forward_head(features)  # type: ignore[operator]
    network.train(mode_before)
    return [module for module in order if module is not network]


def _last_stage(network: nn.Module, paths: list[str]) -> str:
    """Return the first module with weights registered after the second-to-last of timm's stages, or "" if none is."""
    stages = [info["module"] for info in getattr(network, "feature_info", [])][:-1]
    if not stages or stages[-1] not in paths:
        return ""
    last = stages[-1]
    after = paths[paths.index(last) + 1 :]
    return next((path for path in after if not path.startswith(f"{last}.")), "")
