"""Verdicts on the claims of the published systems (systems.yaml), from the results of a run."""

from collections.abc import Mapping
from typing import Any

from wen.config.params import Params
from wen.report.language import listed

BORNE_OUT, NOT_BORNE_OUT, CANNOT_JUDGE = "borne_out", "not_borne_out", "cannot_judge"  # values of ``verdict``
NOT_RUN = "not_run"
SYNTHETIC = "synthetic"
Entry = dict[str, Any]


def entry(name: str, language: str = "en") -> Entry:
    """Read the description of a published system; one that is not in systems.yaml has no claims and no decisions.

    Returns
    -------
    dict
        ``study``, ``key`` (in references.yaml), ``method`` and ``control`` in words, ``depth`` (in the paper: frozen or
        finetune), ``uses`` (whether the method needs ``all`` or ``any`` of its networks), ``claims``, ``difference``
        (what the paper claims over its control, if it does) and ``decisions``.
    """
    known = {system["name"]: system for system in listed("systems.yaml", language)}
    unknown = {"study": name, "key": "", "depth": "frozen", "uses": "any", "method": "", "control": "", "claims": []}
    return {"difference": None, "ask": "", "decisions": []} | known.get(name, unknown)


def obstacles(about: Mapping[str, Any], described: Entry, params: Params) -> list[str]:
    """List the reasons why a run cannot test the claims of a paper, whatever its results.

    Parameters
    ----------
    about : dict
        The content of system.json.
    described : dict
        The `entry` of the system.
    params : Params

    Returns
    -------
    list of str
        ``stand_in``: another network replaces one of the paper's. ``fewer``: the method needs all of its networks, and
        not all ran. ``frozen``: the paper fine-tunes its networks, which are frozen here. ``changed``: params.yaml
        changes default settings, which follow the paper where it states them. ``part``: the images are only a part of
        C-NMC.
    """
    applies = {
        "stand_in": bool(about["stand_ins"]),
        "fewer": described["uses"] == "all" and len(about["networks"]) < len(about["paper"]),
        "frozen": described["depth"] == "finetune" and about["depth"] == "frozen",
        "changed": bool(about["changed"]),
        "part": params.dataset.source == "cnmc" and not params.dataset.complete,
    }
    return [reason for reason, holds in applies.items() if holds]


def judge(
    claim: Entry, estimate: Mapping[str, float | None] | None, known_obstacles: list[str], params: Params
) -> dict[str, Any]:
    """Compare one claim with the confidence interval of the same measure in a run.

    Parameters
    ----------
    claim : dict
        One of the ``claims`` of an `entry`.
    estimate : dict or None
        ``value``, ``low`` and ``high`` of the same measure in the run; None if the system was skipped.
    known_obstacles : list of str
        From `obstacles`.
    params : Params

    Returns
    -------
    dict
        ``verdict`` and its ``reasons``. ``borne_out``: the interval lies above the claim less ``report.margin``.
        ``not_borne_out``: the interval lies below the claim. ``cannot_judge``: the reasons are those of `obstacles`;
        ``other_data``; ``easier`` (the study splits by image, the claim by subject); ``other_test`` (the claim is about
        another test set of C-NMC); ``undefined`` (the measure is undefined); or ``interval`` (the interval allows both
        verdicts). ``not_run``: the system was skipped. None for synthetic cells, about which papers claim nothing.
    """
    if params.dataset.source == SYNTHETIC:
        return {"verdict": None, "reasons": [SYNTHETIC]}
    other_data = ["other_data"] if _on_other_data(claim, params) else []
    if estimate is None:
        return {"verdict": NOT_RUN, "reasons": other_data}
    reasons = [*other_data, *known_obstacles]
    verdict, open_for = _by_interval(claim["value"], estimate, params.report.margin)
    easier = claim.get("unit") == "subject" and params.split.unit == "image" and not params.split.of_cnmc
    if easier and verdict != NOT_BORNE_OUT:
        reasons.append("easier")
    elif not easier and _on_another_test_set(claim, params):
        reasons.append("other_test")
    if reasons:
        return {"verdict": CANNOT_JUDGE, "reasons": reasons}
    return {"verdict": verdict, "reasons": open_for}


def _on_other_data(claim: Entry, params: Params) -> bool:
    return params.dataset.source != "cnmc" or not claim.get("data", "C-NMC").startswith("C-NMC")


def _on_another_test_set(claim: Entry, params: Params) -> bool:
    """Whether a claim names its test set of C-NMC, and the study was tested on another one."""
    named: str = claim.get("data", "C-NMC")
    return params.tested_on is not None and named.startswith("C-NMC ") and named != params.tested_on


def _by_interval(claimed: float, estimate: Mapping[str, float | None], margin: float) -> tuple[str, list[str]]:
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return CANNOT_JUDGE, ["undefined"]
    if low > claimed - margin:
        return BORNE_OUT, []
    if high < claimed:
        return NOT_BORNE_OUT, []
    return CANNOT_JUDGE, ["interval"]
