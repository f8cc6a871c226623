"""Temperature scaling: a model's logits divided by one number, fitted on validation data (Guo et al. 2017)."""

import numpy as np
from scipy.special import logit

LOWEST, HIGHEST = 0.05, 20.0
CLIP = float(np.finfo(np.float64).eps)


def fit(label: np.ndarray, probability: np.ndarray) -> float:
    """Find the temperature with the lowest log loss.

    Parameters
    ----------
    label : ndarray of shape (n,)
        0 (negative) or 1 (positive), of images that the model has not learned from.
    probability : ndarray of shape (n,)
        Kept `CLIP` away from 0 and 1, as in `wen.evaluation.calibration`.

    Returns
    -------
    float
        In [`LOWEST`, `HIGHEST`]; the lowest if every decision is right, and 1 if every probability is 0.5, of which no
        temperature makes another.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and only needed here

    score = logit(np.clip(probability, CLIP, 1 - CLIP))
    if not score.any():
        return 1.0
    against = np.where(np.asarray(label) == 1, -score, score)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, against / np.exp(log_temperature)).mean())

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    best = min((*bounds, float(found.x)), key=loss)  # the search stops short of its bounds
    return float(np.exp(best).clip(LOWEST, HIGHEST))


def scale(probability: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """Divide the logits of probabilities by a temperature.

    Equal to ``expit(logit(probability) / temperature)``, but without a logarithm of 0; a temperature of 1 returns the
    probabilities as they are, to the last digit.

    Parameters
    ----------
    probability : ndarray
    temperature : float or ndarray that broadcasts with it
        In [`LOWEST`, `HIGHEST`].
    """
    positive = np.asarray(probability) ** (1 / temperature)
    scaled: np.ndarray = positive / (positive + (1 - np.asarray(probability)) ** (1 / temperature))
    return scaled
