"""Ahmed et al. 2023: fused features of three networks, principal components, and a random forest or gradient boosting.

The active contour that segments the cell is omitted, because C-NMC images show single cells. The numbers of principal
components and of trees are unknown.
"""

import importlib.util
from functools import partial
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
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
    variance: Fraction = 0.95  # fraction of variance that the principal components explain
    trees: Positive = 500
    boosting: Literal["sklearn", "xgboost"] = "sklearn"

    @field_validator("boosting")
    @classmethod
    def _is_installed(cls, value: str) -> str:
        if importlib.util.find_spec(value) is None:
            raise ValueError(
                f"{value} is not installed; pip install -c constraints.txt -e '.[{value}]', or write sklearn"
            )
        return value


def variants(settings: Settings) -> list[Variant]:
    """Return both classifiers on each subset of the networks, the full set first; the control is a regression."""
    networks = settings.networks
    subsets = chain.from_iterable(combinations(networks, size) for size in range(len(networks), 0, -1))
    rows = [
        Variant(f"{kind}-{'+'.join(subset)}", "part", partial(fit_projected, settings, kind, list(subset)))
        for subset in subsets
        for kind in ("forest", "boosting")
    ]
    main = Variant(rows[0].name, "main", rows[0].fit)
    return [main, *rows[1:], Variant("regression", "control", partial(fit_regression, networks))]


def seconds(settings: Settings) -> float:
    return 12.0 * (2 ** len(settings.networks) - 1)  # half of it for boosting


def fit_projected(settings: Settings, kind: str, networks: list[str], training: "Training") -> Model:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from wen.systems.classical import fit

    seed = training.seed(what=kind)
    classifier = _forest(settings, seed) if kind == "forest" else _boosting(settings, seed, training.label)
    return fit(make_pipeline(StandardScaler(), PCA(settings.variance), classifier), networks, training)


def _forest(settings: Settings, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(settings.trees, class_weight="balanced_subsample", random_state=seed)


def _boosting(settings: Settings, seed: int, label: np.ndarray) -> Any:
    """Return gradient boosting with classes weighted equally; ``label`` is of the training images."""
    if settings.boosting == "xgboost":
        from xgboost import XGBClassifier

        negative, positive = np.bincount(label).tolist()
        return XGBClassifier(scale_pos_weight=negative / positive, random_state=seed, n_jobs=1)
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Early stopping would split the cells of a subject at random.
    return HistGradientBoostingClassifier(class_weight="balanced", early_stopping=False, random_state=seed)


def fit_regression(networks: list[str], training: "Training") -> Model:
    from wen.members.baseline import logistic_regression
    from wen.systems.classical import fit

    return fit(logistic_regression(0.01), networks, training)
