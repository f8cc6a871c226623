"""How much the members of each ensemble agree, and how much the ensemble gains over them."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from wen.evaluation.agreement import pairwise_kappa, pairwise_q
from wen.figure_style import COLOURS, MARKERS
from wen.report.language import Text
from wen.study import Study


def measure(study: Study) -> list[dict[str, Any]]:
    """Measure the agreement of each ensemble's members, and its gain in accuracy over them.

    Returns
    -------
    list of dict
        For each ensemble by the scheme in focus its ``id``; the mean of Cohen's ``kappa`` and of Yule's ``q`` over
        pairs of members (``q`` is None if undefined for all); and ``gain_over_mean`` and ``gain_over_best``, its
        accuracy less the mean and less the highest accuracy of its members.
    """
    rows = []
    for ensemble in study.classifiers:
        if ensemble.kind == "single" or ensemble.scheme != study.params.weighting:
            continue
        members = [study.single(member) for member in ensemble.members]
        pairs = np.triu_indices(len(members), 1)
        accuracy = [member.row["accuracy"] for member in members]
        kappas = pairwise_kappa(np.stack([member.probability for member in members]))[pairs]
        qs = pairwise_q(np.stack([study.right(member) for member in members]))[pairs]
        rows.append(
            {
                "id": ensemble.id,
                "kappa": float(kappas.mean()),
                "q": float(np.nanmean(qs)) if np.isfinite(qs).any() else None,
                "gain_over_mean": ensemble.row["accuracy"] - float(np.mean(accuracy)),
                "gain_over_best": ensemble.row["accuracy"] - max(accuracy),
            }
        )
    return rows


def figures(study: Study, measured: list[dict[str, Any]], t: Text) -> dict[str, Figure]:
    """Pairwise kappa of the members in focus, and the gain of each ensemble against its members' agreement."""
    members = study.focus.members
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    kappas = pairwise_kappa(np.stack([member.test_probability for member in members]))
    left.imshow(kappas, cmap="Purples", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(kappas):
        left.text(column, row, t.number(value, 2), ha="center", va="center", color="white" if value > 0.5 else "black")
    names = [t.member(member.name) for member in members]
    left.set(xticks=range(len(names)), yticks=range(len(names)), yticklabels=names)
    left.set_xticklabels(names, rotation=45, ha="right")
    left.spines[:].set_visible(False)
    shown = t.names(study)
    for k, row in enumerate(measured):
        right.plot(
            row["kappa"], row["gain_over_mean"], MARKERS[k % 5], color=COLOURS[(k + k // 5) % 5], label=shown[row["id"]]
        )
    right.axhline(0, color="0.7", linewidth=0.8)
    right.set(xlabel=t("axis.kappa"), ylabel=t("axis.gain"))
    right.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return {"agreement": figure}
