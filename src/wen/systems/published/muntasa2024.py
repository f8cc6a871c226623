"""Muntasa et al. 2024: EfficientNetV2-S and a hybrid of regular, dilated and depthwise kernels.

Where the block is, how wide it is, and whether classes were balanced before folding is not known.
"""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from wen.config.types import NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = ("tf_efficientnetv2_s",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("maps",), "finetune": ("weights",)}


class Settings(system.Trained):
    networks: list[NetworkName] = Field(default=["tf_efficientnetv2_s.in1k"])
    lr: system.Rate = 1e-4
    frozen_lr: system.Rate | None = 1e-3
    epochs: Positive = 10
    balance: system.Balance = "undersample"
    width: Positive = 256
    dropout: system.Share = 0.2


def variants(settings: Settings) -> list[Variant]:
    """Give the network with the block, and without it."""
    return [
        Variant("hybrid", "main", partial(trained, settings, True)),
        Variant("no-block", "control", partial(trained, settings, False)),
    ]


def seconds(settings: Settings) -> float:
    return 3.0 * settings.epochs


def trained(settings: Settings, block: bool, training: "Training") -> Model:
    from torch import nn

    from wen.systems.blocks import Hybrid, dense, mean
    from wen.systems.training import fit

    def head(channels: int) -> nn.Module:
        last = nn.Sequential(mean(), dense(channels, dropout=settings.dropout))
        return nn.Sequential(Hybrid(channels, settings.width), last) if block else last

    return fit(training, settings, head, "maps")
