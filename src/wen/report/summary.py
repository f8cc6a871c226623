"""The few rows that stand for a study: in the answer, and beside another study's."""

from typing import Any

from wen.config.member import SYSTEM
from wen.study import Averages, Classifier, Study, over_folds

SHOWN = ("accuracy", "kappa", "auc")


def summary(study: Study, intervals: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Measure rates, baselines and published systems by the mean of their fold models, and the main classifiers.

    Parameters
    ----------
    study : Study
    intervals : dict
        Of each measure of each classifier, by its id.

    Returns
    -------
    list of dict
        ``role`` (``rate``, ``baseline``, ``system``, ``single``, ``inter`` or ``intra``), ``recipe`` (none of
        ``intra``; of a system without its variant), `SHOWN` measures, and of accuracy its ``deviation`` over the folds
        or its 95% interval, ``low`` and ``high``.
    """
    params = study.params
    best = study.best_single(params.reading)
    of_recipes, systems = study.averages, [found for found in study.systems.values() if not found.skipped]
    averages = [_average("rate", recipe, of_recipes[recipe]) for recipe in study.models]
    averages += [_average("baseline", recipe, of_recipes[recipe]) for recipe in study.baselines]
    averages += [
        _average("system", f"{SYSTEM}{found.name}", over_folds(found.members[found.about["shown"]]))
        for found in systems
    ]
    chosen = {
        "single": best,
        "inter": study.inter(str(best.recipe), params.weighting),
        "intra": study.intra(params.reading, params.weighting),
    }
    return averages + [_row(role, classifier, intervals) for role, classifier in chosen.items()]


def file_name(row: dict[str, Any]) -> str:
    """What a row is called among the files of metrics/summary/."""
    recipe = str(row["recipe"]).replace("/", "-")
    return {"rate": f"rate-{recipe}", "baseline": recipe, "system": recipe}.get(row["role"], row["role"])


def _average(role: str, recipe: str, found: Averages) -> dict[str, Any]:
    shown = {measure: found["mean"][measure] for measure in SHOWN}
    return {"role": role, "recipe": recipe} | shown | {"deviation": found["std"]["accuracy"]}


def _row(role: str, classifier: Classifier, intervals: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    low, high = intervals[classifier.id]["accuracy"]
    shown = {measure: classifier.row[measure] for measure in SHOWN}
    return {"role": role, "recipe": classifier.recipe, "id": classifier.id} | shown | {"low": low, "high": high}
