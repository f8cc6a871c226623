"""Checklists of the reporting guidelines CLAIM 2024 and TRIPOD+AI, with the items that a run can fill."""

from typing import Any

from jinja2 import Environment, StrictUndefined

from wen.config.params import Augment, Params
from wen.report import statements
from wen.report.language import Text, listed

STATES = ("open", "filled", "not_applicable")


def checklist(params: Params, measured: dict[str, Any], t: Text) -> dict[str, list[dict[str, Any]]]:
    """Fill the items of both guidelines with the facts of a run.

    Parameters
    ----------
    params : Params
    measured : dict
        ``dataset`` and ``split``, the content of metrics/dataset.json and metrics/split.json; ``stages``, how many
        models come from each training stage; ``maps``, whether there are class-activation maps; ``resampled``, what
        intervals are over, ``image`` or ``subject``.
    t : Text

    Returns
    -------
    dict
        For each of `STATES`, its items in order: ``guideline``, ``item`` (its number), ``topic`` and ``text``. The text
        of a filled item is the answer, of an open one what the author must write, otherwise why it does not apply.

    Notes
    -----
    Item numbers are those of Tejani et al. (2024), doi:10.1148/ryai.240300, and Collins et al. (2024),
    doi:10.1136/bmj-2023-078378; their topics are paraphrased.
    """
    environment = Environment(
        undefined=StrictUndefined, finalize=lambda value: t.count(value) if isinstance(value, int) else value
    )
    environment.filters |= {"count": t.count, "number": t.number, "given": t.given, "rate": t.rate}
    synthetic = params.dataset.source == "synthetic"
    facts = {"params": params, "synthetic": synthetic, "t": t, "views": _views(params.augment, t)} | measured
    facts["division"] = statements.division(params.split.unit, params.split.test, t)
    facts["unfrozen"] = statements.unfrozen(params, t)
    facts["unused"] = sum(kind["count"] for kind in measured["dataset"]["not_read"].values())
    items: dict[str, list[dict[str, Any]]] = {state: [] for state in STATES}
    for entry in listed("checklist.yaml", t.language):
        state = next(state for state in STATES if state in entry)
        about = {key: entry[key] for key in ("guideline", "item", "topic")}
        items[state].append(about | {"text": environment.from_string(entry[state]).render(facts)})
    return items


def _views(augment: Augment, t: Text) -> str:
    """Name the random changes of training images that are on."""
    amounts = {
        "flips": max(augment.horizontal_flip, augment.vertical_flip),
        "turns": augment.turns,
        **{name: getattr(augment, name) for name in ("rotate", "brightness", "contrast", "hue", "saturation")},
    }
    return ", ".join(t(f"augment.{name}") for name, amount in amounts.items() if amount) or t("augment.none")
