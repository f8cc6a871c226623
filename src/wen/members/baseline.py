"""What a classical member is: the numbers that it learns from, and a scikit-learn classifier that learns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd  # not when it runs: `wen code`, which every `dvc repro` starts with, looks up names here


@dataclass(frozen=True)
class Batch:
    """A few images, as a baseline may look at them; nothing is read or computed that it does not ask for."""

    images: Callable[[], np.ndarray]
    """As they enter the network: uint8, of shape (n, size, size, 3)."""
    pooled: Callable[[], np.ndarray]
    """The frozen network's pooled features: float32, of shape (n, channels)."""


class Baseline(Protocol):
    """What a module of `wen.members.baselines` holds."""

    def numbers(self, batch: Batch) -> np.ndarray:
        """Give each image's numbers, of shape (n, k), which depend on that image alone."""
        ...

    def estimator(self, cells: "pd.DataFrame", seed: int) -> Any:
        """Make an unfitted scikit-learn classifier that has ``predict_proba``.

        Parameters
        ----------
        cells : DataFrame
            The training images' rows of data/index.csv, for what groups or searches inside them.
        seed : int
            For what it draws.
        """
        ...


def logistic_regression(strength: float) -> Any:
    """Standardise, then regress with each class of equal weight; the larger ``strength``, C, the weaker the penalty."""
    from sklearn.linear_model import LogisticRegression  # to import it takes a second, which `wen check` does not need
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=10_000))
