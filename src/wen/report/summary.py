"""The summary rows of a study, for its answer and for the comparison with another study."""

from typing import Any

from wen.config.member import SYSTEM
from wen.members.predictions import Averages, averages
from wen.study import Classifier, Study

SHOWN = ("accuracy", "kappa", "auc")


def summary(study: Study, intervals: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Summarise rates, baselines and published systems by the mean of their fold models, and the main classifiers.

    Parameters
    ----------
    study : Study
    intervals : dict
        Interval of each measure, by the id of the classifier.

    Returns
    -------
    list of dict
        ``role`` (``rate``, ``baseline``, ``system``, ``single``, ``inter`` or ``intra``); ``recipe`` (None for
        ``intra``; a system without its variant); the measures `SHOWN`; and for accuracy the standard ``deviation`` over
        folds, or the limits of its 95% interval, ``low`` and ``high``.
    """
    params = study.params
    best = study.best_single()
    over_models, systems = study.averages, [system for system in study.systems.values() if not system.skipped]
    rows = [_average("rate", recipe, over_models[recipe]) for recipe in study.models]
    rows += [_average("baseline", recipe, over_models[recipe]) for recipe in study.baselines]
    rows += [
        _average("system", f"{SYSTEM}{system.name}", averages(system.members[system.about["shown"]]))
        for system in systems
    ]
    chosen = {
        "single": best,
        "inter": study.inter(str(best.recipe), params.weighting),
        "intra": study.intra(params.reading, params.weighting),
    }
    return rows + [_row(role, classifier, intervals) for role, classifier in chosen.items()]


def file_name(row: dict[str, Any]) -> str:
    """The name of a row's file in metrics/summary/, without its ending."""
    recipe = str(row["recipe"]).replace("/", "-")
    return {"rate": f"rate-{recipe}", "baseline": recipe, "system": recipe}.get(row["role"], row["role"])


def _average(role: str, recipe: str, found: Averages) -> dict[str, Any]:
    shown = {measure: found["mean"][measure] for measure in SHOWN}
    return {"role": role, "recipe": recipe} | shown | {"deviation": found["std"]["accuracy"]}


def _row(role: str, classifier: Classifier, intervals: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    low, high = intervals[classifier.id]["accuracy"]
    shown = {measure: classifier.row[measure] for measure in SHOWN}
    return {"role": role, "recipe": classifier.recipe, "id": classifier.id} | shown | {"low": low, "high": high}
