"""Temperature scaling: divide a model's logits by a number fitted on validation data (Guo et al. 2017)."""

import numpy as np
from scipy.special import logit

from wen.evaluation.metrics import CLIP

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of the temperature."""


def fit(label: np.ndarray, probability: np.ndarray) -> float:
    """Find the temperature with the lowest log loss.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive), of images that the model was not trained on.
    probability : ndarray of shape (n,)
        Clipped to [CLIP, 1 - CLIP]; see `wen.evaluation.metrics.CLIP`.

    Returns
    -------
    float
        In [`LOWEST`, `HIGHEST`]. `LOWEST` if every decision is correct, and 1 if every probability is 0.5, because
        the loss then does not depend on the temperature.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and only needed here

    score = logit(np.clip(probability, CLIP, 1 - CLIP))
    if not score.any():
        return 1.0
    wrong_class_logit = np.where(np.asarray(label) == 1, -score, score)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, wrong_class_logit / np.exp(log_temperature)).mean())

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    best = min((*bounds, float(found.x)), key=loss)  # the search does not evaluate its bounds
    return float(np.exp(best).clip(LOWEST, HIGHEST))


def scale(probability: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """Divide the logits of probabilities by a temperature.

    Equals ``expit(logit(probability) / temperature)`` of probabilities that are clipped as in `fit`: the logit of a
    probability that was rounded to 1 is not known, and would stay infinite. A temperature of 1 leaves the probabilities
    unchanged, to the last digit.

    Parameters
    ----------
    probability : ndarray
    temperature : float or ndarray that broadcasts with it
        In [`LOWEST`, `HIGHEST`].
    """
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    positive = clipped ** (1 / temperature)
    scaled = positive / (positive + (1 - clipped) ** (1 / temperature))
    return np.where(np.equal(temperature, 1), probability, scaled)
