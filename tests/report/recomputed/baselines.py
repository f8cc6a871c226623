"""What the classifier in focus gains over classifiers without a trained network."""

from typing import Any

import numpy as np

from recomputed.source import Source, row
from recomputed.tests_of_pairs import area_of, difference, two


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
        measured, right = row(source.label, probability), ((probability >= 0.5) == source.label).astype(int)
        hits = source.right(focus)
        of_accuracy = two(source, hits, right)
        of_area = area_of(source, focus.probability, probability)
        of_area = {key: of_area[key] for key in ("test", "p", "difference", "low", "high")}
        if len(set(probability)) == 1:
            of_area |= {"low": max(-0.5, of_area["low"]), "high": min(0.5, of_area["high"])}
        found.append(
            {
                "id": id, "accuracy": measured["accuracy"], "auc": measured["auc"],
                **{
                    kind: None if id == "majority" else {key: averages[id][kind][key] for key in ("accuracy", "auc")}
                    for kind in ("mean", "std")
                },
                "gain": {
                    "accuracy": {"test": of_accuracy["test"], "p": of_accuracy["p"]} | difference(source, hits, right),
                    "auc": of_area if has_area(source) else None,
                },
            }
        )  # fmt: skip
    for one in found:
        for gain in one["gain"].values():
            if gain:
                gain["p_adjusted"] = min(1.0, len(found) * gain["p"])
        one["verdict"] = verdict(one["gain"])
    best_single = source.best_single("leak_free")
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
