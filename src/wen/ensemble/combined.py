"""An ensemble: members and a weighting scheme. Inter-LR and Intra-LR differ only in their members."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wen.ensemble import temperature, weights, wen
from wen.members.predictions import Predictions


@dataclass(frozen=True)
class Ensemble:
    """Members weighted by one scheme: their scores M_k, weights w_k, temperatures, and P_final on the test set."""

    score: np.ndarray
    weight: np.ndarray
    temperature: np.ndarray
    probability: np.ndarray


def ensemble(members: Sequence[Predictions], scheme: str, calibration: str) -> Ensemble:
    """Combine members by (2.20) and (2.21), each scored on its validation fold.

    Parameters
    ----------
    members : sequence of N Predictions
    scheme : str
    calibration : str
        ``none``, or ``temperature``: each member's probabilities are scaled before they are combined, by a temperature
        that is fitted on its validation fold. Scores are those of the probabilities as they are, so that no weight
        depends on it.
    """
    measure = weights.scheme(scheme)
    score = np.array([measure(m.validation_label, m.validation_probability) for m in members])
    weight = wen.normalised(score)
    scaled_by = temperatures(members) if calibration == "temperature" else np.ones(len(members))
    probability = combined(weight, scaled_by, np.stack([m.test_probability for m in members]))
    return Ensemble(score, weight, scaled_by, probability)


def temperatures(members: Sequence[Predictions]) -> np.ndarray:
    """Fit the temperature of each member on its validation fold."""
    return np.array([temperature.fit(m.validation_label, m.validation_probability) for m in members])


def combined(weight: np.ndarray, scaled_by: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Give P_final (2.21) of n images from N members' probabilities, of shape (N, n), each scaled by its temperature.

    Temperatures of 1 change nothing, to the last digit.
    """
    return wen.combine(weight, temperature.scale(probabilities, scaled_by[:, None]))
