"""Ullah et al. 2021: VGG16 with efficient channel attention. All settings are decisions.

The control is the same network without attention: that difference is what the paper claims.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from wen.config.types import NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = ("vgg16",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("maps",), "finetune": ("weights",)}
BLOCKS = 5
"""Of VGG16: attention is behind each of them; on stored maps, behind the last alone."""


class Settings(system.Trained):
    networks: list[NetworkName] = Field(default=["vgg16"])
    lr: system.Rate = 1e-4
    epochs: Positive = 50
    patience: Positive | None = 10
    balance: system.Balance = "oversample"
    hidden: Positive = 512
    dropout: system.Share = 0.5


def variants(settings: Settings) -> list[Variant]:
    """Give the network with attention, and without it."""
    return [
        Variant("attention", "main", partial(trained, settings, True)),
        Variant("no-attention", "control", partial(trained, settings, False)),
    ]


def seconds(settings: Settings) -> float:
    return 0.3 * settings.epochs


def trained(settings: Settings, attentive: bool, training: "Training") -> Model:
    from torch import nn

    from wen.systems.blocks import attention, dense, mean
    from wen.systems.training import fit

    inside = attentive and settings.depth == "finetune"

    def head(channels: int) -> nn.Module:
        last = nn.Sequential(mean(), dense(channels, settings.hidden, settings.dropout))
        return nn.Sequential(attention(channels), last) if attentive and not inside else last

    return fit(training, settings, head, "maps", attach if inside else None)


def attach(network: Any) -> None:
    """Put attention behind each block of a network, in place."""
    from torch import nn

    from wen.systems.blocks import attention

    for block in network.feature_info[:BLOCKS]:
        name = block["module"]
        network.set_submodule(name, nn.Sequential(network.get_submodule(name), attention(block["num_chs"])))
