"""Wibowo et al. 2024: settings of the head found by Bayesian optimisation. Space, budget and split are not known.

The network is the study's own, so that only the search is new; the control is the same head without a search.
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from wen.config.params import Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = ("tf_efficientnetv2_m",)
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",), "finetune": ("pooled", "weights")}


class Settings(system.Trained):
    trials: Positive = 25
    dropout: system.Share = 0.0
    hidden: system.Count = 0
    balance: system.Balance = "weights"


def variants(settings: Any) -> list[Variant]:
    """The head that the search finds; and the head of the settings as they are."""
    return [
        Variant("search", "main", partial(searched, settings)),
        Variant("no-search", "control", partial(trained, settings, {})),
    ]


def searched(settings: Any, training: "Training") -> Model:
    from wen.systems.search import Between, OneOf, Space, search
    from wen.systems.training import judged

    space: Space = {
        "lr": Between(1e-5, 1e-2, log=True),
        "dropout": Between(0.0, 0.5),
        "hidden": OneOf((0, 128, 256, 512)),
        "optimiser": OneOf(("adam", "rmsprop", "sgd")),
        "batch_size": OneOf((16, 32, 64)),
    }

    def score(values: dict[str, Any]) -> float:
        options = _with(settings, values)
        return judged(training, options, _head(options))

    found = search(training, "search", space, score, settings.trials, "gp")
    model = trained(settings, found.best, training)
    return replace(model, chosen=model.chosen | found.best, history=found.history)


def trained(settings: Any, values: dict[str, Any], training: "Training") -> Model:
    """Train the head on pooled features; at depth finetune, then the network from that head on."""
    from wen.systems.training import fit_in_two_stages

    options = _with(settings, values)
    return fit_in_two_stages(training, options, _head(options))


def _with(settings: Any, values: dict[str, Any]) -> Any:
    momentum = 0.9 if values.get("optimiser") == "sgd" else settings.momentum
    return settings.model_copy(update={**values, "momentum": momentum})


def _head(options: Any) -> Any:
    from wen.systems.blocks import dense

    return lambda channels: dense(channels, options.hidden, options.dropout)
