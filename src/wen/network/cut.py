"""The network cut in two: a trunk that never changes, and a tail that is trained."""

from dataclasses import dataclass
from typing import cast

from timm.models.efficientnet import EfficientNet
from torch import nn

from wen.errors import WenError


@dataclass(frozen=True)
class Cut:
    """One network's modules, shared and not copied: head(top(trunk(images)))."""

    trunk: nn.Sequential
    """Images to the activations at the cut."""
    top: nn.Sequential
    """Activations at the cut to pooled features."""
    head: nn.Linear
    """Pooled features to one logit."""

    @property
    def tail(self) -> nn.Sequential:
        """What stage 2 trains: activations at the cut to one logit."""
        return nn.Sequential(self.top, self.head)


def cut(network: EfficientNet, unfreeze_from: str) -> Cut:
    """Cut before the block group ``unfreeze_from``.

    Parameters
    ----------
    network : EfficientNet
    unfreeze_from : str
        ``blocks.K``, or ``conv_head`` for all blocks frozen.

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
        trunk=nn.Sequential(network.conv_stem, network.bn1, *blocks[:k]),
        top=nn.Sequential(*blocks[k:], network.conv_head, network.bn2, network.global_pool),
        head=cast(nn.Linear, network.classifier),
    )
