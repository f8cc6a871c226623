"""Combine members by a weighting scheme. Inter-LR and Intra-LR ensembles differ only in their members."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wen.ensemble import temperature, weights, wen
from wen.members.predictions import Predictions


@dataclass(frozen=True)
class Ensemble:
    """Result of one weighting scheme. The field names are suffixes of the keys in data/predictions/inter/LR.npz."""

    score: np.ndarray
    """M_k of each member, of shape (N,)."""
    weight: np.ndarray
    """w_k of each member, of shape (N,)."""
    temperature: np.ndarray
    """Temperature of each member, of shape (N,)."""
    probability: np.ndarray
    """P_final of each test image, of shape (n_images,)."""


def ensemble(members: Sequence[Predictions], scheme: str, calibration: str) -> Ensemble:
    """Score each member on its validation fold, and combine the members' test probabilities by (2.20) and (2.21).

    Parameters
    ----------
    members : sequence of N Predictions
    scheme : str
        Name of the weighting scheme, one of `wen.ensemble.weights.SCHEMES`.
    calibration : str
        ``none`` or ``temperature``. With ``temperature``, each member's probabilities are scaled before they are
        combined, by a temperature fitted on its validation fold. Scores always use the unscaled probabilities, so that
        the weights do not depend on calibration.
    """
    score_of = weights.scheme(scheme)
    score = np.array([score_of(m.validation_label, m.validation_probability) for m in members])
    weight = wen.normalised(score)
    scaled_by = temperatures(members) if calibration == "temperature" else np.ones(len(members))
    probability = combined(weight, scaled_by, np.stack([m.test_probability for m in members]))
    return Ensemble(score, weight, scaled_by, probability)


def temperatures(members: Sequence[Predictions]) -> np.ndarray:
    """Fit the temperature of each member on its validation fold."""
    return np.array([temperature.fit(m.validation_label, m.validation_probability) for m in members])


def combined(weight: np.ndarray, scaled_by: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Compute P_final (2.21) from the members' probabilities, each scaled by its temperature.

    Parameters
    ----------
    weight : ndarray of shape (N,)
    scaled_by : ndarray of shape (N,)
        Temperatures; a temperature of 1 leaves the probabilities unchanged, to the last digit.
    probabilities : ndarray of shape (N, n_images)

    Returns
    -------
    ndarray of shape (n_images,)
    """
    return wen.combine(weight, temperature.scale(probabilities, scaled_by[:, None]))
