"""How champions are chosen, and what of their scores is due to folds."""

from typing import Any

import numpy as np

from recomputed.source import THESIS, Source, chosen, mean_ranks


def champions(source: Source) -> dict[str, Any]:
    rows = {
        part: {rate: [model["rows"][part] for model in models] for rate, models in source.models.items()}
        for part in ("validation", "test")
    }
    folds = range(len(source.params.folds))
    validation = rows["validation"]
    rows["centred"] = {
        rate: [
            {
                key: round(of_rate[k][key] - np.mean([other[k][key] for other in validation.values()]), 12)
                for key in THESIS
            }
            for k in folds
        ]
        for rate, of_rate in validation.items()
    }
    models = []
    for rate in source.rates:
        for k in folds:
            model: dict[str, Any] = {"lr": rate, "fold": source.params.folds[k]}
            for part, of_part in rows.items():
                ranks, mean = mean_ranks(of_part[rate])
                model[part] = {key: of_part[rate][k][key] for key in THESIS} | {
                    "ranks": {key: ranks[key][k] for key in THESIS}, "mean_rank": mean[k],
                    "champion": k == chosen(of_part[rate]),
                }  # fmt: skip
            models.append(model)
    accuracy = np.array([[measured["accuracy"] for measured in of_rate] for of_rate in validation.values()])
    total = ((accuracy - accuracy.mean()) ** 2).sum()
    between = sum(len(accuracy) * (column.mean() - accuracy.mean()) ** 2 for column in accuracy.T)
    return {
        "models": models,
        "moved": [rate for rate in source.rates if chosen(validation[rate]) != chosen(rows["centred"][rate])],
        "fold_share": between / total, "chance": (len(folds) - 1) / (accuracy.size - 1),
    }  # fmt: skip
