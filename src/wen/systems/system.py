"""What a published system is: a module of `wen.systems.published`, its settings in params.yaml, and its variants."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, cast

import numpy as np
from pydantic import Field, ValidationError

from wen.config.params import Params
from wen.config.read import sentence
from wen.config.types import Count, Fraction, Integer, NetworkName, Positive, Section
from wen.errors import WenError
from wen.systems import published

if TYPE_CHECKING:
    from wen.systems.fold import Cells, Training

Share = Annotated[float, Field(ge=0, le=1)]
Depth = Literal["frozen", "finetune"]
Balance = Literal["none", "weights", "oversample", "undersample"]
Optimiser = Literal["adam", "adamax", "rmsprop", "sgd"]
Rate = Annotated[float, Field(gt=0, le=1)]
Kind = Literal["pooled", "maps", "weights"]
"""What there is of a network: its pooled features, its last feature maps, and its weights, to be trained."""


class Settings(Section):
    """What params.yaml may set of any system; each has a class of its own with its defaults."""

    depth: Depth = "frozen"
    """On features that are computed once; or with the network trained, too, on random views of the images."""
    networks: list[NetworkName] = Field(default=[])
    """By timm's names; none is the study's own, ``backbone.name``."""


class Views(Section):
    """Random views of a training image at depth ``finetune``, fresh in each epoch; see `wen.network.views`."""

    horizontal_flip: Share = 0.5
    vertical_flip: Share = 0.5
    rotation: bool = False
    """By any angle."""
    brightness: Share = 0.2
    contrast: Share = 0.2


class Trained(Settings):
    """What params.yaml may set of a system that trains by gradient descent."""

    optimiser: Optimiser = "adam"
    lr: Rate = 1e-3
    frozen_lr: Rate | None = None
    """Instead of ``lr`` at depth ``frozen``: a rate for a whole network can be too low for a head alone."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_size: Annotated[Integer, Field(ge=2)] = 32
    epochs: Positive = 30
    patience: Positive | None = None
    """Epochs without a lower loss on the inner judging part before training stops; none trains them all, and on all."""
    plateau_patience: Count | None = None
    """Such epochs before the rate is multiplied by ``plateau_factor``."""
    plateau_factor: Fraction = 0.1
    balance: Balance = "none"
    """See `wen.systems.samplers`."""
    views: Views = Views()


@dataclass(frozen=True)
class Model:
    """A fitted classifier."""

    probability: Callable[["Cells"], np.ndarray]
    """Of the positive class, of each of some images."""
    content: bytes
    """Of its file."""
    ending: Literal["skops", "safetensors"]
    chosen: dict[str, Any] = field(default_factory=dict)
    """What the training images chose: the best trial of a search, the epoch that is kept."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The trials of a search, or the epochs of a training."""


@dataclass(frozen=True)
class Variant:
    """One row of a system's table: a classifier that is fitted on each fold, or a combination of others."""

    name: str
    role: Literal["main", "control", "part"]
    """What the paper proposes; the same without what it proposes; a part or an alternative that it also reports."""
    fit: Callable[["Training"], Model] | None = None
    """Fits it to the training images of a fold; None of a combination."""
    members: tuple[str, ...] = ()
    """The variants that a combination weights, fold by fold, by (2.20)."""
    scheme: str = ""
    """By which measure of the validation fold, one of `wen.ensemble.weights.SCHEMES`."""


class System(Protocol):
    """What a module of `wen.systems.published` holds."""

    PAPER: tuple[str, ...]
    """The networks that the paper may have used, by timm's names; any other is a stand-in."""
    READS: dict[Depth, tuple[Kind, ...]]
    """What it reads of each network, at each depth that it has."""
    Settings: type[Settings]

    def variants(self, settings: Any) -> list[Variant]:
        """Give its rows, the main one first."""
        ...

    def seconds(self, settings: Any) -> float:
        """Of one core for a fold of 1,000 training images, all variants, at depth ``frozen``; for the plan."""
        ...


def names() -> list[str]:
    """All systems that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(published.__path__))


def find(name: str) -> System:
    """Find a system by its name in params.yaml; a `WenError` names a near one and lists those that there are."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise WenError(f"params.yaml: systems: unknown system {name!r}{meant}; choose from {', '.join(names())}")
    return cast(System, importlib.import_module(f"{published.__name__}.{name}"))


def settings_of(params: Params, name: str) -> Any:
    """Check a system's settings in params.yaml, and fill in its defaults.

    Raises
    ------
    WenError
        With one line for each problem, naming the key.
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
    """A network's name without its weights': ``tf_efficientnet_b0`` of ``tf_efficientnet_b0.in1k``."""
    return network.split(".")[0]


def stand_ins(system: System, settings: Settings) -> list[str]:
    """The networks that are not of the paper."""
    paper = set(map(architecture, system.PAPER))
    return [network for network in settings.networks if architecture(network) not in paper]
