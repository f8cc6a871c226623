"""What a network costs, counted from its layers without running it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass

import torch
from torch import nn

from wen.config.params import Params
from wen.network.backbone import build
from wen.network.cut import cut


@dataclass(frozen=True)
class Cost:
    """Of one image, at the study's size and cut."""

    trunk: int
    """Multiply-adds of the frozen part."""
    tail: int
    """Multiply-adds of the part that stage 2 trains."""
    activations: int
    """Numbers at the cut."""
    pooled: int
    """Numbers that enter the head."""
    parameters: int
    """Of the whole network."""
    trained: int
    """Parameters that stage 2 trains."""
    kept: int
    """Bytes of float32 that a forward pass of stage 2 keeps for the backward pass."""


@dataclass(frozen=True)
class Work:
    """Multiply-adds by what does them.

    The frozen network's forward pass, the tail's, the tail's training, and the frozen network's forward pass for
    data/features, which is in float32 where training is mixed.
    """

    frozen: float = 0
    tail: float = 0
    training: float = 0
    stored: float = 0

    def __mul__(self, times: float) -> "Work":
        return Work(*(own * times for own in astuple(self)))

    def __add__(self, other: "Work") -> "Work":
        return Work(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> float:
        return sum(astuple(self))

    def hours(self, rates: "Rates") -> float:
        """Time that it takes at a device's rates."""
        return sum(own / rate for own, rate in zip(astuple(self), astuple(rates), strict=True)) / 3600


@dataclass(frozen=True)
class Rates:
    """Multiply-adds a second that a device reaches, by the kinds of `Work`."""

    frozen: float
    tail: float
    training: float
    stored: float


def count(params: Params) -> Cost:
    """Count from a forward pass on PyTorch's meta device, which computes nothing."""
    with torch.device("meta"):
        network = build(params.backbone.name).eval()
        parts = cut(network, params.finetune.unfreeze_from)
        images = torch.empty(2, 3, params.images.size, params.images.size)
        with _multiply_adds(parts.trunk) as trunk:
            activations = parts.trunk(images)
        with _multiply_adds(parts.tail) as tail:
            parts.tail(activations)
        kept = _bytes_kept(parts.tail.train(), activations)
    return Cost(
        trunk=trunk[0] // 2,
        tail=tail[0] // 2,
        activations=activations[0].numel(),
        pooled=parts.head.in_features,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        trained=sum(parameter.numel() for parameter in parts.tail.parameters()),
        kept=kept // 2,
    )


@contextmanager
def _multiply_adds(module: nn.Module) -> Iterator[list[int]]:
    """Count the multiply-adds of convolutions and linear layers while the block runs."""
    total = [0]

    def add(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        total[0] += output.numel() * weight[0].numel()

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    yield total
    for hook in hooks:
        hook.remove()


def _bytes_kept(module: nn.Module, inputs: torch.Tensor) -> int:
    """Bytes of float32 tensors that a forward pass keeps for the backward pass, weights left out."""
    kept: dict[int, torch.Tensor] = {}
    weights = {id(parameter) for parameter in module.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights:
            kept[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(inputs)
    return sum(4 * tensor.numel() for tensor in kept.values())
