"""``wen results``: the result table in the terminal."""

from rich.console import Console
from rich.table import Table

from wen.config.params import Params
from wen.config.paths import Paths
from wen.report.language import Text
from wen.results import gather
from wen.times import spent

SHOWN = ("accuracy", "precision", "recall", "f1", "kappa", "auc")


def run(params: Params, paths: Paths) -> None:
    """Print single models, ensembles and the headline, and say where the report is."""
    study, t = gather(params, paths), Text(params.report.language)
    table = Table(title=f"{t('section.tables')}: {params.dataset.source}, {t('unit.' + params.split.unit)}")
    table.add_column(t("column.model"), no_wrap=True)
    for measure in SHOWN:
        table.add_column(t(f"measure.{measure}"), justify="right")
    previous = None
    for classifier in study.classifiers:
        group = (classifier.kind, classifier.recipe, classifier.reading)
        if previous not in (None, group):
            table.add_section()
        previous = group
        table.add_row(t.name(classifier), *(f"{classifier.row[measure]:.3f}" for measure in SHOWN))
    table.add_section()
    for recipe, rows in study.averages.items():
        spread = [f"{rows['mean'][measure]:.3f} ± {rows['std'][measure]:.3f}" for measure in SHOWN]
        table.add_row(t.recipe(recipe), *spread)
    table.add_section()
    focus = study.focus
    table.add_row(f"headline: {t.name(focus)}", *(f"{focus.row[measure]:.3f}" for measure in SHOWN), style="bold")
    Console(width=max(Console().width, 110)).print(table)
    for stage, seconds in spent(paths).items():
        print(t("times.row", stage=stage, runs=len(seconds), minutes=f"{sum(seconds) / 60:.1f}"))
    print(f"report: {paths.report / 'index.html'}")
