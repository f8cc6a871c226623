"""Batool and Byun 2023: EfficientNet-B3 with a depthwise separable convolution.

All settings but the network are choices of this study. Optimiser, schedule and the layers after the convolution are
those of public code of the same lineage.
"""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from wen.config.types import Fraction, Integer, NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = ("tf_efficientnet_b3",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("maps",), "finetune": ("weights",)}


class Settings(system.Trained):
    networks: list[NetworkName] = Field(default=["tf_efficientnet_b3.in1k"], max_length=1)
    optimiser: system.Optimiser = "adamax"
    lr: system.Rate = 1e-3
    batch_size: Integer = Field(default=40, ge=2)
    epochs: Positive = 40
    plateau_patience: Positive | None = 1
    plateau_factor: Fraction = 0.5
    balance: system.Balance = "undersample"
    width: Positive = 256
    dropout: system.Share = 0.45
    views: system.Views = system.Views(vertical_flip=0.0, brightness=0.0, contrast=0.0)


def variants(settings: Settings) -> list[Variant]:
    """Return the network with the convolution and, as control, without it."""
    return [
        Variant("separable", "main", partial(train, settings, True)),
        Variant("no-convolution", "control", partial(train, settings, False)),
    ]


def seconds(settings: Settings) -> float:
    return 0.6 * settings.epochs


def train(settings: Settings, convolution: bool, training: "Training") -> Model:
    from torch import nn

    from wen.systems.blocks import Maximum, dense, separable
    from wen.systems.training import fit

    def head(channels: int) -> nn.Module:
        first: nn.Module = separable(channels, settings.width) if convolution else nn.Identity()
        width = settings.width if convolution else channels
        pooled = nn.Sequential(Maximum(), nn.BatchNorm1d(width))
        return nn.Sequential(first, pooled, dense(width, 256, settings.dropout))

    return fit(training, settings, head, "maps")
