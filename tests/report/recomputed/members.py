"""Champions, agreement of members, baselines, and other splits."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from recomputed.source import THESIS, Classifier, Source, chosen, mean_ranks, row, single_id
from recomputed.tests_of_pairs import area_of, difference, two

SPLITS = ("subject", "image_without_copies", "image")


def champions(source: Source) -> dict[str, Any]:
    rows = {
        part: {rate: [model["rows"][part] for model in models] for rate, models in source.models.items()}
        for part in ("validation", "test")
    }
    folds = range(len(source.params.folds))
    validation = rows["validation"]
    rows["centred"] = {
        rate: [
            {key: round(of_rate[k][key] - np.mean([own[k][key] for own in validation.values()]), 12) for key in THESIS}
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
    accuracy = np.array([[own["accuracy"] for own in of_rate] for of_rate in validation.values()])
    total = ((accuracy - accuracy.mean()) ** 2).sum()
    between = sum(len(accuracy) * (column.mean() - accuracy.mean()) ** 2 for column in accuracy.T)
    return {
        "models": models,
        "moved": [rate for rate in source.rates if chosen(validation[rate]) != chosen(rows["centred"][rate])],
        "fold_share": between / total, "chance": (len(folds) - 1) / (accuracy.size - 1),
    }  # fmt: skip


def agreement(source: Source) -> list[dict[str, Any]]:
    found = []
    for own in source.classifiers.values():
        if own.about.get("scheme") != source.params.weighting:
            continue
        singles = [source.classifiers[single_id(model)] for model in own.members]
        pairs = list(combinations(singles, 2))
        accuracy = [source.row(one)["accuracy"] for one in singles]
        qs = [yule(source.right(one), source.right(other)) for one, other in pairs]
        mine = source.row(own)["accuracy"]
        found.append(
            {
                "id": own.id,
                "kappa": np.mean([cohen_kappa_score(a.probability >= 0.5, b.probability >= 0.5) for a, b in pairs]),
                "q": np.nanmean(qs), "gain_over_mean": mine - np.mean(accuracy),
                "gain_over_best": mine - max(accuracy),
            }
        )  # fmt: skip
    return found


def yule(one: np.ndarray, other: np.ndarray) -> float:
    table = np.array([[((one == a) & (other == b)).sum() for b in (0, 1)] for a in (0, 1)])
    same, apart = table[0, 0] * table[1, 1], table[0, 1] * table[1, 0]
    return float((same - apart) / (same + apart)) if same + apart else np.nan


def baselines(source: Source) -> dict[str, Any]:
    focus, averages = source.focus, source.averages()
    development = np.concatenate([model["validation_label"] for model in source.models[source.rates[0]]])
    share = float(development.mean())
    found: list[dict[str, Any]] = []
    candidates = [("majority", np.full(len(source.label), share))]
    candidates += [
        (recipe, np.mean([model["test_probability"] for model in models], axis=0))
        for recipe, models in source.baselines.items()
    ]
    for id, probability in candidates:
        own, right = row(source.label, probability), ((probability >= 0.5) == source.label).astype(int)
        mine = source.right(focus)
        of_accuracy = two(source, mine, right)
        of_area = area_of(source, focus.probability, probability)
        of_area = {key: of_area[key] for key in ("test", "p", "difference", "low", "high")}
        found.append(
            {
                "id": id, "accuracy": own["accuracy"], "auc": own["auc"],
                **{
                    kind: None if id == "majority" else {key: averages[id][kind][key] for key in ("accuracy", "auc")}
                    for kind in ("mean", "std")
                },
                "gain": {
                    "accuracy": {"test": of_accuracy["test"], "p": of_accuracy["p"]} | difference(source, mine, right),
                    "auc": of_area if has_area(source) else None,
                },
            }
        )  # fmt: skip
    for one in found:
        for gain in one["gain"].values():
            if gain:
                gain["p_adjusted"] = min(1.0, len(found) * gain["p"])
        one["verdict"] = verdict(one["gain"])
    best_single = source.best_single(source.params.reading)
    names = [
        best_single.id, f"inter {best_single.members[0]['recipe']} {source.params.weighting}",
        f"intra {source.params.reading} {source.params.weighting}", focus.id,
    ]  # fmt: skip
    return {
        "headline": focus.id, "networks": list(dict.fromkeys(names)),
        "majority": {"label": int(share >= 0.5), "share": max(share, 1 - share)}, "baselines": found,
        "best": max(found, key=lambda one: (one["accuracy"], one["auc"]))["id"],
    }  # fmt: skip


def has_area(source: Source) -> bool:
    return all(len(set(source.unit[source.label == kind])) > 1 for kind in (0, 1))


def verdict(gain: dict[str, Any]) -> str:
    if gain["accuracy"]["p_adjusted"] < 0.05:
        return "adds" if gain["accuracy"]["difference"] > 0 else "worse"
    return "no_accuracy" if gain["auc"] and gain["auc"]["p_adjusted"] < 0.05 else "nothing"


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
        rate = rows[rows.classifier == f"best_single {params.reading}"].set_index("repeat").lr
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


ORDER = ("single", "inter", "uniform", "intra")


def classifiers(source: Source) -> dict[str, str]:
    params = source.params
    return {
        "single": f"best_single {params.reading}", "intra": f"intra {params.reading} {params.weighting}",
        **{recipe: f"average {recipe}" for recipe in source.recipes}, "majority": "majority",
    }  # fmt: skip


def in_study(source: Source) -> dict[str, float]:
    params, best = source.params, source.best_single(source.params.reading)
    rate = best.members[0]["recipe"]
    own: dict[str, Classifier] = {
        "single": best, "intra": source.classifiers[f"intra {params.reading} {params.weighting}"],
        "inter": source.classifiers[f"inter {rate} {params.weighting}"],
        "uniform": source.classifiers[f"inter {rate} uniform"],
    }  # fmt: skip
    averages = source.averages()
    development = np.concatenate([model["validation_label"] for model in source.models[str(rate)]])
    return {
        **{name: source.row(one)["accuracy"] for name, one in own.items()},
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
