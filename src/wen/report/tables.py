"""Tables 3.2 and 3.3 of the thesis, the weights and the tests, as CSV and as LaTeX (booktabs)."""

from pathlib import Path
from typing import Any

import pandas as pd

from wen.evaluation.metrics import MEASURES
from wen.report.language import Text
from wen.results import Study


def write(study: Study, evidence: dict[str, Any], folder: Path, t: Text) -> None:
    """Write single, average, ensemble, weight and test, each as .csv with full precision and as .tex."""
    folder.mkdir()
    for name, table in _tables(study, evidence, t).items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        headings = {column: _escaped(_heading(str(column), t)) for column in table}
        words = {str(column): table[column].map(_escaped) for column in table.select_dtypes(exclude="number")}
        latex = table.assign(**words).rename(columns=headings).style.hide(axis="index").format(precision=3, na_rep="--")
        (folder / f"{name}.tex").write_text(latex.to_latex(hrules=True), encoding="utf-8", newline="\n")


def _tables(study: Study, evidence: dict[str, Any], t: Text) -> dict[str, pd.DataFrame]:
    def rows(*kinds: str) -> pd.DataFrame:
        return pd.DataFrame(
            {"model": t.name(classifier), **{name: classifier.row[name] for name in MEASURES}}
            for classifier in study.classifiers
            if classifier.kind in kinds
        )

    averages = [
        {"model": t.recipe(recipe)} | {f"{name} {kind}": row[name] for name in MEASURES for kind, row in kinds.items()}
        for recipe, kinds in study.averages.items()
    ]
    weights = [
        {"model": t.name(ensemble), "member": member.name, "M_k": score, "w_k": weight}
        for ensemble in study.classifiers
        if ensemble.kind != "single"
        for member, score, weight in zip(ensemble.members, ensemble.score, ensemble.weight, strict=True)
    ]
    names = t.names(study)
    shown = ("statistic", "p", "p_holm", "difference", "low", "high", "smallest")
    tests = [
        {
            "hypothesis": t("runs.thesis") if _of_champions(test) else test["hypothesis"],
            "between": " | ".join(names[id] for id in test["between"]),
            "measure": t(f"measure.{test['measure']}"),
            "test": t(f"test.{test['test']}"),
            "effect": test["effect"]["value"],
            **{name: test[name] for name in shown},
        }
        for test in evidence["tests"]
    ]
    return {
        "single": rows("single"),
        "average": pd.DataFrame(averages),
        "ensemble": rows("inter", "intra"),
        "weight": pd.DataFrame(weights),
        "test": pd.DataFrame(tests),
    }


def _of_champions(test: dict[str, Any]) -> bool:
    """Whether a test is the thesis' way to decide H1: by the champions."""
    return test["hypothesis"] == "H1" and not test["decides"]


def _heading(column: str, t: Text) -> str:
    name, _, kind = column.partition(" ")
    for key in (f"measure.{name}", f"column.{name}"):
        if key in t.catalogue:
            return f"{t(key)} {kind}".strip()
    return column


def _escaped(text: object) -> str:
    """Escape text for LaTeX."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}",
               "Δ": r"$\Delta$", "η²": r"$\eta^2$"}  # fmt: skip
    return "".join(rf"\{c}" if c in "&%$#_{}" else special.get(c, c) for c in str(text))
