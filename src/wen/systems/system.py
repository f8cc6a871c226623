"""Interface of a published system: a module of `wen.systems.published` with settings and variants."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, cast

import numpy as np
from pydantic import Field, ValidationError, model_validator

from wen.config.params import Params
from wen.config.read import sentence
from wen.config.types import Fraction, Integer, NetworkName, Positive, Section, Share
from wen.errors import WenError
from wen.systems import published

if TYPE_CHECKING:
    from wen.systems.fold import Cells, Training

Depth = Literal["frozen", "finetune"]
Balance = Literal["none", "weights", "oversample", "undersample"]
Optimiser = Literal["adam", "adamax", "rmsprop", "sgd"]
Rate = Annotated[float, Field(gt=0, le=1)]
Kind = Literal["pooled", "maps", "weights"]
"""Inputs that a system reads from a network: pooled features, last feature maps, or the weights, to train them."""


class Settings(Section):
    """Settings of any system in params.yaml. Each system has a subclass with its defaults."""

    depth: Depth = "frozen"
    """``frozen``: train on stored features; ``finetune``: also train the network, on random views of the images."""
    networks: list[NetworkName] = Field(default=[])
    """Names in timm; by default the study's network, ``backbone.name``."""


class Views(Section):
    """Random views of a training image at depth ``finetune``, new in each epoch; see `wen.network.views`."""

    horizontal_flip: Share = 0.5
    vertical_flip: Share = 0.5
    rotation: bool = False
    """Rotation by a random angle."""
    brightness: Share = 0.2
    contrast: Share = 0.2


class Trained(Settings):
    """Settings of a system that is trained by gradient descent."""

    searches_optimiser: ClassVar[bool] = False
    """Whether a variant also tries other optimisers than ``optimiser``."""

    optimiser: Optimiser = "adam"
    lr: Rate = 1e-3
    frozen_lr: Rate | None = None
    """Learning rate at depth ``frozen``, if it differs: ``lr`` of an entire network may be too low for a head."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_size: Annotated[Integer, Field(ge=2)] = 32
    epochs: Positive = 30
    patience: Positive | None = None
    """Epochs without a lower loss on an inner validation part after which training stops. Without it, training runs
    for all epochs on all training images."""
    plateau_patience: Positive | None = None
    """Epochs in a row without a lower loss on the inner validation part after which the rate is multiplied by
    ``plateau_factor``."""
    plateau_factor: Fraction = 0.1
    balance: Balance = "none"
    """Class balancing; see `wen.systems.samplers`."""
    views: Views = Views()

    @model_validator(mode="after")
    def _without_effect(self) -> Self:
        given = self.model_fields_set
        if "momentum" in given and self.optimiser != "sgd" and not self.searches_optimiser:
            raise ValueError(f"momentum: {self.optimiser} does not use it; remove it, or set optimiser: sgd")
        if "plateau_factor" in given and self.plateau_patience is None:
            raise ValueError("plateau_factor: used only with plateau_patience; remove it, or set plateau_patience, too")
        return self


@dataclass(frozen=True)
class Model:
    """A fitted classifier."""

    probability: Callable[["Cells"], np.ndarray]
    """Returns the probability of the positive class for each image."""
    content: bytes
    """Content of the model's file."""
    ending: Literal["skops", "safetensors"]
    """Suffix of the model's file."""
    chosen: dict[str, Any] = field(default_factory=dict)
    """Settings selected on the training images: the best trial of a search, or the best epoch."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Trials of a search, or epochs of a training."""


@dataclass(frozen=True)
class Variant:
    """One row of a system's table: a classifier that is fitted on each fold, or an ensemble of other variants."""

    name: str
    role: Literal["main", "control", "part"]
    """``main``: what the paper proposes; ``control``: the same without it; ``part``: a component or an alternative that
    the paper also reports."""
    fit: Callable[["Training"], Model] | None = None
    """Fits the classifier to the training images of a fold; None for an ensemble."""
    members: tuple[str, ...] = ()
    """Variants that an ensemble combines within each fold, by (2.20)."""
    scheme: str = ""
    """Weighting scheme of an ensemble, one of `wen.ensemble.weights.SCHEMES`."""
    control: str = ""
    """Name of the control that it is compared with; by default the one with the highest validation accuracy."""


class System(Protocol):
    """Names that a module of `wen.systems.published` defines."""

    PAPER: tuple[str, ...]
    """Networks that the paper used or may have used, by their names in timm; any other network is a stand-in."""
    READS: dict[Depth, tuple[Kind, ...]]
    """Inputs that the system reads from each network, for each depth that it supports."""
    Settings: type[Settings]

    def variants(self, settings: Any) -> list[Variant]:
        """Return the variants, the main one first."""
        ...

    def seconds(self, settings: Any) -> float:
        """Return the time to fit all variants to 1,000 training images at depth ``frozen`` on one core, in s."""
        ...


def names() -> list[str]:
    """Return the names of all systems."""
    return sorted(module.name for module in pkgutil.iter_modules(published.__path__))


def find(name: str) -> System:
    """Return a system by its name in params.yaml; raise `WenError` if there is none of that name."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise WenError(f"params.yaml: systems: unknown system {name!r}{meant}; choose from {', '.join(names())}")
    return cast(System, importlib.import_module(f"{published.__name__}.{name}"))


def settings_of(params: Params, name: str) -> Any:
    """Validate a system's settings in params.yaml, and fill in its defaults.

    Raises
    ------
    WenError
        If a setting is invalid. The message has one line per problem, with its key.
    """
    if name not in params.systems:
        raise WenError(f"system {name}: not in this study; params.yaml has {', '.join(params.systems) or 'none'}")
    kind = find(name).Settings
    try:
        settings = kind.model_validate(params.systems[name])
    except ValidationError as error:
        known = list(kind.model_fields)
        lines = [f"params.yaml: systems.{name}.{sentence(problem, known)}" for problem in error.errors()]
        raise WenError("\n".join(lines)) from None
    if len(set(settings.networks)) < len(settings.networks):
        raise WenError(
            f"params.yaml: systems.{name}.networks: {settings.networks} lists a network twice; remove the second"
        )
    if settings.depth not in find(name).READS:
        raise WenError(
            f"params.yaml: systems.{name}.depth: {settings.depth} is not possible, because it trains no network; set "
            "frozen"
        )
    return settings if settings.networks else settings.model_copy(update={"networks": [params.backbone.name]})


def architecture(network: str) -> str:
    """Return a network's name without the tag of its weights, e.g. ``resnet50`` for ``resnet50.a1_in1k``."""
    return network.split(".")[0]


def changed(settings: Settings) -> list[str]:
    """Return the names of the settings that differ from the system's defaults, apart from depth and networks."""
    default = type(settings)()
    names = type(settings).model_fields.keys() - {"depth", "networks"}
    return sorted(name for name in names if getattr(settings, name) != getattr(default, name))


def stand_ins(system: System, settings: Settings) -> list[str]:
    """Return the networks in the settings that the paper did not use."""
    paper = set(map(architecture, system.PAPER))
    return [network for network in settings.networks if architecture(network) not in paper]
