"""Ahmed et al. 2023: fused features of three networks, principal components, and a random forest or gradient boosting.

The active contour that finds the cell is left out: C-NMC's images are of single cells. Size of the projection and
number of trees are not known.
"""

import importlib.util
from functools import partial
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from wen.config.types import Fraction, NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = ("densenet121", "resnet50", "mobilenetv1_100")
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",)}


class Settings(system.Settings):
    networks: list[NetworkName] = Field(default=list(PAPER))
    variance: Fraction = 0.95  # that the principal components keep
    trees: Positive = 500
    boosting: Literal["sklearn", "xgboost"] = "sklearn"

    @field_validator("boosting")
    @classmethod
    def _is_here(cls, value: str) -> str:
        if importlib.util.find_spec(value) is None:
            raise ValueError(f"{value} is not installed; pip install 'wen[{value}]', or write sklearn")
        return value


def variants(settings: Settings) -> list[Variant]:
    """Give both classifiers on each choice of networks, all of them first; as control, logistic regression on all."""
    every = settings.networks
    choices = chain.from_iterable(combinations(every, size) for size in range(len(every), 0, -1))
    rows = [
        Variant(f"{kind}-{'+'.join(names)}", "part", partial(projected, settings, kind, list(names)))
        for names in choices
        for kind in ("forest", "boosting")
    ]
    main = Variant(rows[0].name, "main", rows[0].fit)
    return [main, *rows[1:], Variant("regression", "control", partial(regression, every))]


def seconds(settings: Settings) -> float:
    return 12.0 * (2 ** len(settings.networks) - 1)  # half of it for boosting


def projected(settings: Settings, kind: str, networks: list[str], training: "Training") -> Model:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from wen.systems.classical import fit

    seed = training.seed(what=kind)
    classifier = _forest(settings, seed) if kind == "forest" else _boosting(settings, seed)
    return fit(make_pipeline(StandardScaler(), PCA(settings.variance), classifier), networks, training)


def _forest(settings: Settings, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(settings.trees, class_weight="balanced_subsample", random_state=seed)


def _boosting(settings: Settings, seed: int) -> Any:
    if settings.boosting == "xgboost":
        from xgboost import XGBClassifier

        return XGBClassifier(random_state=seed, n_jobs=1)
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Its early stopping would divide a person's cells at random.
    return HistGradientBoostingClassifier(class_weight="balanced", early_stopping=False, random_state=seed)


def regression(networks: list[str], training: "Training") -> Model:
    from wen.members.baseline import logistic_regression
    from wen.systems.classical import fit

    return fit(logistic_regression(0.01), networks, training)
