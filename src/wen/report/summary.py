"""The few rows that stand for a study: in the answer, and beside another study's."""

from typing import Any

from wen.results import Classifier, Study

SHOWN = ("accuracy", "kappa", "auc")


def summary(study: Study, intervals: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Measure learning rates and baselines by the mean of their fold models, and the study's main classifiers.

    Parameters
    ----------
    study : Study
    intervals : dict
        Of each measure of each classifier, by its id.

    Returns
    -------
    list of dict
        ``role`` (``rate``, ``baseline``, ``single``, ``inter`` or ``intra``), ``recipe`` (none of ``intra``),
        `SHOWN` measures, and of accuracy its ``deviation`` over the folds or its 95% interval, ``low`` and ``high``.
    """
    params = study.params
    best = study.best_single(params.reading)
    averages = [
        {"role": role, "recipe": recipe}
        | {measure: study.averages[recipe]["mean"][measure] for measure in SHOWN}
        | {"deviation": study.averages[recipe]["std"]["accuracy"]}
        for role, recipes in (("rate", study.models), ("baseline", study.baselines))
        for recipe in recipes
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
    return {"rate": f"rate-{recipe}", "baseline": recipe}.get(row["role"], row["role"])


def _row(role: str, classifier: Classifier, intervals: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    low, high = intervals[classifier.id]["accuracy"]
    shown = {measure: classifier.row[measure] for measure in SHOWN}
    return {"role": role, "recipe": classifier.recipe, "id": classifier.id} | shown | {"low": low, "high": high}
