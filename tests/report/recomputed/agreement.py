"""How alike the members of an ensemble decide."""

from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from recomputed.source import Source, single_id


def agreement(source: Source) -> list[dict[str, Any]]:
    found = []
    for classifier in source.classifiers.values():
        if classifier.about.get("scheme") != source.params.weighting:
            continue
        singles = [source.classifiers[single_id(model)] for model in classifier.members]
        pairs = list(combinations(singles, 2))
        accuracy = [source.row(one)["accuracy"] for one in singles]
        qs = [yule(source.right(one), source.right(other)) for one, other in pairs]
        of_ensemble = source.row(classifier)["accuracy"]
        found.append(
            {
                "id": classifier.id,
                "kappa": np.mean([cohen_kappa_score(a.probability >= 0.5, b.probability >= 0.5) for a, b in pairs]),
                "q": np.nanmean(qs), "gain_over_mean": of_ensemble - np.mean(accuracy),
                "gain_over_best": of_ensemble - max(accuracy),
            }
        )  # fmt: skip
    return found


def yule(one: np.ndarray, other: np.ndarray) -> float:
    table = np.array([[((one == a) & (other == b)).sum() for b in (0, 1)] for a in (0, 1)])
    same, apart = table[0, 0] * table[1, 1], table[0, 1] * table[1, 0]
    return float((same - apart) / (same + apart)) if same + apart else np.nan
