"""Muntasa et al. 2024: EfficientNetV2-S with a hybrid block of regular, dilated and depthwise convolutions.

The position and the width of the block are unknown, and whether classes were balanced before the split.
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
    networks: list[NetworkName] = Field(default=["tf_efficientnetv2_s.in1k"], max_length=1)
    lr: system.Rate = 1e-4
    frozen_lr: system.Rate | None = 1e-3
    epochs: Positive = 10
    balance: system.Balance = "undersample"
    width: Positive = 256
    dropout: system.Share = 0.2


def variants(settings: Settings) -> list[Variant]:
    """Return the network with the block and, as control, without it."""
    return [
        Variant("hybrid", "main", partial(train, settings, True)),
        Variant("no-block", "control", partial(train, settings, False)),
    ]


def seconds(settings: Settings) -> float:
    return 3.0 * settings.epochs


def train(settings: Settings, block: bool, training: "Training") -> Model:
    from torch import nn

    from wen.systems.blocks import Hybrid, dense, mean
    from wen.systems.training import fit

    def head(channels: int) -> nn.Module:
        last = nn.Sequential(mean(), dense(channels, dropout=settings.dropout))
        return nn.Sequential(Hybrid(channels, settings.width), last) if block else last

    return fit(training, settings, head, "maps")
