"""Heads and layers of published systems, applied to a network's last feature map or its pooled features."""

import torch
from timm.layers import EcaModule
from timm.models._efficientnet_blocks import DepthwiseSeparableConv
from torch import nn

from wen.errors import Message, WenError
from wen.network.backbone import head_name
from wen.network.cut import is_traceable
from wen.network.traced import Traced, path_of


def dense(channels: int, hidden: int = 0, dropout: float = 0.0) -> nn.Sequential:
    """Return a head for pooled features: an optional hidden layer with ReLU, dropout, and one output neuron."""
    layers = [nn.Linear(channels, hidden), nn.ReLU()] if hidden else []
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(hidden or channels, 1))


def mean() -> nn.Sequential:
    """Return global average pooling: feature maps to shape (n, channels)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Maximum(nn.Module):
    """Global max pooling: feature maps to shape (n, channels).

    On a GPU its gradient is the same every time, unlike that of `torch.nn.AdaptiveMaxPool2d`.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.amax((2, 3))


def begin_of_head(network: nn.Module) -> str:
    """Return the name of the first module with weights behind a network's last features: its classifier, or a layer
    before it, as in ConvNeXt.
    """
    head = head_name(network)
    if not is_traceable(network):
        return head
    graph = Traced(network, "forward_head", head)
    return next(path_of(node) for at, node in enumerate(graph.nodes) if graph.has_weights(at))


def untrainable(network: nn.Module) -> Message:
    """Describe why the systems cannot train a network that torch.fx cannot trace."""
    return (
        f"systems: torch.fx cannot trace {type(network).__name__}, so it cannot be trained here; set depth: frozen, or "
        "choose another network"
    )


class ChannelsFirst(nn.Module):
    """Turn a network's last features into maps of shape (n, channels, height, width).

    Parameters
    ----------
    channels : int
        Index of their channel dimension, as `wen.network.cut.Cut` has it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if maps.ndim != 4:
            raise WenError(
                "systems: the last features of this network are tokens, not a map, which the system needs; choose "
                "another network"
            )
        return maps.movedim(self.channels, 1)


class Hybrid(nn.Module):
    """Residual block of three parallel convolutions: regular, dilated and depthwise.

    The branches are concatenated, projected to the number of input channels, and added to the input. Muntasa et al.
    (2024) name the three kernels; the position and the width of the block are choices of this study.

    Parameters
    ----------
    channels : int
        Number of channels of input and output.
    width : int
        Number of channels of each branch.
    """

    def __init__(self, channels: int, width: int = 256) -> None:
        super().__init__()
        regular = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        dilated = nn.Conv2d(channels, width, 3, padding=2, dilation=2, bias=False)
        depthwise = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, width, 1, bias=False),
        )
        self.branches = nn.ModuleList(
            nn.Sequential(branch, nn.BatchNorm2d(width), nn.SiLU()) for branch in (regular, dilated, depthwise)
        )
        self.back = nn.Conv2d(3 * width, channels, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + self.back(torch.cat([branch(maps) for branch in self.branches], dim=1))


def separable(channels: int, width: int) -> nn.Module:
    """Return timm's depthwise separable convolution: depthwise 3x3, then pointwise to ``width`` with BN and SiLU."""
    return DepthwiseSeparableConv(channels, width, pw_act=True, act_layer=nn.SiLU)


def attention(channels: int) -> nn.Module:
    """Return timm's efficient channel attention (Wang et al. 2020), with a kernel adapted to the number of channels."""
    return EcaModule(channels)
