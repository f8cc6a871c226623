"""What the published systems claim (systems.yaml), and which of it a run bears out, and which it cannot judge."""

from collections.abc import Mapping
from typing import Any

from wen.config.params import Params
from wen.report.language import listed

BORNE_OUT, NOT_BORNE_OUT, CANNOT_JUDGE = "borne_out", "not_borne_out", "cannot_judge"  # values of ``verdict``
NOT_RUN = "not_run"
SYNTHETIC = "synthetic"
Entry = dict[str, Any]


def entry(name: str, language: str = "en") -> Entry:
    """Describe a published system; one that systems.yaml does not have has no claims and no decisions.

    Returns
    -------
    dict
        ``study``, ``key`` (of references.yaml), ``method`` and ``control`` in words, ``depth`` (that of the paper),
        ``uses`` (whether it needs ``all`` of its networks or ``any`` of them), ``claims``, ``difference`` (what the
        paper claims over its control, if it does) and ``decisions``.
    """
    known = {found["name"]: found for found in listed("systems.yaml", language)}
    unknown = {"study": name, "key": "", "depth": "frozen", "uses": "any", "method": "", "control": "", "claims": []}
    return {"difference": None, "ask": "", "decisions": []} | known.get(name, unknown)


def obstacles(about: Mapping[str, Any], described: Entry, params: Params) -> list[str]:
    """Why a run cannot judge what the paper claims, whatever the run gives.

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
        ``stand_in``: a network is not the paper's. ``fewer``: not all of its networks ran. ``frozen``: the paper trains
        its networks, and here they stay as they are. ``part``: there is only a part of C-NMC.
    """
    found = {
        "stand_in": bool(about["stand_ins"]),
        "fewer": described["uses"] == "all" and len(about["networks"]) < len(about["paper"]),
        "frozen": described["depth"] == "finetune" and about["depth"] == "frozen",
        "part": params.dataset.source == "cnmc" and not params.dataset.complete,
    }
    return [reason for reason, holds in found.items() if holds]


def judged(
    claim: Entry, estimate: Mapping[str, float | None] | None, hindered: list[str], params: Params
) -> dict[str, Any]:
    """Judge one claim by the interval that a run gives.

    Parameters
    ----------
    claim : dict
        One of the ``claims`` of an `entry`.
    estimate : dict or None
        ``value``, ``low`` and ``high`` of the same measure in the run; None if the system was skipped.
    hindered : list of str
        From `obstacles`.
    params : Params

    Returns
    -------
    dict
        ``verdict`` and its ``reasons``. Borne out: the interval lies above the claim less ``report.margin``. Not borne
        out: it lies below the claim. Cannot judge: there are obstacles (beside `obstacles`, ``other_data`` and
        ``easier``, a split by image where the claim is by subject), the measure is ``undefined`` or its interval has no
        width, or the ``interval`` leaves it open. None for synthetic cells, of which nothing is claimed.
    """
    if params.dataset.source == SYNTHETIC:
        return {"verdict": None, "reasons": [SYNTHETIC]}
    other_data = ["other_data"] if _on_other_data(claim, params) else []
    if estimate is None:
        return {"verdict": NOT_RUN, "reasons": other_data}
    reasons = [*other_data, *hindered]
    verdict, open_for = _by_interval(claim["value"], estimate, params.report.margin)
    easier = claim.get("unit") == "subject" and params.split.unit == "image"
    if easier and verdict != NOT_BORNE_OUT:
        reasons.append("easier")
    if reasons:
        return {"verdict": CANNOT_JUDGE, "reasons": reasons}
    return {"verdict": verdict, "reasons": open_for}


def _on_other_data(claim: Entry, params: Params) -> bool:
    return params.dataset.source != "cnmc" or not claim.get("data", "C-NMC").startswith("C-NMC")


def _by_interval(claimed: float, estimate: Mapping[str, float | None], margin: float) -> tuple[str, list[str]]:
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None or low == high:  # the bootstrap of a measure that no image can lower
        return CANNOT_JUDGE, ["undefined"]
    if low > claimed - margin:
        return BORNE_OUT, []
    if high < claimed:
        return NOT_BORNE_OUT, []
    return CANNOT_JUDGE, ["interval"]
