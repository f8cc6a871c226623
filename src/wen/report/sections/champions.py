"""How the champion of each learning rate is chosen, and how much the choice is about folds rather than models."""

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
    """The scores that champions are chosen by, and what they would be without the effects of folds.

    Returns
    -------
    dict
        ``models``, for each learning rate and fold its measures on ``validation`` and ``test`` data and ``centred``
        (validation less the mean of all rates on that fold): values, their ``ranks`` within the rate, ``mean_rank``,
        and whether this chooses it as ``champion``. ``moved``: the rates for which centred scores choose another one
        than validation. ``fold_share`` of the variance of validation accuracy, and the share that is expected by
        ``chance``. None is undefined.
    """
    grid = study.params.grid
    judged = {
        part: {rate: [judge(member) for member in study.models[rate]] for rate in grid}
        for part, judge in (("validation", JUDGED_ON["leak_free"]), ("test", JUDGED_ON["as_written"]))
    }
    judged["centred"] = _centred(judged["validation"])
    columns = {rate: {part: _column(rows[rate]) for part, rows in judged.items()} for rate in grid}
    models = [
        {"lr": rate, "fold": member.member.fold, **{part: column[k] for part, column in columns[rate].items()}}
        for rate in grid
        for k, member in enumerate(study.models[rate])
    ]
    accuracies = np.array([[row["accuracy"] for row in judged["validation"][rate]] for rate in grid])
    return {
        "models": models,
        "moved": [rate for rate in grid if champion(judged["validation"][rate]) != champion(judged["centred"][rate])],
        "fold_share": defined(fold_share(accuracies)),
        "chance": (accuracies.shape[1] - 1) / (accuracies.size - 1),
    }


def figures(study: Study, found: dict[str, Any], t: Text) -> dict[str, Figure]:
    """Validation accuracy of every model by fold, as it is and less the mean of all rates on the fold."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4))
    for axes, part in zip(panels, ("validation", "centred"), strict=True):
        for k, rate in enumerate(study.params.grid):
            models = [model for model in found["models"] if model["lr"] == rate]
            folds, values = zip(*((model["fold"], model[part]["accuracy"]) for model in models), strict=True)
            colour = COLOURS[k % 5]
            axes.plot(folds, values, MARKERS[k % 5], color=colour, linestyle=LINES[k % 5], linewidth=0.8,
                      markerfacecolor="white", label=f"LR {rate}")  # fmt: skip
            chosen = next(model for model in models if model[part]["champion"])
            axes.plot(chosen["fold"], chosen[part]["accuracy"], MARKERS[k % 5], color=colour, markersize=9)
        axes.set(xlabel="fold", ylabel=t(f"champions.axis.{part}"), xticks=study.params.folds)
    panels[1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return {"champions": figure}


def _centred(rows: dict[str, list[dict[str, float]]]) -> dict[str, list[dict[str, float]]]:
    """The scores of each rate's models less, in each measure, the mean of all rates on the same fold."""
    scores = {
        measure: centred(np.array([[row[measure] for row in of_rate] for of_rate in rows.values()]))
        for measure in JUDGED_BY
    }
    return {
        rate: [{measure: float(scores[measure][place, k]) for measure in JUDGED_BY} for k in range(len(of_rate))]
        for place, (rate, of_rate) in enumerate(rows.items())
    }


def _column(rows: list[dict[str, float]]) -> list[dict[str, Any]]:
    """What one way of scoring says of the models of one rate."""
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
