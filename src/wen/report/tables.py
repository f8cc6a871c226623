"""The report's tables as files: CSV with full precision for programs, and LaTeX for a thesis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from wen.ensemble.selection import JUDGED_BY
from wen.evaluation.metrics import MEASURES
from wen.files import write_text
from wen.report import system_table
from wen.report.language import Text
from wen.report.latex import Cell, Column, latex
from wen.study import Classifier, Study

PRINTED = ("accuracy", "precision", "recall", "f1", "kappa", "auc")
"""The measures of Tables 3.2 and 3.3 of the thesis, and AUC: what fits a page's width."""
Rows = list[list[str | Cell]]


@dataclass(frozen=True)
class Table:
    """A formatted table, for LaTeX and Word."""

    caption: str
    columns: list[Column]
    rows: Rows


def write(study: Study, evidence: dict[str, Any], folder: Path, t: Text) -> dict[str, Table]:
    """Write single, average, ensemble, weight, champion and test, each as .csv and as .tex.

    A study of published systems also has the table systems. Returns the formatted tables by their names.
    """
    folder.mkdir()
    single = [classifier for classifier in study.classifiers if classifier.kind == "single"]
    ensembles = [classifier for classifier in study.classifiers if classifier.kind != "single"]
    data = {
        "single": _measured(single, evidence),
        "average": _averages(study),
        "ensemble": _measured(ensembles, evidence),
        "weight": _weights(ensembles),
        "champion": _champions(evidence["champions"]["models"]),
        "test": _tests(evidence),
    }
    if evidence["systems"]:
        data["systems"] = system_table.of_variants(evidence["systems"])
    for name, table in data.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    measures = [Column(t(f"measure.{measure}")) for measure in PRINTED]
    model = Column(t("column.model"), 5.0)
    trained = [Column(t("column.stage")), Column(t("column.epoch"))]
    content: dict[str, tuple[list[Column], Rows]] = {
        "single": ([Column(t("column.model"), 2.4), *trained, *measures], _measured_rows(single, evidence, t)),
        "average": ([model, *measures], _average_rows(study, t)),
        "ensemble": ([model, *measures], _measured_rows(ensembles, evidence, t)),
        "weight": _weight_table(ensembles, t),
        "champion": _champion_table(evidence["champions"]["models"], t),
        "test": _test_table(study, evidence, t),
    }
    if evidence["systems"]:
        content["systems"] = system_table.printed(evidence["systems"], t)
    printed = {name: Table(t(f"latex.{name}"), *parts) for name, parts in content.items()}
    for name, shown in printed.items():
        write_text(folder / f"{name}.tex", latex(name, shown.caption, shown.columns, shown.rows))
    return printed


def _measured(classifiers: Sequence[Classifier], evidence: dict[str, Any]) -> pd.DataFrame:
    """One row per classifier: what it is, and every measure with its 95% interval."""
    rows = []
    for classifier in classifiers:
        about = {key: getattr(classifier, key) for key in ("kind", "recipe", "fold", "scheme", "reading")}
        row: dict[str, Any] = {"id": classifier.id} | about
        if classifier.kind == "single":
            row |= {key: classifier.members[0].origin.get(key) for key in ("stage", "epoch")}
        for measure in MEASURES:
            low, high = evidence["intervals"][classifier.id][measure]
            row |= {measure: classifier.row[measure], f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row | {count: classifier.row[count] for count in ("tn", "fp", "fn", "tp")})
    table = pd.DataFrame(rows)
    counted = {key: "Int64" for key in ("fold", "stage", "epoch") if key in table}
    return table.astype(counted).dropna(axis="columns", how="all")


def _averages(study: Study) -> pd.DataFrame:
    return pd.DataFrame(
        {"recipe": recipe, "measure": measure, "mean": row["mean"][measure], "std": row["std"][measure]}
        for recipe, row in study.averages.items()
        for measure in MEASURES
    )


def _weights(ensembles: Sequence[Classifier]) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": ensemble.id, "scheme": ensemble.scheme, "member": member.name, "score": score, "weight": weight}
        for ensemble in ensembles
        for member, score, weight in zip(ensemble.members, ensemble.score, ensemble.weight, strict=True)
    )


def _tests(evidence: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for test in evidence["tests"]:
        plain = {key: value for key, value in test.items() if not isinstance(value, list | dict)}
        effect = {"effect_name": test["effect"]["name"], "effect": test["effect"]["value"]}
        rows.append({"hypothesis": test["hypothesis"], "between": " | ".join(test["between"])} | plain | effect)
    return pd.DataFrame(rows)


def _champions(models: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The scores that models are ranked by: on validation data, on test data, and centred by fold."""
    return pd.DataFrame(
        {"recipe": model["lr"], "fold": model["fold"], "scores": part}
        | {measure: model[part][measure] for measure in (*JUDGED_BY, "mean_rank")}
        | {"champion": int(model[part]["champion"])}
        for part in ("validation", "test", "centred")
        for model in models
    )


def _measured_rows(classifiers: Sequence[Classifier], evidence: dict[str, Any], t: Text) -> Rows:
    best = {measure: max((c.row[measure] for c in classifiers if c.row[measure] is not None), default=None)
            for measure in PRINTED}  # fmt: skip
    rows: Rows = []
    for _, group in groupby(classifiers, attrgetter("group")):
        rows += [[]] if rows else []
        for classifier in group:
            cells: list[str | Cell] = [t.name(classifier)]
            if classifier.kind == "single":
                cells += [t.number(classifier.members[0].origin.get(key), 0) for key in ("stage", "epoch")]
            for measure in PRINTED:
                value, interval = classifier.row[measure], t.between(evidence["intervals"][classifier.id][measure])
                cells.append(Cell(t.number(value), interval, value is not None and value == best[measure]))
            rows.append(cells)
    return rows


def _average_rows(study: Study, t: Text) -> Rows:
    return [
        [t.recipe(recipe), *(_spread(row["mean"][measure], row["std"][measure], t) for measure in PRINTED)]
        for recipe, row in study.averages.items()
    ]


def _spread(mean: float, deviation: float, t: Text) -> Cell:
    return Cell(t.number(mean), "" if math.isnan(mean) else f"± {t.number(deviation)}")


def _weight_table(ensembles: Sequence[Classifier], t: Text) -> tuple[list[Column], Rows]:
    """One row per ensemble: the weight of each member, above the score that it is computed from; uniform has none."""
    most = max(len(ensemble.members) for ensemble in ensembles)
    columns = [Column(t("column.model"), 5.3), *(Column(f"$w_{k}$") for k in range(1, most + 1))]
    rows: Rows = []
    for ensemble in ensembles:
        pairs = zip(ensemble.weight, ensemble.score, strict=True)
        scored = ensemble.scheme != "uniform"
        cells = [Cell(t.number(weight), t.number(score) if scored else "") for weight, score in pairs]
        rows.append([t.name(ensemble), *cells, *[""] * (most - len(cells))])
    return columns, rows


def _champion_table(models: Sequence[dict[str, Any]], t: Text) -> tuple[list[Column], Rows]:
    """One row per single model: its scores on validation data, its mean rank, and its accuracy on test data."""
    columns = [
        Column(t("column.model"), 3.4), *(Column(t(f"measure.{measure}")) for measure in JUDGED_BY),
        Column(t("column.mean_rank")), Column(t("axis.accuracy")),
    ]  # fmt: skip
    rows: Rows = []
    for model in models:
        chosen = bool(model["validation"]["champion"])
        name = t("name.single", recipe=t.recipe(model["lr"]), fold=model["fold"])
        scores = [Cell(t.number(model["validation"][measure]), best=chosen) for measure in JUDGED_BY]
        rank = Cell(t.number(model["validation"]["mean_rank"], 1), best=chosen)
        rows.append([name, *scores, rank, t.number(model["test"]["accuracy"])])
    return columns, rows


def _test_table(study: Study, evidence: dict[str, Any], t: Text) -> tuple[list[Column], Rows]:
    names = t.names(study)
    columns = [
        Column(t("column.hypothesis"), 2.0), Column(t("column.between"), 4.2), Column(t("column.test"), 2.5),
        Column(t("column.difference")), Column(t("column.p")), Column(t("column.p_adjusted")),
    ]  # fmt: skip
    rows: Rows = [
        [
            t.question(test),
            "; ".join(names[id] for id in test["between"]),
            f"{t('test.' + test['test'])}, {t('measure.' + test['measure'])}",
            Cell(t.points(test["difference"]), t.limits(t.points(test["low"]), t.points(test["high"]))),
            t.p(test["p"]),
            t.p(test["p_adjusted"]),
        ]
        for test in evidence["tests"]
    ]
    return columns, rows
