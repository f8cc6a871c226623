"""Published results on the same question, grouped by the unit of their split."""

from importlib.resources import files
from typing import Any

import pandas as pd

from wen.study import Study

MEASURES = ("accuracy", "weighted_f1", "f1", "balanced_accuracy", "auc", "sensitivity", "specificity")
"""Measures that papers report. ``weighted_f1`` is the measure of the challenge; ``f1`` is any other F1."""
GROUPS = ("subject", "image", "unstated", "other")
"""Results are ranked only within a group: split by subject, by image, split not stated, and other data."""


def results() -> pd.DataFrame:
    """Read the table of published results.

    Returns
    -------
    DataFrame
        One row per result: ``study``, ``year``, ``network``, ``data`` (the test set), ``unit`` of the split (subject,
        image, unstated), ``split_evidence`` (stated, read in code, not stated), ``basis`` of the numbers (abstract,
        code, quoted by another text, recalled), `MEASURES` between 0 and 1, ``reference`` (a DOI, or empty),
        ``note_en``, ``note_id``, and ``group``, one of `GROUPS`.
    """
    with files("wen.report").joinpath("published.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype={"year": str}, keep_default_na=False, na_values=dict.fromkeys(MEASURES, ""))
    return table.assign(group=table.unit.where(table.data.str.startswith("C-NMC"), "other"), focus=False)


def beside(study: Study, name: str) -> pd.DataFrame:
    """Add this study's classifier in focus to the published results, if it was tested on complete C-NMC."""
    table, tested_on = results(), study.params.tested_on
    if tested_on is None:
        return table
    row, split = study.focus.row, study.params.split
    unit = "subject" if split.of_cnmc else split.unit
    focus = {
        "study": name,
        "network": study.params.backbone.name,
        "data": tested_on,
        "unit": unit,
        "split_evidence": "stated",
        **{measure: row[measure] for measure in MEASURES if measure in row},
        "sensitivity": row["recall"],
        "group": unit,
        "focus": True,
    }
    table = pd.concat([table, pd.DataFrame([focus])], ignore_index=True)
    return table.fillna(dict.fromkeys(("year", "basis", "reference", "note_en", "note_id"), ""))


def grouped(table: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Turn the table of `beside` into records by group; a measure that was not reported is None."""
    records = table.astype(object).where(table.notna(), None)
    return {group: records[records.group == group].to_dict("records") for group in GROUPS}


def reported(results: list[dict[Any, Any]]) -> list[str]:
    """Return those of `MEASURES` that at least one of the results reports."""
    return [measure for measure in MEASURES if any(result[measure] is not None for result in results)]
