"""An ensemble: members and a weighting scheme. Inter-LR and Intra-LR differ only in their members."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wen.ensemble import weights, wen
from wen.members.predictions import Predictions


@dataclass(frozen=True)
class Ensemble:
    """Members weighted by one scheme: their scores M_k, weights w_k, and P_final on the test set."""

    score: np.ndarray
    weight: np.ndarray
    probability: np.ndarray


def ensemble(members: Sequence[Predictions], scheme: str) -> Ensemble:
    """Combine members by (2.20) and (2.21), each scored on its validation fold."""
    measure = weights.scheme(scheme)
    score = np.array([measure(m.validation_label, m.validation_probability) for m in members])
    weight = wen.normalised(score)
    probability = wen.combine(weight, np.stack([m.test_probability for m in members]))
    return Ensemble(score, weight, probability)
