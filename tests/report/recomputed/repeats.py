"""The same classifiers on other splits."""

from typing import Any

import numpy as np
import pandas as pd

from recomputed.source import Classifier, Source

SPLITS = ("subject", "image_without_copies", "image")
ORDER = ("single", "inter", "uniform", "intra")


def repeats(source: Source) -> dict[str, Any]:
    table = pd.read_csv(source.root / "data/repeats.csv", dtype={"lr": str}, keep_default_na=False)
    params, ways = source.params, []
    for split in SPLITS:
        rows = table[table.split == split]
        if rows.empty:
            continue
        accuracies = {
            name: rows[rows.classifier == id].set_index("repeat").accuracy for name, id in classifiers(source).items()
        }
        rate = rows[rows.classifier == "best_single leak_free"].set_index("repeat").lr
        for name, scheme in (("inter", params.weighting), ("uniform", "uniform")):
            accuracies[name] = pd.Series(
                {
                    k: rows[(rows.repeat == k) & (rows.classifier == f"inter {rate[k]} {scheme}")].accuracy.item()
                    for k in rate.index
                }
            )
        order = [name for name in ORDER if name in accuracies] + [*source.recipes, "majority"]
        ways.append(
            {
                "split": split, "splits": rows.repeat.nunique(),
                "asked": params.repeats.subject if split == "subject" else params.repeats.image,
                "classifiers": [
                    summary(name, accuracies, in_study(source) if split == params.split.unit else {}) for name in order
                ],
            }
        )  # fmt: skip
    means = {way["split"]: one["mean"] for way in ways for one in way["classifiers"] if one["name"] == "inter"}
    leaks = None
    if len(means) == 3:
        leaks = {
            "copies": means["image"] - means["image_without_copies"],
            "people": means["image_without_copies"] - means["subject"],
        }
    return {"ways": ways, "leaks": leaks}


def classifiers(source: Source) -> dict[str, str]:
    params = source.params
    return {
        "single": "best_single leak_free", "intra": f"intra {params.reading} {params.weighting}",
        **{recipe: f"average {recipe}" for recipe in source.recipes}, "majority": "majority",
    }  # fmt: skip


def in_study(source: Source) -> dict[str, float]:
    params, best = source.params, source.best_single("leak_free")
    rate = best.members[0]["recipe"]
    by_role: dict[str, Classifier] = {
        "single": best, "intra": source.classifiers[f"intra {params.reading} {params.weighting}"],
        "inter": source.classifiers[f"inter {rate} {params.weighting}"],
        "uniform": source.classifiers[f"inter {rate} uniform"],
    }  # fmt: skip
    averages = source.averages()
    development = np.concatenate([model["validation_label"] for model in source.models[str(rate)]])
    return {
        **{name: source.row(one)["accuracy"] for name, one in by_role.items()},
        **{recipe: averages[recipe]["mean"]["accuracy"] for recipe in source.recipes},
        "majority": float((source.label == (development.mean() >= 0.5)).mean()),
    }


def summary(name: str, accuracies: dict[str, pd.Series], of_study: dict[str, float]) -> dict[str, Any]:
    values = accuracies[name]
    gain = None if name == "single" else values - accuracies["single"]
    return {
        "name": name, "accuracies": values.tolist(), "mean": values.mean(), "least": values.min(),
        "low": values.quantile(0.05), "median": values.median(), "high": values.quantile(0.95), "most": values.max(),
        "study": of_study.get(name), "difference": None if gain is None else gain.mean(),
        "better": None if gain is None else float((gain > 0).mean()),
    }  # fmt: skip
