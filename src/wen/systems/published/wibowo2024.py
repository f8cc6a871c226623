"""Wibowo et al. 2024: the settings of the head are selected by Bayesian optimisation.

Search space, budget and split are unknown. The network is that of the study, so that only the search differs. The
control is the same head without a search.
"""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from wen.config.types import Count, NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training
    from wen.systems.training import Head

PAPER = ("tf_efficientnetv2_m",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",), "finetune": ("pooled", "weights")}


class Settings(system.Trained):
    searches_optimiser = True
    networks: list[NetworkName] = Field(default=[], max_length=1)
    trials: Positive = 25
    momentum: float = Field(default=0.9, ge=0, lt=1)  # of SGD
    balance: system.Balance = "weights"
    dropout: system.Share = 0.0
    hidden: Count = 0


def variants(settings: Settings) -> list[Variant]:
    """Return the head with searched settings and, as control, with the default settings."""
    return [
        Variant("search", "main", partial(search_and_train, settings)),
        Variant("no-search", "control", partial(train, settings)),
    ]


def seconds(settings: Settings) -> float:
    return 0.7 * settings.trials  # most of it for the Gaussian process


def search_and_train(settings: Settings, training: "Training") -> Model:
    from wen.systems.search import Choice, FloatRange, Space
    from wen.systems.searched import fit_searched

    space: Space = {
        "lr": FloatRange(1e-5, 1e-2, log=True),
        "dropout": FloatRange(0.0, 0.5),
        "hidden": Choice((0, 128, 256, 512)),
        "optimiser": Choice(("adam", "rmsprop", "sgd")),
        "batch_size": Choice((16, 32, 64)),
    }
    return fit_searched(training, settings, space, "gp", head)


def train(settings: Settings, training: "Training") -> Model:
    from wen.systems.training import fit_in_two_stages

    return fit_in_two_stages(training, settings, head(settings))


def head(options: Settings) -> "Head":
    from wen.systems.blocks import dense

    return lambda channels: dense(channels, options.hidden, options.dropout)
