"""Stage ``report``: the headline, the evidence, the data of ``dvc plots``, and one self-contained page."""

from functools import partial
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from wen import figure_style, markdown
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data import describe, leaks
from wen.evaluation.metrics import MEASURES
from wen.files import atomic, sha256, write_json, write_text
from wen.identity import identity
from wen.report import (
    beside,
    chapter,
    claims,
    drawing,
    figures,
    hard_cases,
    pairs,
    plots,
    published,
    statements,
    tables,
    typography,
    unlike,
)  # fmt: skip
from wen.report.checklist import checklist
from wen.report.evidence import Evidence
from wen.report.language import Text, listed
from wen.report.provenance import provenance
from wen.report.sections import MEASURED, systems
from wen.report.summary import SHOWN, file_name, summary
from wen.results import curves, gather
from wen.study import Classifier, Study, defined

SECTIONS = (
    "answer", "questions", "baselines", "readings", "champions", "beside", "repeats", "leaks", "copies", "people",
    "tables", "weights", "figures", "calibration", "decisions", "agreement", "cells", "systems", "published",
    "images", "provenance", "errata", "checklist", "references",
)  # fmt: skip
"""The sections in the order of the page."""
OF_CNMC = ("data", "results")
"""Groups of references that only a study of C-NMC lists."""


def run(params: Params, paths: Paths) -> None:
    """Write metrics/headline.json, metrics/summary/, metrics/evidence.json, plots/headline/ and report/.

    report/ holds index.html, model-card.md, figures/ as SVG, PDF, PNG and CSV, tables/ as CSV and LaTeX, and a draft
    of the thesis' chapter of results as LaTeX and for Word.

    Raises
    ------
    WenError
        If an earlier stage's output is missing.
    """
    study, t = gather(params, paths), Text(params.report.language, params.dataset.classes)
    epochs = curves(params, paths)
    figure_style.cover([*params.dataset.classes, params.dataset.name, *study.cells.subject.unique()])
    evidence = Evidence(study).gathered() | {
        **identity(study, paths),
        "maps": hard_cases.on_cells(study, paths),
        **{name: section.measure(study) for name, section in MEASURED.items()},
    }
    evidence |= _about(study, paths) | {"summary": summary(study, evidence["intervals"])}
    evidence["beside"] = beside.other_study(params.report.beside, paths, evidence)
    content = _content(study, paths, evidence, epochs, t)
    drawn = _figures(content, epochs, Text(t.language, [*map(figures.wrapped, t.classes)]))
    environment = _environment(t)
    plots.write(study, epochs, paths.plots)
    with atomic(paths.report) as partial:
        partial.mkdir()
        content["figures"] = drawing.write(drawn, partial / "figures", t)
        rendered = environment.get_template("report.html").render(content)
        write_text(partial / "index.html", typography.page(rendered))
        write_text(partial / "model-card.md", _card(params, content))
        printed = tables.write(study, evidence, partial / "tables", t)
        chapter.write(content, printed, drawn, partial, t)
    with atomic(paths.summary) as partial:
        for row in evidence["summary"]:
            write_json(partial / f"{file_name(row)}.json", {measure: row[measure] for measure in SHOWN})
    write_json(paths.evidence, evidence)
    write_json(paths.headline, study.focus.row)


def _card(params: Params, content: dict[str, Any]) -> str:
    """Render the model card, in which the names of the classes are those of Markdown."""
    t = Text(params.report.language, [markdown.plain(name) for name in params.dataset.classes])
    for_hub = statements.division(params.split.unit, params.split.test, Text("en"))
    return _environment(t).get_template("model-card.md").render(content, division_for_hub=for_hub)


def _about(study: Study, paths: Paths) -> dict[str, Any]:
    """Describe this study, for its comparison with another one (`wen.report.beside`)."""
    pixels = pd.read_csv(paths.index, usecols=["pixels"], dtype=str).pixels
    return {
        "dataset": sha256("".join(sorted(pixels)).encode()),
        "test_set": study.params.split.test,
        "subjects": int(study.cells.subject.nunique()) if study.has_subjects else None,
        "network": study.params.backbone.name,
    }


def _environment(t: Text) -> Environment:
    environment = Environment(
        loader=PackageLoader("wen.report"),
        autoescape=lambda name: name is None or name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"t": t, "says": statements}
    environment.filters |= {
        "number": t.number,
        "stated": t.stated,
        "points": t.points,
        "margin": t.margin,
        "p": t.p,
        "p_is": t.p_is,
        "percent": t.percent,
        "count": t.count,
        "between": t.between,
        "rate": t.rate,
        "threshold": t.threshold,
        "member": t.member,
        "given": t.given,
        "row_name": t.row,
        "sort_key": _sort_key,
        "code": typography.code,
        "reason": partial(unlike.reason, t=t),
        "markdown": markdown.plain,
    }
    return environment


def _content(study: Study, paths: Paths, evidence: dict[str, Any], epochs: pd.DataFrame, t: Text) -> dict[str, Any]:
    params = study.params
    dataset, split = describe.of_study(paths), leaks.of_study(paths)
    maps = study.focus.members[0].test_map.size > 0
    about = {"dataset": dataset, "split": split, "stages": evidence["stages"], "maps": maps}
    about["resampled"] = statements.resampled(evidence)
    return {
        "params": params,
        "params_text": paths.params.read_text(encoding="utf-8"),
        "synthetic": params.dataset.source == "synthetic",
        "of_cnmc": params.dataset.of_cnmc,
        "dataset": dataset,
        "split": split,
        "evidence": evidence,
        "answer": evidence["answer"],
        "study": study,
        "focus": study.focus,
        "has_maps": maps,
        "diverged": [member.name for member in study.networks if member.diverged],
        "names": t.names(study),
        "measures": MEASURES,
        "single": [classifier for classifier in study.classifiers if classifier.kind == "single"],
        "ensembles": [classifier for classifier in study.classifiers if classifier.kind != "single"],
        "unweighted": [t.name(classifier) for classifier in study.classifiers if not (classifier.score > 0).any()],
        "best": _best,
        "cells": hard_cases.gallery(study, paths),
        "copies": pairs.read(paths) | {"people": pairs.by_subjects(dataset, t)},
        "published": published.grouped(published.beside(study, t("axis.this"))),
        "measures_given": published.reported,
        "errata": listed("errata.yaml", t.language) if params.dataset.of_cnmc else [],
        "checklist": checklist(params, about, t),
        "references": [entry for entry in listed("references.yaml", t.language) if _is_used(entry, params, maps)],
        "provenance": {"study": evidence["study"]}
        | provenance(paths, t)
        | {"computed": statements.computed(evidence["computed"], t), "training": t.count(len(epochs))},
        "montage": hard_cases.png_uri((paths.dataset_plots / "montage.png").read_bytes()),
        "systems": {name: claims.entry(name, t.language) for name in params.systems},
        "sections": [name for name in SECTIONS if _is_shown(name, params, evidence)],
    }


def _is_used(entry: dict[str, Any], params: Params, maps: bool) -> bool:
    """Whether a study uses a reference or is compared with it. A study of C-NMC is compared with all of them."""
    network = params.backbone
    where = {
        "tan2021": "efficientnetv2" in network.name,
        "tan2019": "efficientnet_" in network.name,
        "russakovsky2015": network.weights in ("pip", "hub"),
        "zhou2016": maps,
    }
    return params.dataset.of_cnmc or (entry["group"] not in OF_CNMC and where.get(entry["key"], True))


def _figures(content: dict[str, Any], epochs: pd.DataFrame, t: Text) -> dict[str, Figure]:
    study, evidence = content["study"], content["evidence"]
    params, reading, scheme = study.params, study.params.reading, study.params.weighting
    compared = [
        study.best_single(),
        study.inter(str(evidence["answer"]["lr"]), scheme),
        study.intra(reading, scheme),
    ]
    if study.focus not in compared:
        compared.append(study.focus)
    in_forest = [*study.champions(reading), *(study.inter(recipe, scheme) for recipe in params.grid), compared[2]]
    drawn = {
        "differences": figures.differences(study, evidence, t),
        "forest": figures.forest(study, in_forest, evidence["intervals"], t),
        "rates": figures.rates(study, t),
        "schemes": figures.schemes(study, t),
        "roc": figures.roc(study, compared, seed_for(params.seed, what="bands"), t),
        "pr": figures.precision_recall(study, compared, t),
        "confusion": figures.confusion_matrices(study, compared, t),
        "learning": figures.learning_curves(epochs, t),
    }
    if params.dataset.of_cnmc:
        drawn["published"] = figures.published(content["published"], t)
    for name, section in MEASURED.items():
        drawn |= section.figures(study, evidence[name], t)
    if evidence["systems"]:
        drawn["systems"] = systems.forest(study, evidence, t)
    if evidence["beside"]:
        drawn["beside"] = figures.beside(evidence, t)
    return drawn


def _is_shown(name: str, params: Params, evidence: dict[str, Any]) -> bool:
    """Whether a section applies to the study; published results and the errata of the thesis need C-NMC."""
    if name in ("published", "errata"):
        return params.dataset.of_cnmc
    return name not in ("beside", "people", "systems") or bool(evidence[name])


def _sort_key(value: float | None) -> float | str:
    """Return what page.js sorts a cell by: the number, or nothing if it is undefined."""
    number = defined(value)
    return "" if number is None else number


def _best(classifiers: list[Classifier], measure: str) -> float | None:
    """Return the highest value of a measure among the classifiers; None if it is undefined for all."""
    values = [classifier.row[measure] for classifier in classifiers]
    return max((value for value in values if value is not None), default=None)
