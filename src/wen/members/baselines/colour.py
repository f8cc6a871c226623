"""Logistic regression on a cell's area and colour."""

from typing import TYPE_CHECKING, Any

import numpy as np

from wen.members.baseline import Batch, logistic_regression

if TYPE_CHECKING:
    import pandas as pd


def numbers(batch: Batch) -> np.ndarray:
    """Return the area (fraction of non-black pixels), and mean and standard deviation of R, G and B inside the cell."""
    return np.stack([_measured(image) for image in batch.images()])


def estimator(cells: "pd.DataFrame", seed: int) -> Any:
    return logistic_regression(1.0)


def _measured(image: np.ndarray) -> np.ndarray:
    inside = image.any(axis=-1)
    if not inside.any():
        return np.zeros(7)
    return np.array([inside.mean(), *image[inside].mean(axis=0), *image[inside].std(axis=0)])
