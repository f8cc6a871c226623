"""The network cut in two: a trunk that never changes, and a tail that is trained."""

from dataclasses import dataclass
from typing import cast

import torch
from timm.models.efficientnet import EfficientNet
from torch import nn

from wen.errors import WenError
from wen.network.device import autocast


@dataclass(frozen=True)
class Cut:
    """One network's modules, shared and not copied: head(top(trunk(images)))."""

    trunk: "Convolutions"
    """Images to the activations at the cut."""
    top: "Convolutions"
    """Activations at the cut to the last feature maps."""
    pool: nn.Module
    """Feature maps to pooled features: their means, in float32."""
    head: nn.Linear
    """Pooled features to one logit, in float32."""

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


def cut(network: EfficientNet, unfreeze_from: str, dtype: torch.dtype = torch.float32) -> Cut:
    """Cut before the block group ``unfreeze_from``.

    Parameters
    ----------
    network : EfficientNet
    unfreeze_from : str
        ``blocks.K``, or ``conv_head`` for all blocks frozen.
    dtype : torch.dtype
        What the convolutions compute in.

    Raises
    ------
    WenError
        If the network has no such block group.
    """
    groups = len(network.blocks)
    k = groups if unfreeze_from == "conv_head" else int(unfreeze_from.removeprefix("blocks."))
    if k > groups or unfreeze_from == f"blocks.{groups}":
        raise WenError(f"finetune.unfreeze_from: {unfreeze_from}, but the network has blocks.0 to blocks.{groups - 1}")
    blocks = list(network.blocks)
    return Cut(
        trunk=Convolutions(network.conv_stem, network.bn1, *blocks[:k], dtype=dtype),
        top=Convolutions(*blocks[k:], network.conv_head, network.bn2, dtype=dtype),
        pool=network.global_pool,
        head=cast(nn.Linear, network.classifier),
    )
