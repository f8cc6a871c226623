"""The networks of a classifier as one network: the trunk that they share once, then each one's tail."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from wen.network import graph
from wen.network.cut import cut
from wen.network.graph import Graph, Part
from wen.network.views import turned

MARK = 0x7FC00001
"""Bits of a NaN; with those after it, a NaN of its own for each weight. Torch makes none of these by itself."""


class Trunk(nn.Module):
    """What all networks share: 8-bit RGB images of shape (n, size, size, 3) to activations at the cut.

    Of several turns, there are (turns x n, ...).
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
        # Not movedim(-1, 1), of which ONNX's exporter makes an axis that ONNX Runtime refuses.
        activations: torch.Tensor = self.trunk(values.permute(0, 3, 1, 2))
        return activations


class Tail(nn.Module):
    """One network behind the cut: activations to logits of shape (n, 1).

    NaN is the logit of an image whose activations or logit are infinite or undefined.
    """

    def __init__(self, tail: nn.Module, turns: int) -> None:
        super().__init__()
        self.tail, self.turns = tail, turns

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        logit: torch.Tensor = self.tail(activations)
        known = activations.isfinite().flatten(1).all(1, keepdim=True) & logit.isfinite()
        logit = logit.where(known, torch.nan)
        return logit if self.turns == 1 else of_mean(logit.reshape(self.turns, -1, 1))


class Assembly(nn.Module):
    """From 8-bit RGB images of shape (n, size, size, 3) to logits of shape (n, networks), in float32.

    Parameters
    ----------
    networks : sequence of Module
        In inference mode, with equal weights before the cut. Images are normalised as the first one's
        ``pretrained_cfg`` says.
    unfreeze_from : str
        Where they are cut.
    dtype : torch.dtype
        What the convolutions compute in.
    turns : sequence of int
        How each image is turned, as `wen.data.symmetry.turned` counts. Of several, a logit is that of the mean
        probability.
    """

    is_traced: bool
    """See `wen.network.cut.Cut`."""

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


def of_mean(logits: torch.Tensor) -> torch.Tensor:
    """The logit of the mean, over the first dimension, of the probabilities that logits stand for.

    The same to rounding as ``logit(sigmoid(logits).mean(0))``, but finite where a probability is rounded to 0 or 1.
    """
    # The logarithms of sigmoid(x) and of 1 - sigmoid(x) are -softplus(-x) and -softplus(x).
    return torch.logsumexp(-softplus(-logits), 0) - torch.logsumexp(-softplus(logits), 0)


def example(size: int) -> torch.Tensor:
    """Two images to trace a network with; any number may be given to it later."""
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


def graph_of(network: nn.Module, unfreeze_from: str, size: int, turns: Sequence[int] = (0,)) -> Graph | None:
    """Describe what a network computes, apart from its weights; None if that cannot be done.

    torch.fx cannot trace some networks, OpenVINO cannot convert some, or might write a number computed of a weight.

    OpenVINO writes weights as constants without saying which is which. So each weight is first filled with a NaN that
    has bits of its own: a constant of these bits alone is that weight. Arithmetic passes a NaN's bits on, so a constant
    that holds them among others is computed of a weight, and would be wrong for another model's weights.

    Parameters
    ----------
    network : Module
        On the CPU, in inference mode; its weights do not matter.
    unfreeze_from, turns
        As of `Assembly`.
    size : int
        Of its images, px.
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
    except Exception:  # of many kinds, where OpenVINO knows no way to compute something; torch always does
        return None
    return Graph(trunk, tail) if trunk and tail else None


def _part(module: nn.Module, entry: torch.Tensor, marks: Mapping[bytes, str]) -> Part | None:
    """Describe one of an assembly's modules, which takes any number of what is given here."""
    from openvino.frontend import FrontEndManager  # not openvino.convert_model: it reports each use to its maker
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.jit.trace, which the decoder uses
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of a transformer's checks of the size
        once = {"check_trace": False}  # or it is traced twice
        decoder = TorchScriptPythonDecoder(module, example_input=entry, trace_kwargs=once)
    model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, *entry.shape[1:]])
    xml, constants = graph.written(model)
    contents = {begin: constants[begin : begin + length] for begin, length in graph.places(xml)}
    weights = [(begin, marks[content]) for begin, content in contents.items() if content in marks]
    others = [(begin, content.hex()) for begin, content in contents.items() if content not in marks]
    if any(_is_marked(contents[begin], len(marks)) for begin, _ in others):
        return None
    return Part(xml.decode(), len(constants), weights, others)


def _is_marked(content: bytes, count: int) -> bool:
    """Whether bytes hold one of ``count`` marks, and so a number that was computed of a weight."""
    bits = np.frombuffer(content[: len(content) // 4 * 4], np.uint32) & 0x7FFFFFFF  # without the sign
    return bool(((bits >= MARK) & (bits < MARK + count)).any())
