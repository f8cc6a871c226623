"""Interface of a baseline: features of an image, and a scikit-learn classifier that is fitted to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd  # for annotations only: `wen code`, which every `dvc repro` runs first, imports this module


@dataclass(frozen=True)
class Batch:
    """A few images for a baseline. Images and features are read or computed only when called for."""

    images: Callable[[], np.ndarray]
    """Returns the cropped and resized images: uint8, of shape (n, size, size, 3)."""
    pooled: Callable[[], np.ndarray]
    """Returns the frozen network's pooled features: float32, of shape (n, channels)."""


class Baseline(Protocol):
    """Functions that a module of `wen.members.baselines` defines."""

    def numbers(self, batch: Batch) -> np.ndarray:
        """Return the features of each image, of shape (n, k). A row may depend on its own image only."""
        ...

    def estimator(self, cells: "pd.DataFrame", seed: int) -> Any:
        """Return an unfitted scikit-learn classifier that has ``predict_proba``.

        Parameters
        ----------
        cells : DataFrame
            The training images' rows of data/index.csv, for example to group an inner cross-validation by subject.
        seed : int
            Seed of the estimator.
        """
        ...


def logistic_regression(strength: float) -> Any:
    """Return standardisation followed by a class-balanced logistic regression with C = ``strength``."""
    from sklearn.linear_model import LogisticRegression  # slow to import, and not needed by `wen check`
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=10_000))
