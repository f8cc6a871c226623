"""The published systems as tables: CSV with a row for each variant, and LaTeX with a row for each system."""

from typing import Any

import pandas as pd

from wen.evaluation.metrics import MEASURES
from wen.report.language import ABSENT, Text
from wen.report.latex import BREAK, Cell, Column

Row = dict[str, Any]
COMPARED = ("over_control", "over_headline")


def of_variants(systems: list[Row]) -> pd.DataFrame:
    """Tabulate every variant of every system; a system that was skipped has one row.

    Parameters
    ----------
    systems : list of dict
        As `wen.report.sections.systems.measure` gives them.

    Returns
    -------
    DataFrame
        The system and its first claim; of each measure the ``_mean`` and ``_std`` over the fold models, and the value
        for their average. The variant that is ``shown`` also has 95% intervals (``_low``, ``_high``), its differences
        from control and headline, and the ``verdict``.
    """
    rows = [row for system in systems for row in _rows(system)]
    return pd.DataFrame(rows).astype({"shown": "Int64"}).dropna(axis="columns", how="all")


def _rows(system: Row) -> list[Row]:
    about = {"system": system["name"], "state": system["state"], "missing": " ".join(system["missing"])}
    about |= {key: system[key] for key in ("computed", "depth")}
    about |= {key: " ".join(system[key]) for key in ("networks", "stand_ins")}
    if system["claims"]:
        first = system["claims"][0]
        about |= {"claimed_measure": first["measure"], "claimed": first["value"], "claimed_on": first["data"]}
        about |= {"claimed_unit": first["unit"], "split_evidence": first["split_evidence"], "mark": first["mark"]}
    return [about | _of_variant(system, variant) for variant in system["variants"]] or [about | {"shown": None}]


def _of_variant(system: Row, variant: Row) -> Row:
    shown = variant["name"] == system["shown"]
    row: Row = {"variant": variant["name"], "role": variant["role"], "shown": int(shown)}
    row["validation_accuracy"] = variant["validation"]
    for measure in MEASURES:
        row |= {f"{measure}_{kind}": variant[kind][measure] for kind in ("mean", "std")}
        row[measure] = variant["average"][measure]
        if shown:
            row |= {f"{measure}_{limit}": system["estimates"][measure][limit] for limit in ("low", "high")}
    if shown:
        for key in COMPARED:
            row |= {f"{key}_{name}": value for name, value in (system[key] or {}).items() if name != "reasons"}
        reasons = system["claims"][0]["reasons"] if system["claims"] else []
        row |= {"verdict": system["verdict"], "reasons": " ".join(reasons)}
    return row


def printed(systems: list[Row], t: Text) -> tuple[list[Column], list[list[str | Cell]]]:
    """Format one row per system: its first claim, networks and accuracies, and its differences in points."""
    columns = [
        Column(t("systems.column.system"), 1.7), Column(t("systems.column.claimed"), 2.3),
        Column(t("systems.column.run"), 2.7), Column(t("systems.folds")), Column(t("systems.column.average")),
        *(Column(t(f"systems.column.{name}")) for name in ("control", "headline")),
    ]  # fmt: skip
    return columns, [[t.system(row["name"]), _claim(row, t), _networks(row, t), *_numbers(row, t)] for row in systems]


def _claim(row: Row, t: Text) -> str:
    if not row["claims"]:
        return t("systems.none")
    first = row["claims"][0]
    known = t(f"systems.by.{first['unit']}", data=first["data"], known=t(f"known.{first['split_evidence']}"))
    return f"{t('systems.of', measure=t('measure.' + first['measure']), value=t.number(first['value']))}; {known}"


def _networks(row: Row, t: Text) -> str:
    names = [t("systems.stand_in", network=name) if name in row["stand_ins"] else name for name in row["networks"]]
    state = t("systems.skipped") if row["state"] == "skipped" else t(f"systems.depth.{row['depth']}")
    return f"{state}: {', '.join(names)}".replace("_", f"_{BREAK}")


def _numbers(row: Row, t: Text) -> list[str | Cell]:
    if not row["estimates"]:
        return [ABSENT] * 4
    variant = next(variant for variant in row["variants"] if variant["name"] == row["shown"])
    accuracy = row["estimates"]["accuracy"]
    limits = "\N{EN DASH}".join(t.number(accuracy[limit], 2) for limit in ("low", "high"))
    folds = Cell(t.number(variant["mean"]["accuracy"]), f"± {t.number(variant['std']['accuracy'])}")
    return [folds, Cell(t.number(accuracy["value"]), limits), *(_difference(row[key], t) for key in COMPARED)]


def _difference(difference: Row | None, t: Text) -> str | Cell:
    if not difference:
        return ABSENT
    limits = t.limits(t.points(difference["low"]), t.points(difference["high"]))
    return Cell(t.points(difference["difference"]), limits)
