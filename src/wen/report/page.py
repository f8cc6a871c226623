"""Stage ``report``: the headline, the data of ``dvc plots``, and one self-contained page."""

import base64
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from wen.evaluation.metrics import evaluate
from wen.files import read_json, write_json, write_text
from wen.params import Params
from wen.paths import Paths
from wen.report import figures, plots, tables
from wen.report.provenance import provenance


def run(params: Params, paths: Paths) -> None:
    """Write metrics/headline.json, plots/headline/ and report/index.html.

    Raises
    ------
    WenError
        If an earlier stage's output is missing.
    """
    results = tables.results(params, paths)
    curves = tables.curves(params, paths)
    focus = tables.in_focus(params, paths)
    row = evaluate(focus.label, focus.probability)
    plots.write(params, focus, results, curves, paths.plots)
    write_text(paths.report / "index.html", _page(params, paths, results, curves, focus, row))
    write_json(paths.headline, row)


def _page(
    params: Params,
    paths: Paths,
    results: pd.DataFrame,
    curves: pd.DataFrame,
    focus: tables.Classifier,
    row: dict[str, float],
) -> str:
    environment = Environment(
        loader=PackageLoader("wen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    compared = [tables.classifier(params, paths, kind) for kind in ("single", "inter", "intra")]
    dataset_figures = ("classes.svg", "subjects.svg", "statistics.svg", "montage.png")
    return environment.get_template("report.html").render(
        params=params,
        params_text=paths.params.read_text(encoding="utf-8"),
        focus=focus,
        headline=row,
        measures=tables.MEASURES,
        counts=tables.COUNTS,
        groups=_groups(results),
        weights=_weight_table(tables.weights(params, paths)),
        dataset=read_json(paths.dataset_metrics),
        split=read_json(paths.split_metrics),
        provenance=provenance(paths),
        roc=figures.roc(compared),
        confusion=figures.confusion_matrix(focus),
        learning=figures.learning_curves(curves),
        rates=figures.rates(results, params.weighting),
        schemes=figures.schemes(results),
        pictures={name: _data_uri(paths.dataset_plots / name) for name in dataset_figures},
    )


def _groups(results: pd.DataFrame) -> list[tuple[Any, list[dict[Any, Any]]]]:
    return [(group, own.to_dict("records")) for group, own in results.groupby("group", sort=False)]


def _weight_table(weights: pd.DataFrame) -> list[dict[str, Any]]:
    """One row an ensemble: its scheme and each member with M_k and w_k."""
    return [
        {"ensemble": ensemble, "scheme": scheme, "members": own.to_dict("records")}
        for (ensemble, scheme), own in weights.groupby(["ensemble", "scheme"], sort=False)
    ]


def _data_uri(path: Any) -> str:
    kind = "image/svg+xml" if path.suffix == ".svg" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
