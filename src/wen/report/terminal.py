"""``wen results``: the result table and the verdicts, in the terminal."""

import sys
from itertools import groupby
from operator import attrgetter
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble.intra import champions
from wen.errors import WenError
from wen.files import read_json
from wen.integrity import one_run
from wen.report import statements
from wen.report.language import Text
from wen.results import gather
from wen.study import Classifier, Study
from wen.times import spent

SHOWN = ("f1", "kappa", "auc")
WIDTH = 100
"""Width in characters where the output is not a terminal."""


def run(params: Params, paths: Paths) -> None:
    """Print the result table, the verdicts, the published systems, the headline and the path of the report.

    Rows have validation accuracy, and test accuracy with its 95% interval. A star marks each learning rate's champion.

    Raises
    ------
    WenError
        If the report has not been written.
    """
    study, t = gather(params, paths), Text(params.report.language, params.dataset.classes)
    evidence = read_json(paths.evidence)
    _warn_of_other_runs(params, paths)
    terminal = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    measures = SHOWN if terminal.width >= 90 else SHOWN[1:]
    terminal.print(_table(study, evidence["intervals"], measures, t))
    terminal.print(t("results.champion"))
    for key in ("H1", "H2", "H3", "H4"):
        verdict = statements.verdict(key, evidence["hypotheses"][key], t)
        terminal.print(f"{t(key).removesuffix('.')}: {verdict}")
    of_test_set = filter(None, [statements.one_class(study.absent_class, t)])
    for caveat in (*of_test_set, *statements.caveats(evidence, params.weighting, t)):
        terminal.print(caveat)
    for row in evidence["systems"]:
        terminal.print(_system(row, t))
    focus = study.focus
    shown = ", ".join(f"{t('measure.' + name)} {t.stated(focus.row[name])}" for name in ("accuracy", *SHOWN))
    terminal.print(t("results.headline", focus=t.name(focus), shown=shown), style="bold")
    if study.is_optimistic:
        terminal.print(statements.optimism(study, t), style="bold")
    for stage, seconds in spent(paths).items():
        print(t("times.row", stage=stage, runs=len(seconds), minutes=t.number(sum(seconds) / 60, 1)))
    print(t("results.report", path=paths.report / "index.html"))


def _warn_of_other_runs(params: Params, paths: Paths) -> None:
    """Warn if the outputs are of several runs, as after `git checkout` without `dvc checkout`; dvc.lock is needed."""
    if (paths.root / "dvc.lock").is_file():
        try:
            one_run.check(params, paths, focus=True)
        except WenError as error:
            print(f"warning: the numbers below may be wrong: {error}", file=sys.stderr)


def _table(study: Study, intervals: dict[str, dict[str, list[float]]], measures: tuple[str, ...], t: Text) -> Table:
    split = study.params.split
    title = f"{t('section.tables')}: {study.params.dataset.name}, {statements.division(split.unit, split.test, t)}"
    table = Table(title=title, box=SIMPLE, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False)
    table.add_column(t("column.model"), no_wrap=True)
    headings = (t("axis.validation"), f"{t('axis.accuracy')} (95%)", *(t(f"measure.{measure}") for measure in measures))
    for heading in headings:
        table.add_column(heading.replace(" ", "\n"), justify="right", vertical="bottom", no_wrap=True)
    chosen = {study.single(member).id for member in champions([*study.models.values()], study.params.reading)}
    for _, group in groupby(study.classifiers, attrgetter("group")):
        for classifier in group:
            low, high = intervals[classifier.id]["accuracy"]
            table.add_row(
                t.name(classifier) + (" *" if classifier.id in chosen else ""),
                _validation_accuracy(classifier, t),
                f"{t.number(classifier.row['accuracy'])} ({t.number(low, 2)}\N{EN DASH}{t.number(high, 2)})",
                *(t.number(classifier.row[measure]) for measure in measures),
            )
        table.add_section()
    average = t("results.mean")
    for recipe, rows in study.averages.items():
        mean, deviation = rows["mean"], t.number(rows["std"]["accuracy"])
        spread = f"{t.number(mean['accuracy'])} ± {deviation}"
        shown = [t.number(mean[measure]) for measure in measures]
        table.add_row(f"{t.recipe(recipe)}: {average}", "", spread, *shown)
    return table


def _system(row: dict[str, Any], t: Text) -> str:
    """Describe a published system in a line: accuracy of its average, and the verdict on its paper's first claim."""
    name = t.system(row["name"])
    if row["state"] == "skipped":
        return t("results.skipped", name=name, networks=", ".join(row["missing"]))
    accuracy = row["estimates"]["accuracy"]
    low, high = (t.number(accuracy[limit], 2) for limit in ("low", "high"))
    line = t("results.system", name=name, accuracy=t.number(accuracy["value"]), low=low, high=high)
    if not row["verdict"]:
        return line
    first = row["claims"][0]
    claimed = t("systems.of", measure=t(f"measure.{first['measure']}"), value=t.number(first["value"]))
    return f"{line}; {t('systems.column.claimed')} {claimed}: {t('systems.verdict.' + row['verdict'])}"


def _validation_accuracy(classifier: Classifier, t: Text) -> str:
    """Accuracy of a single model on its validation fold; empty for an ensemble, whose members have different folds."""
    if classifier.kind != "single":
        return ""
    return t.number(classifier.members[0].validation_row()["accuracy"])
