"""Rodrigues et al. 2022: ResNet-50V2; a genetic algorithm selects dropout, learning rate and momentum.

Population size and search ranges are unknown. The controls, random search and Bayesian optimisation, have the same
number of evaluations.
"""

from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from wen.config.types import NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training
    from wen.systems.training import Head

PAPER = ("resnetv2_50",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",), "finetune": ("pooled", "weights")}
SEARCHED = ("lr", "frozen_lr", "momentum", "dropout")
"""Settings whose values the searches choose."""


class Settings(system.Trained):
    networks: list[NetworkName] = Field(default=["resnetv2_50"], max_length=1)
    trials: Positive = 100  # ten generations of ten
    optimiser: Literal["sgd"] = "sgd"  # no other uses the momentum that is searched
    epochs: Positive = 10
    balance: system.Balance = "weights"
    dropout: system.Share = 0.0

    @model_validator(mode="after")
    def _searched(self) -> "Settings":
        for key in SEARCHED:
            if key in self.model_fields_set:
                raise ValueError(
                    f"{key}: every variant searches its own value, so this one would not be used; remove it"
                )
        return self


def variants(settings: Settings) -> list[Variant]:
    """Return the genetic algorithm and, as controls, the searches that the paper compares it with."""
    return [
        Variant("genetic", "main", partial(search_and_train, settings, "genetic")),
        Variant("random", "control", partial(search_and_train, settings, "random")),
        Variant("bayesian", "control", partial(search_and_train, settings, "gp")),
    ]


def seconds(settings: Settings) -> float:
    return 0.7 * settings.trials  # most of it for the Gaussian process


def search_and_train(settings: Settings, sampler: str, training: "Training") -> Model:
    from wen.systems.search import FloatRange
    from wen.systems.searched import fit_searched

    space = {
        "dropout": FloatRange(0.0, 0.8),
        "lr": FloatRange(1e-5, 1e-1, log=True),
        "momentum": FloatRange(0.5, 0.99),
    }
    return fit_searched(training, settings, space, sampler, head)


def head(options: Settings) -> "Head":
    from wen.systems.blocks import dense

    return lambda channels: dense(channels, dropout=options.dropout)
