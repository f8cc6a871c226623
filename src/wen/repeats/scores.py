"""Every classifier of the study on one split, and its measures on that split's test set."""

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


def scored(
    networks: Models, classical: Models, majority: int, person: np.ndarray, calibration: str
) -> list[dict[str, Any]]:
    """Measure single models, ensembles, baselines and the majority class.

    Every known scheme is used, so that other ``schemes`` in params.yaml compute nothing anew.

    Parameters
    ----------
    networks, classical : mapping of str to sequence of Predictions
        By recipe: the fold models of each learning rate, and of each baseline.
    majority : int
        The class, 0 or 1, that the majority classifier calls every image.
    person : ndarray of shape (n,)
        Whose cell each test image is.
    calibration : str
        Of ensembles; see `wen.ensemble.combined.ensemble`.

    Returns
    -------
    list of dict
        ``classifier``, ``lr`` and `MEASURES`, as in data/repeats.csv.
    """
    label = next(iter(networks.values()))[0].test_label

    def row(classifier: str, probability: np.ndarray, lr: str = "") -> dict[str, Any]:
        return {"classifier": classifier, "lr": lr, **_measures(label, probability, person)}

    rows = [_average(recipe, members, person) for recipe, members in {**networks, **classical}.items()]
    with warnings.catch_warnings():
        # Equal weights where no member has a positive kappa: one in very many splits is no news.
        warnings.filterwarnings("ignore", "no member has a positive score")
        for recipe, members in networks.items():
            for scheme in SCHEMES:
                rows.append(row(f"inter {recipe} {scheme}", ensemble(members, scheme, calibration).probability, recipe))
        for reading, best, of_rates in _chosen(networks):
            rows.append(row(f"best_single {reading}", best.test_probability, best.member.recipe))
            for scheme in SCHEMES:
                rows.append(row(f"intra {reading} {scheme}", ensemble(of_rates, scheme, calibration).probability))
    return [*rows, row("majority", np.full(len(label), float(majority)))]


def _chosen(networks: Models) -> Iterator[tuple[str, Predictions, list[Predictions]]]:
    """For each reading, the best single model and the champions among which it was chosen."""
    for reading, judge in JUDGED_ON.items():
        of_rates = champions(list(networks.values()), reading)
        yield reading, of_rates[champion([judge(member) for member in of_rates])], of_rates


def _average(recipe: str, members: Sequence[Predictions], person: np.ndarray) -> dict[str, Any]:
    """Mean measures of one recipe's fold models."""
    rows = pd.DataFrame([_measures(member.test_label, member.test_probability, person) for member in members])
    lr = "" if members[0].member.baseline else recipe
    return {"classifier": f"average {recipe}", "lr": lr, **dict(zip(MEASURES, rows.mean().tolist(), strict=True))}


def _measures(label: np.ndarray, probability: np.ndarray, person: np.ndarray) -> dict[str, float]:
    _, of = np.unique(person, return_inverse=True)
    by_person = np.bincount(of, decide(probability) == label) / np.bincount(of)
    found = evaluate(label, probability) | {"person_accuracy": float(by_person.mean())}
    return {name: found[name] for name in MEASURES}
