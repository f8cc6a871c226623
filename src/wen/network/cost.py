"""Cost of a network: its operations and memory, counted without running it, and the measured speed of this device."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from wen.config.params import Compute, Params
from wen.network import device
from wen.network.backbone import build
from wen.network.cut import cut
from wen.network.frozen import Frozen, runner

FROZEN, TAIL, TRAINING, STORED = np.eye(4)
"""Unit vectors of the kinds of work whose speeds are measured separately: forward pass of the frozen network, forward
pass of the tail, training of the tail, and forward pass of the frozen network in the precision of data/features."""
SECONDS = 10.0
"""Time budget of the measurement of all kinds, in s; exceeded only if two images take longer."""


@dataclass(frozen=True)
class Cost:
    """Cost of a network per image, for the study's image size and cut."""

    trunk: int
    """Multiply-adds of the frozen part."""
    tail: int
    """Multiply-adds of the part that stage 2 trains."""
    activations: int
    """Number of activations at the cut."""
    pooled: int
    """Number of pooled features, the input of the head."""
    parameters: int
    """Number of parameters of the network."""
    trainable: int
    """Number of parameters that stage 2 trains."""
    saved_bytes: int
    """Bytes that a forward pass of stage 2 saves for the backward pass, in float32."""
    unfreeze_from: str
    """Name of the module before which the network is cut."""
    is_traced: bool = True
    """False if the network cannot be cut: stage 2 then runs all of it, and there are no activations at a cut."""


def count(params: Params) -> Cost:
    """Count the cost of the study's network in a forward pass on PyTorch's meta device, which computes nothing."""
    with torch.device("meta"):
        network = build(params.backbone, params.images.size).eval()
        parts = cut(network, params.finetune.unfreeze_from)
        images = torch.empty(2, 3, params.images.size, params.images.size)
        with FlopCounterMode(display=False) as trunk:
            activations = parts.trunk(images)
        with FlopCounterMode(display=False) as tail:
            parts.tail(activations)
        saved_bytes = _bytes_saved(parts.tail.train(), activations)
    per_image = 2 * len(images)  # one multiply-add is two FLOPs
    return Cost(
        trunk=trunk.get_total_flops() // per_image,
        tail=tail.get_total_flops() // per_image,
        activations=activations[0].numel() if parts.is_traced else 0,
        pooled=parts.head.in_features,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        trainable=sum(parameter.numel() for parameter in parts.tail.parameters() if parameter.requires_grad),
        saved_bytes=saved_bytes // len(images),
        unfreeze_from=parts.unfreeze_from,
        is_traced=parts.is_traced,
    )


def memory_of_stage_2(params: Params, cost: Cost) -> int:
    """Return the bytes that stage 2 needs in float32: weights, gradients, Adam's two moments and saved tensors."""
    return 16 * cost.trainable + params.train.batch_size * cost.saved_bytes


def rates(params: Params, cost: Cost, where: torch.device) -> np.ndarray:
    """Measure the speed of a device with untrained weights.

    Returns
    -------
    ndarray of shape (4,)
        Multiply-adds per second of `FROZEN`, `TAIL`, `TRAINING` and `STORED`, each measured for about a third of
        `SECONDS`.
    """
    size, batch = params.images.size, params.train.batch_size
    network = build(params.backbone, size).eval().to(where).to(memory_format=torch.channels_last)
    parts = cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute))
    frozen_part = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
    with torch.inference_mode():
        activation = parts.trunk(torch.rand(1, 3, size, size, device=where))

    def frozen(options: Compute) -> float:
        run = runner(frozen_part, size, where, options)
        images = _images_per_second(lambda n: run(torch.rand(n, size, size, 3, device=where)), batch, where)
        return (cost.trunk + cost.tail) * images

    def forward(n: int) -> None:
        parts.tail.eval()
        with torch.inference_mode():
            parts.tail(activation.repeat(n, *[1] * (activation.ndim - 1)))

    def train(n: int) -> None:
        parts.tail.train()
        logit = parts.tail(activation.clone().repeat(n, *[1] * (activation.ndim - 1))).squeeze(1)
        binary_cross_entropy_with_logits(logit, torch.zeros_like(logit)).backward()

    for_features = device.for_storage(params.compute)
    mixed = frozen(params.compute)
    is_same = device.precision(where, for_features) == device.precision(where, params.compute)
    tail = cost.tail * _images_per_second(forward, batch, where)
    training = 3 * cost.tail * _images_per_second(train, batch, where)
    return mixed * FROZEN + tail * TAIL + training * TRAINING + (mixed if is_same else frozen(for_features)) * STORED


def _bytes_saved(module: nn.Module, inputs: torch.Tensor) -> int:
    """Count the bytes of the float32 tensors that a forward pass saves for the backward pass, without the weights."""
    saved: dict[int, torch.Tensor] = {}
    weights = {id(parameter) for parameter in module.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights:
            saved[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(inputs)
    return sum(4 * tensor.numel() for tensor in saved.values())


def _images_per_second(step: Callable[[int], object], batch: int, where: torch.device) -> float:
    """Time repeated calls of a step, on a full batch or on as many images as fit into the time budget."""

    def seconds(n: int) -> float:
        begin = time.perf_counter()
        step(n)
        device.synchronize(where)
        return time.perf_counter() - begin

    budget = SECONDS / 3
    first = seconds(2)
    if first > budget:
        return 2 / first
    n = int(min(batch, max(2, budget / 4 / (seconds(2) / 2))))
    seconds(n)
    begin, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - begin < budget / 2:
        seconds(n)
        done += n
    return done / (time.perf_counter() - begin)
