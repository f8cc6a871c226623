"""All of metrics/evidence.json, and the counts of metrics/dataset.json and split.json, from the files they are of."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from recomputed.agreement import agreement
from recomputed.baselines import baselines
from recomputed.calibration import calibration
from recomputed.champions import champions
from recomputed.decisions import decisions
from recomputed.hypotheses import Hypotheses
from recomputed.intervals import intervals
from recomputed.maps import maps
from recomputed.people import people
from recomputed.readings import readings
from recomputed.repeats import repeats
from recomputed.simulated import coverage
from recomputed.source import Source


def evidence(source: Source) -> dict[str, Any]:
    params, claims = source.params, Hypotheses(source)
    tests, limits = claims.tests(), intervals(source)
    every = pd.read_csv(source.root / "data/index.csv", dtype=str)
    return {
        "reading": params.reading, "unit": params.split.unit, "images": len(source.label),
        "units": len(set(source.unit.tolist())),
        "effective_units": source.size.sum() ** 2 / (source.size**2).sum(), "alpha": 0.05,
        "family": claims.family, "level": claims.level, "margin": params.report.margin,
        "resamples": params.report.bootstrap,
        "coverage": coverage(source), "tests": tests, "hypotheses": claims.verdicts(tests), "control": claims.control(),
        "answer": claims.answer(), "readings": readings(source), "stages": stages(source), "intervals": limits,
        "computed": [
            {"trained": "CPU, float32", "predicted": "CPU, float32", "models": len(source.rates) * len(params.folds)}
        ],
        "classifier": source.focus.id,
        "focus": {key: getattr(params, key) for key in ("lr", "weighting", "ensemble", "reading")},
        "systems": [],  # none in this study; test_systems.py computes the numbers of some
        "maps": maps(source), "baselines": baselines(source), "champions": champions(source),
        "people": people(source), "calibration": calibration(source),
        "decisions": decisions(source), "agreement": agreement(source),
        "repeats": repeats(source),
        "dataset": hashlib.sha256("".join(sorted(every.pixels)).encode()).hexdigest(),
        "test_set": params.split.test, "subjects": source.cells.subject.nunique(), "network": params.backbone.name,
        "summary": summary(source, limits), "beside": None,
    }  # fmt: skip


def stages(source: Source) -> dict[str, Any]:
    def count(models: list[Any]) -> dict[str, int]:
        return {stage: sum(str(model["stage"]) == stage for model in models) for stage in ("head", "finetune")}

    every = [model for models in source.models.values() for model in models]
    return count(every) | {"headline": count(source.focus.members)}


def summary(source: Source, limits: dict[str, Any]) -> list[dict[str, Any]]:
    params, averages, shown = source.params, source.averages(), ("accuracy", "kappa", "auc")
    rows = [
        {
            "role": role, "recipe": recipe, **{key: averages[recipe]["mean"][key] for key in shown},
            "deviation": averages[recipe]["std"]["accuracy"],
        }
        for role, recipes in (("rate", source.rates), ("baseline", source.recipes)) for recipe in recipes
    ]  # fmt: skip
    best = source.best_single("leak_free")
    rate = str(best.members[0]["recipe"])
    for role, recipe, id in (
        ("single", rate, best.id), ("inter", rate, f"inter {rate} {params.weighting}"),
        ("intra", None, f"intra {params.reading} {params.weighting}"),
    ):  # fmt: skip
        measured = source.row(source.classifiers[id])
        low, high = limits[id]["accuracy"]
        rows.append(
            {"role": role, "recipe": recipe, "id": id, "low": low, "high": high} | {key: measured[key] for key in shown}
        )
    return rows


def dataset(source: Source) -> dict[str, Any]:
    cells = source.all_cells
    twice = cells.pixels.value_counts()
    return {
        "images": len(cells), "positive": int((cells.label == 1).sum()), "negative": int((cells.label == 0).sum()),
        "subjects": cells.subject.nunique(), "duplicate_pairs": int((twice * (twice - 1) // 2).sum()),
    }  # fmt: skip


def split(source: Source) -> dict[str, Any]:
    cells = source.all_cells
    development, test = cells[cells.part == "development"], cells[cells.part == "test"]
    return {
        "unit": source.params.split.unit, "test_set": source.params.split.test,
        "test": {"images": len(test), "subjects": test.subject.nunique()},
        "excluded": {"images": int((cells.part == "excluded").sum())},
        "test_and_development": shared(test, development),
        "validation_and_train": {
            str(fold): shared(part, development[development.fold != fold]) for fold, part in development.groupby("fold")
        },
    }  # fmt: skip


def shared(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, int]:
    """What both sides of a boundary share; the made-up study has no near-copies."""
    both = np.isin(one.subject, other.subject)
    return {
        "images": len(one), "shared_subjects": one.subject[both].nunique(),
        "images_of_shared_subjects": int(both.sum()), "duplicate_images": int(np.isin(one.pixels, other.pixels).sum()),
        "near_copy_images": 0,
    }  # fmt: skip
