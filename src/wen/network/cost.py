"""What a network costs: counted without running it, and how fast this device runs it, from a short try."""

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
"""Kinds of work that a device does at rates of their own: the frozen network's forward pass, the tail's, the tail's
training, and the frozen network's forward pass for data/features, which is in float32 where training is mixed."""
SECONDS = 10.0
"""For a try of all kinds, or as long as two images take."""


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
    unfreeze_from: str
    """The module that the network is cut before."""
    is_traced: bool = True
    """False: it is not cut, so nothing is frozen of its work, and there are no activations."""


def count(params: Params) -> Cost:
    """Count from a forward pass on PyTorch's meta device, which computes nothing."""
    with torch.device("meta"):
        network = build(params.backbone, params.images.size).eval()
        parts = cut(network, params.finetune.unfreeze_from)
        images = torch.empty(2, 3, params.images.size, params.images.size)
        with FlopCounterMode(display=False) as trunk:
            activations = parts.trunk(images)
        with FlopCounterMode(display=False) as tail:
            parts.tail(activations)
        kept = _bytes_kept(parts.tail.train(), activations)
    per_image = 2 * len(images)  # a multiply-add is two operations
    return Cost(
        trunk=trunk.get_total_flops() // per_image,
        tail=tail.get_total_flops() // per_image,
        activations=activations[0].numel() if parts.is_traced else 0,
        pooled=parts.head.in_features,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        trained=sum(parameter.numel() for parameter in parts.tail.parameters() if parameter.requires_grad),
        kept=kept // len(images),
        unfreeze_from=parts.unfreeze_from,
        is_traced=parts.is_traced,
    )


def memory_of_stage_2(params: Params, cost: Cost) -> int:
    """Bytes in float32: weights, gradients and Adam's two moments, and what is kept for the backward pass."""
    return 16 * cost.trained + params.train.batch_size * cost.kept


def rates(params: Params, cost: Cost, where: torch.device) -> np.ndarray:
    """Measure the multiply-adds a second that this device reaches, with untrained weights.

    Returns
    -------
    ndarray of shape (4,)
        Of `FROZEN`, `TAIL`, `TRAINING` and `STORED`; each is tried for about a third of `SECONDS`.
    """
    size, batch = params.images.size, params.train.batch_size
    network = build(params.backbone, size).eval().to(where).to(memory_format=torch.channels_last)
    parts = cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute))
    frozen_part = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
    with torch.inference_mode():
        activation = parts.trunk(torch.rand(1, 3, size, size, device=where))

    def frozen(options: Compute) -> float:
        run = runner(frozen_part, size, where, options)
        images = _images_a_second(lambda n: run(torch.rand(n, size, size, 3, device=where)), batch, where)
        return (cost.trunk + cost.tail) * images

    def forward(n: int) -> None:
        parts.tail.eval()
        with torch.inference_mode():
            parts.tail(activation.repeat(n, *[1] * (activation.ndim - 1)))

    def train(n: int) -> None:
        parts.tail.train()
        logit = parts.tail(activation.clone().repeat(n, *[1] * (activation.ndim - 1))).squeeze(1)
        binary_cross_entropy_with_logits(logit, torch.zeros_like(logit)).backward()

    exact = device.for_storage(params.compute)
    mixed = frozen(params.compute)
    is_same = device.precision(where, exact) == device.precision(where, params.compute)
    tail = cost.tail * _images_a_second(forward, batch, where)
    training = 3 * cost.tail * _images_a_second(train, batch, where)
    return mixed * FROZEN + tail * TAIL + training * TRAINING + (mixed if is_same else frozen(exact)) * STORED


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


def _images_a_second(step: Callable[[int], object], batch: int, where: torch.device) -> float:
    """Run a step for a while, on a full batch if that fits into the time, else on as many images as do."""

    def seconds(n: int) -> float:
        begin = time.perf_counter()
        step(n)
        device.wait(where)
        return time.perf_counter() - begin

    budget = SECONDS / 3
    first = seconds(2)
    if first > budget:  # too slow a device to repeat it
        return 2 / first
    n = int(min(batch, max(2, budget / 4 / (seconds(2) / 2))))
    seconds(n)
    begin, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - begin < budget / 2:
        seconds(n)
        done += n
    return done / (time.perf_counter() - begin)
