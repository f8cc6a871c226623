"""Wibowo et al. 2024: settings of the head by Bayesian optimisation. Space, budget and split are not known.

The network is the study's own, so that only the search is new; the control is the same head without a search.
"""

from functools import partial
from typing import TYPE_CHECKING

from wen.config.types import Count, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training
    from wen.systems.training import Head

PAPER = ("tf_efficientnetv2_m",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",), "finetune": ("pooled", "weights")}


class Settings(system.Trained):
    trials: Positive = 25
    momentum: float = 0.9  # of SGD and RMSprop
    balance: system.Balance = "weights"
    dropout: system.Share = 0.0
    hidden: Count = 0


def variants(settings: Settings) -> list[Variant]:
    """Give the head that the search finds, and that of the settings as they are."""
    return [
        Variant("search", "main", partial(searched, settings)),
        Variant("no-search", "control", partial(trained, settings)),
    ]


def seconds(settings: Settings) -> float:
    return 0.7 * settings.trials  # most of it for the Gaussian process


def searched(settings: Settings, training: "Training") -> Model:
    from wen.systems.search import Between, OneOf, Space
    from wen.systems.searched import fit_searched

    space: Space = {
        "lr": Between(1e-5, 1e-2, log=True),
        "dropout": Between(0.0, 0.5),
        "hidden": OneOf((0, 128, 256, 512)),
        "optimiser": OneOf(("adam", "rmsprop", "sgd")),
        "batch_size": OneOf((16, 32, 64)),
    }
    return fit_searched(training, settings, space, "gp", head)


def trained(settings: Settings, training: "Training") -> Model:
    from wen.systems.training import fit_in_two_stages

    return fit_in_two_stages(training, settings, head(settings))


def head(options: Settings) -> "Head":
    from wen.systems.blocks import dense

    return lambda channels: dense(channels, options.hidden, options.dropout)
