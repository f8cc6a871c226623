"""Mondal et al. 2021: a weighted ensemble of five networks trained on the same fold.

The weights are accuracy, F1, AUC or kappa on the validation fold, which the networks of a fold share.
"""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from wen.config.types import NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = ("legacy_xception", "vgg16", "densenet121", "mobilenetv1_100", "inception_resnet_v2")
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",), "finetune": ("weights",)}


class Settings(system.Trained):
    networks: list[NetworkName] = Field(default=list(PAPER))
    optimiser: system.Optimiser = "adamax"
    lr: system.Rate = 2e-4
    frozen_lr: system.Rate | None = 2e-3
    epochs: Positive = 50
    patience: Positive | None = 10
    plateau_patience: Positive | None = 5
    balance: system.Balance = "oversample"
    views: system.Views = system.Views(rotation=True)


def variants(settings: Settings) -> list[Variant]:
    """Return each single network, the ensemble by each scheme and, as control, the unweighted mean."""
    single = [Variant(name, "part", partial(train, settings, name)) for name in settings.networks]
    names = tuple(settings.networks)
    weighted = [Variant(f"wen-{by}", "main", members=names, scheme=by) for by in ("kappa", "accuracy", "f1", "auc")]
    return [*single, *weighted, Variant("average", "control", members=names, scheme="uniform")]


def seconds(settings: Settings) -> float:
    return 0.6 * len(settings.networks)


def train(settings: Settings, network: str, training: "Training") -> Model:
    from wen.systems.blocks import dense
    from wen.systems.training import fit

    return fit(training, settings.model_copy(update={"networks": [network]}), dense)
