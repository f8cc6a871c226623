"""Published systems whose models were not trained but made up, with the variants that they have."""

from collections.abc import Callable

import numpy as np

from wen.config.member import SYSTEM, Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import write_json
from wen.members.predictions import load
from wen.systems.stage import FittedVariant, summary
from wen.systems.system import Trained, Variant, find, settings_of

SEARCHES = ("search", "genetic", "random", "bayesian")
TRIALS = 6


def write(params: Params, paths: Paths, predict: Callable[[Member], None]) -> None:
    """Write data/predictions/system/; a system is skipped of whose networks one is not in ``pretrained``."""
    for name in params.systems:
        settings, system = settings_of(params, name), find(name)
        known = (*params.pretrained, params.backbone.name)
        missing = {network: "no weights" for network in settings.networks if network not in known}
        fitted = [] if missing else [_fitted(params, paths, name, one, predict) for one in system.variants(settings)]
        paths.system(name).parent.mkdir(parents=True, exist_ok=True)
        computed = "CPU, float32" if fitted and isinstance(settings, Trained) else ""
        write_json(paths.system(name), summary(system, settings, missing, computed, fitted))


def _fitted(
    params: Params, paths: Paths, name: str, variant: Variant, predict: Callable[[Member], None]
) -> FittedVariant:
    members = params.members(f"{SYSTEM}{name}/{variant.name}")
    for member in members:
        predict(member)
    about = [{"fold": member.fold, "chosen": {}, "history": _history(variant, member.fold)} for member in members]
    return FittedVariant(variant, load(paths, members), about, {})


def _history(variant: Variant, fold: int) -> list[dict[str, float]]:
    scores = np.random.default_rng(fold).uniform(0.6, 0.8, TRIALS).tolist()
    if variant.name in SEARCHES:
        return [{"trial": trial, "score": score, "lr": 0.1} for trial, score in enumerate(scores, 1)]
    return [{"loss": score, "judged": score, "lr": 0.1} for score in scores]
