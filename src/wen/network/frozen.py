"""Run the frozen network: with OpenVINO on a CPU, with torch elsewhere."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from wen.config.params import Compute
from wen.network.converted import to_openvino
from wen.network.cut import cut
from wen.network.device import autocast, precision

KINDS = ("activations", "pooled")
Run = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


class Frozen(nn.Module):
    """Map images in [0, 1], of shape (n, size, size, 3), to feature maps of shape (n, height, width, channels).

    The second dimension of every output is moved to the end, also for networks whose maps or tokens do not have the
    shape (n, channels, ...). For the kind ``pooled`` the output is the last feature map; `runner` pools it in float32.

    Parameters
    ----------
    network : Module
        A network in inference mode. Its ``pretrained_cfg`` defines the normalisation of the images.
    unfreeze_from : str
        Name of the module before which the network is cut.
    kinds : tuple of str
        Outputs, from `KINDS`: ``activations`` at the cut, and ``pooled`` features.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, unfreeze_from: str, kinds: tuple[str, ...]) -> None:
        super().__init__()
        pretrained: Any = network.pretrained_cfg
        parts = cut(network, unfreeze_from)
        self.kinds, self.trunk, self.top, self.pool = kinds, parts.trunk, parts.top, parts.pool
        self.is_traced = parts.is_traced
        device = next(network.parameters()).device
        self.register_buffer("mean", torch.tensor(pretrained["mean"], device=device))
        self.register_buffer("std", torch.tensor(pretrained["std"], device=device))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = {"activations": self.trunk(((images - self.mean) / self.std).movedim(-1, 1))}
        if "pooled" in self.kinds:
            outputs["pooled"] = self.top(outputs["activations"])
        return tuple(outputs[kind].movedim(1, -1) for kind in self.kinds)


def runner(frozen: Frozen, size: int, device: torch.device, options: Compute) -> Run:
    """Return a function that runs the frozen network on batches of images of ``size`` px on the device.

    The outputs are float32: activations of shape (n, height, width, channels), pooled features of shape (n, channels).
    A network that torch.fx cannot trace always runs in torch, because OpenVINO would also trace it.
    """
    with_openvino = device.type == "cpu" and options.cpu_engine == "openvino" and frozen.is_traced
    compute = _openvino(frozen, size, options) if with_openvino else _torch(frozen, precision(device, options))

    @torch.no_grad()
    def run(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = zip(frozen.kinds, compute(images), strict=True)
        return tuple(frozen.pool(maps.movedim(-1, 1)) if kind == "pooled" else maps for kind, maps in outputs)

    return run


def _torch(frozen: Frozen, dtype: torch.dtype) -> Run:
    def run(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with autocast(images.device, dtype):
            outputs: tuple[torch.Tensor, ...] = frozen(images)
        return outputs

    return run


def _openvino(frozen: Frozen, size: int, options: Compute) -> Run:
    from wen.network.compiled import on_cpu  # imports openvino, which a GPU does not need

    precision = {"bfloat16": "bf16", "float16": "f16"}.get(options.precision, "f32")
    compiled = on_cpu(to_openvino(frozen, torch.zeros(2, size, size, 3)), options.threads, precision)
    return lambda images: tuple(map(torch.from_numpy, compiled(images.numpy())))
