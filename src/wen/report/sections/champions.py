"""How the champion of each learning rate is chosen, and how much the choice depends on the folds."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from wen.ensemble.intra import JUDGED_ON
from wen.ensemble.selection import JUDGED_BY, champion, mean_ranks, ranks
from wen.evaluation.folds import centred, fold_share
from wen.figure_style import COLOURS, LINES, MARKERS
from wen.report.language import Text
from wen.study import Study, defined


def measure(study: Study) -> dict[str, Any]:
    """Compute the scores that champions are chosen by, with and without the effect of the folds.

    Returns
    -------
    dict
        ``models``: for each learning rate and fold the scores on ``validation`` and ``test`` data, and ``centred``
        (validation scores less the mean of all rates on that fold). Each has the values of the measures, their
        ``ranks`` within the rate, ``mean_rank``, and whether they make the model ``champion``. ``moved``: the rates
        whose champion differs between validation and centred scores. ``fold_share``: the share of the variance of
        validation accuracy that folds explain; ``chance``: the share expected by chance. None is undefined.
    """
    grid = study.params.grid
    scores = {
        part: {rate: [score(member) for member in study.models[rate]] for rate in grid}
        for part, score in (("validation", JUDGED_ON["leak_free"]), ("test", JUDGED_ON["as_written"]))
    }
    scores["centred"] = _centred(scores["validation"])
    columns = {rate: {part: _ranked(rows[rate]) for part, rows in scores.items()} for rate in grid}
    models = [
        {"lr": rate, "fold": member.member.fold, **{part: column[k] for part, column in columns[rate].items()}}
        for rate in grid
        for k, member in enumerate(study.models[rate])
    ]
    accuracies = np.array([[row["accuracy"] for row in scores["validation"][rate]] for rate in grid])
    return {
        "models": models,
        "moved": [rate for rate in grid if champion(scores["validation"][rate]) != champion(scores["centred"][rate])],
        "fold_share": defined(fold_share(accuracies)),
        "chance": (accuracies.shape[1] - 1) / (accuracies.size - 1),
    }


def figures(study: Study, measured: dict[str, Any], t: Text) -> dict[str, Figure]:
    """Validation accuracy of every model by fold, and the same less the mean of all rates on the fold."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4))
    for axes, part in zip(panels, ("validation", "centred"), strict=True):
        for k, rate in enumerate(study.params.grid):
            models = [model for model in measured["models"] if model["lr"] == rate]
            folds, values = zip(*((model["fold"], model[part]["accuracy"]) for model in models), strict=True)
            colour = COLOURS[(k + k // 5) % 5]  # no two rates have marker and colour in common
            axes.plot(folds, values, MARKERS[k % 5], color=colour, linestyle=LINES[k % 5], linewidth=0.8,
                      markerfacecolor="white", label=t.recipe(rate))  # fmt: skip
            chosen = next(model for model in models if model[part]["champion"])
            place = chosen["fold"], chosen[part]["accuracy"]
            axes.plot(*place, MARKERS[k % 5], color=colour, markersize=9, zorder=3)  # above the marks of other rates
        axes.set(xlabel="fold", ylabel=t(f"champions.axis.{part}"), xticks=study.params.folds)
    panels[1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return {"champions": figure}


def _centred(rows: dict[str, list[dict[str, float]]]) -> dict[str, list[dict[str, float]]]:
    """Subtract from the scores of each rate's models, in each measure, the mean of all rates on the same fold."""
    scores = {
        measure: centred(np.array([[row[measure] for row in of_rate] for of_rate in rows.values()]))
        for measure in JUDGED_BY
    }
    return {
        rate: [{measure: float(scores[measure][place, k]) for measure in JUDGED_BY} for k in range(len(of_rate))]
        for place, (rate, of_rate) in enumerate(rows.items())
    }


def _ranked(rows: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Add to the scores of one rate's models their ranks, and which model is the champion."""
    chosen, mean = champion(rows), mean_ranks(rows)
    places = {measure: ranks([row[measure] for row in rows]) for measure in JUDGED_BY}
    return [
        {
            **{measure: float(row[measure]) for measure in JUDGED_BY},
            "ranks": {measure: float(places[measure][k]) for measure in JUDGED_BY},
            "mean_rank": float(mean[k]),
            "champion": k == chosen,
        }
        for k, row in enumerate(rows)
    ]
