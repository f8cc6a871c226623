"""Several networks as one module: the shared frozen trunk runs once, followed by the tail of each network."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from wen.network import graph
from wen.network.converted import to_openvino
from wen.network.cut import cut
from wen.network.graph import Graph, Part
from wen.network.views import turned

MARK = 0x7FC00001
"""First of the bit patterns, each a NaN that torch never produces, that mark the weights of a network."""


class Trunk(nn.Module):
    """The part that all networks share: 8-bit RGB images of shape (n, size, size, 3) to activations at the cut.

    With several turns, the activations have shape (turns * n, ...).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, trunk: nn.Module, turns: Sequence[int]) -> None:
        super().__init__()
        pretrained: Any = network.pretrained_cfg
        device = next(network.parameters()).device
        self.trunk, self.turns = trunk, tuple(turns)
        self.register_buffer("mean", torch.tensor(pretrained["mean"], device=device))
        self.register_buffer("std", torch.tensor(pretrained["std"], device=device))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = (images.float() / 255 - self.mean) / self.std
        if len(self.turns) > 1:
            values = torch.cat([turned(values, turn) for turn in self.turns])
        # permute, not movedim(-1, 1): the ONNX exporter turns the latter into an axis that ONNX Runtime rejects.
        activations: torch.Tensor = self.trunk(values.permute(0, 3, 1, 2))
        return activations


class Tail(nn.Module):
    """The part of one network after the cut: activations to logits of shape (n, 1).

    The logit is NaN where an image's activations or logit are infinite or NaN.
    """

    def __init__(self, tail: nn.Module, turns: int) -> None:
        super().__init__()
        self.tail, self.turns = tail, turns

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        logit: torch.Tensor = self.tail(activations)
        is_finite = activations.isfinite().flatten(1).all(1, keepdim=True) & logit.isfinite()
        logit = logit.where(is_finite, torch.nan)
        return logit if self.turns == 1 else logit_of_mean_probability(logit.reshape(self.turns, -1, 1))


class Assembly(nn.Module):
    """Map 8-bit RGB images of shape (n, size, size, 3) to float32 logits of shape (n, networks).

    Parameters
    ----------
    networks : sequence of Module
        Networks in inference mode, with equal weights before the cut. The ``pretrained_cfg`` of the first one defines
        the normalisation of the images.
    unfreeze_from : str
        Name of the module before which the networks are cut.
    dtype : torch.dtype
        Precision of the convolutions.
    turns : sequence of int
        Symmetries applied to each image, numbered as in `wen.data.symmetry.turned`. With several turns, the logit is
        that of the mean probability.
    """

    is_traced: bool
    """Whether torch.fx can trace the networks; see `wen.network.cut.Cut`."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        unfreeze_from: str,
        dtype: torch.dtype = torch.float32,
        turns: Sequence[int] = (0,),
    ) -> None:
        super().__init__()
        parts = [cut(network, unfreeze_from, dtype) for network in networks]
        self.is_traced = parts[0].is_traced
        self.trunk = Trunk(networks[0], parts[0].trunk, turns)
        self.tails = nn.ModuleList(Tail(part.tail, len(turns)) for part in parts)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        activations = self.trunk(images)
        return torch.cat([tail(activations) for tail in self.tails], 1)


def logit_of_mean_probability(logits: torch.Tensor) -> torch.Tensor:
    """Return the logit of the mean probability over the first dimension.

    Equals ``logit(sigmoid(logits).mean(0))`` up to rounding, but stays finite where a probability rounds to 0 or 1.
    """
    # log(sigmoid(x)) = -softplus(-x) and log(1 - sigmoid(x)) = -softplus(x)
    return torch.logsumexp(-softplus(-logits), 0) - torch.logsumexp(-softplus(logits), 0)


def example(size: int) -> torch.Tensor:
    """Return a batch of two black images to trace a network with; the batch size of the traced network is free."""
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


def to_graph(network: nn.Module, unfreeze_from: str, size: int, turns: Sequence[int] = (0,)) -> Graph | None:
    """Describe a network as an OpenVINO graph without its weights.

    OpenVINO writes weights as constants without their names. Each weight tensor is therefore filled with a NaN of a
    distinct bit pattern first: a constant that consists of this pattern is that weight. Arithmetic preserves the bits
    of a NaN, so a constant that contains a pattern but does not consist of it was computed from a weight.

    Parameters
    ----------
    network : Module
        A network on the CPU in inference mode. The values of its weights are irrelevant.
    unfreeze_from, turns
        As in `Assembly`.
    size : int
        Side of the images, in px.

    Returns
    -------
    Graph or None
        None if torch.fx cannot trace the network, OpenVINO cannot convert it, or a constant of the converted graph is
        computed from a weight.
    """
    network = copy.deepcopy(network)
    assembly = Assembly([network], unfreeze_from, turns=turns).eval()
    if not assembly.is_traced:
        return None
    marks: dict[bytes, str] = {}
    floats = {name: tensor for name, tensor in network.state_dict().items() if tensor.dtype == torch.float32}
    for mark, (name, tensor) in enumerate(floats.items(), MARK):
        tensor.view(torch.int32).fill_(mark)
        marks[tensor.numpy().tobytes()] = name
    images = example(size)
    with torch.no_grad():
        activations = assembly.trunk(images)
    try:
        trunk, tail = _part(assembly.trunk, images, marks), _part(assembly.tails[0], activations, marks)
    except Exception:  # OpenVINO raises many types for operations that it does not support
        return None
    return Graph(trunk, tail) if trunk and tail else None


def _part(module: nn.Module, example_input: torch.Tensor, marks: Mapping[bytes, str]) -> Part | None:
    """Convert one module of an assembly; None if a constant was computed from a weight."""
    xml, constants = graph.serialize(to_openvino(module, example_input))
    contents = {begin: constants[begin : begin + length] for begin, length in graph.places(xml)}
    weights = [(begin, marks[content]) for begin, content in contents.items() if content in marks]
    others = [(begin, content.hex()) for begin, content in contents.items() if content not in marks]
    if any(_is_marked(contents[begin], len(marks)) for begin, _ in others):
        return None
    return Part(xml.decode(), len(constants), weights, others)


def _is_marked(content: bytes, count: int) -> bool:
    """Whether a constant contains one of the ``count`` marks, so that it was computed from a weight."""
    bits = np.frombuffer(content[: len(content) // 4 * 4], np.uint32) & 0x7FFFFFFF  # clears the sign bit
    return bool(((bits >= MARK) & (bits < MARK + count)).any())
