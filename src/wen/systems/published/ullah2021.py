"""Ullah et al. 2021: VGG16 with efficient channel attention.

All settings are choices of this study. The control is the same network without attention: the paper's claim is that
attention improves it.
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
"""Blocks of VGG16. Attention follows each of them or, at depth ``frozen``, the last one only."""


class Settings(system.Trained):
    networks: list[NetworkName] = Field(default=["vgg16"], max_length=1)
    lr: system.Rate = 1e-4
    epochs: Positive = 50
    patience: Positive | None = 10
    balance: system.Balance = "oversample"
    hidden: Positive = 512
    dropout: system.Share = 0.5


def variants(settings: Settings) -> list[Variant]:
    """Return the network with attention and, as control, without it."""
    return [
        Variant("attention", "main", partial(train, settings, True)),
        Variant("no-attention", "control", partial(train, settings, False)),
    ]


def seconds(settings: Settings) -> float:
    return 0.3 * settings.epochs


def train(settings: Settings, with_attention: bool, training: "Training") -> Model:
    from torch import nn

    from wen.systems.blocks import attention, dense, mean
    from wen.systems.training import fit

    inside = with_attention and settings.depth == "finetune"

    def head(channels: int) -> nn.Module:
        last = nn.Sequential(mean(), dense(channels, settings.hidden, settings.dropout))
        return nn.Sequential(attention(channels), last) if with_attention and not inside else last

    return fit(training, settings, head, "maps", attach if inside else None)


def attach(network: Any) -> None:
    """Insert attention after each block of a network, in place."""
    from torch import nn

    from wen.systems.blocks import attention

    for block in network.feature_info[:BLOCKS]:
        name = block["module"]
        network.set_submodule(name, nn.Sequential(network.get_submodule(name), attention(block["num_chs"])))
