"""``wen results``: the result table in the terminal."""

from rich.console import Console
from rich.table import Table

from wen.files import read_json
from wen.params import Params
from wen.paths import Paths
from wen.report.tables import in_focus, results

SHOWN = ("accuracy", "precision", "recall", "f1", "kappa", "auc")


def run(params: Params, paths: Paths) -> None:
    """Print single models, ensembles and the headline, and say where the report is."""
    table = Table(title=f"Test results: {params.dataset.source} data, split by {params.split.unit}")
    table.add_column("model")
    for measure in SHOWN:
        table.add_column(measure, justify="right")
    for _, group in results(params, paths).groupby(["group"], sort=False):
        for row in group.to_dict("records"):
            table.add_row(row["name"], *(f"{row[measure]:.3f}" for measure in SHOWN))
        table.add_section()
    headline = read_json(paths.headline)
    name = f"headline: {in_focus(params, paths).name}"
    table.add_row(name, *(f"{headline[measure]:.3f}" for measure in SHOWN), style="bold")
    Console(width=max(Console().width, 110)).print(table)
    print(f"report: {paths.report / 'index.html'}")
