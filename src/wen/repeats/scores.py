"""Score every classifier of the study on the test set of one split."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wen.ensemble.combined import ensemble
from wen.ensemble.intra import JUDGED_ON, champions
from wen.ensemble.selection import champion
from wen.ensemble.weights import SCHEMES
from wen.evaluation.metrics import decide, evaluate
from wen.members.predictions import Predictions
from wen.repeats.table import MEASURES

Models = Mapping[str, Sequence[Predictions]]
"""Fold models by recipe."""


def score(
    networks: Models, baselines: Models, majority: int, person: np.ndarray | None, calibration: str
) -> list[dict[str, Any]]:
    """Compute the metrics of single models, ensembles, baselines and the majority classifier.

    All known schemes are used, so that a change of ``schemes`` in params.yaml does not rerun the stage.

    Parameters
    ----------
    networks, baselines : mapping of str to sequence of Predictions
        Fold models of each learning rate and of each baseline, by recipe.
    majority : int
        The class, 0 or 1, that the majority classifier predicts for every image.
    person : ndarray of shape (n,), optional
        Subject of each test image; None if the subjects are unknown.
    calibration : str
        Calibration of the ensembles; see `wen.ensemble.combined.ensemble`.

    Returns
    -------
    list of dict
        ``classifier``, ``lr`` and `MEASURES`, as in data/repeats.csv.
    """
    label = next(iter(networks.values()))[0].test_label

    def row(classifier: str, probability: np.ndarray, lr: str = "") -> dict[str, Any]:
        return {"classifier": classifier, "lr": lr, **_measures(label, probability, person)}

    rows = [_mean_row(recipe, members, person) for recipe, members in {**networks, **baselines}.items()]
    with warnings.catch_warnings():
        # Weights fall back to equal if no member has a positive kappa, which happens now and then in many splits.
        warnings.filterwarnings("ignore", "no member has a positive score")
        for recipe, members in networks.items():
            for scheme in SCHEMES:
                rows.append(row(f"inter {recipe} {scheme}", ensemble(members, scheme, calibration).probability, recipe))
        for reading, best, of_rates in _champions_by_reading(networks):
            rows.append(row(f"best_single {reading}", best.test_probability, best.member.recipe))
            for scheme in SCHEMES:
                rows.append(row(f"intra {reading} {scheme}", ensemble(of_rates, scheme, calibration).probability))
    return [*rows, row("majority", np.full(len(label), float(majority)))]


def _champions_by_reading(networks: Models) -> Iterator[tuple[str, Predictions, list[Predictions]]]:
    """Yield each reading with the best single model and the champions of the learning rates, among which it is."""
    for reading, metrics_of in JUDGED_ON.items():
        of_rates = champions(list(networks.values()), reading)
        yield reading, of_rates[champion([metrics_of(member) for member in of_rates])], of_rates


def _mean_row(recipe: str, members: Sequence[Predictions], person: np.ndarray | None) -> dict[str, Any]:
    """Return the mean metrics of one recipe's fold models."""
    rows = pd.DataFrame([_measures(member.test_label, member.test_probability, person) for member in members])
    lr = "" if members[0].member.baseline else recipe
    return {"classifier": f"average {recipe}", "lr": lr, **dict(zip(MEASURES, rows.mean().tolist(), strict=True))}


def _measures(label: np.ndarray, probability: np.ndarray, person: np.ndarray | None) -> dict[str, float]:
    metrics = evaluate(label, probability) | {"person_accuracy": _person_accuracy(label, probability, person)}
    return {name: metrics[name] for name in MEASURES}


def _person_accuracy(label: np.ndarray, probability: np.ndarray, person: np.ndarray | None) -> float:
    if person is None:
        return math.nan
    _, index = np.unique(person, return_inverse=True)
    return float((np.bincount(index, decide(probability) == label) / np.bincount(index)).mean())
