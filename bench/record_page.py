"""docs/results/: what the studies of the record gave, as one page, and each one's tables and figures."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wen.config.paths import Paths
from wen.config.read import load
from wen.evaluation.metrics import decide
from wen.files import atomic, read_json, write_text
from wen.results import Study, gather
from wen.times import spent

FIGURES = {
    "forest": "Accuracy of champions and ensembles",
    "differences": "Differences in accuracy between ensembles and what they are compared with",
    "subjects": "Accuracy for each person",
    "repeats": "Heads on frozen features over many splits",
}
"""Of a report, the figures that the page shows, where the study has them; none shows a cell."""
HEAD = """# The record on real cells

{how}.

Below are {done} of {all} studies{left}. Each is the laptop profile with what
bench/record.yaml says; the folder of its name has its params.yaml, tables and
figures.

C-NMC 2019: A. Gupta, R. Gupta, The Cancer Imaging Archive, CC BY 3.0; no image of it is shown.
"""
WAYS = {"subject": "by subject", "image": "by image", "image_without_copies": "by image, without copies"}
ROLES = {"rate": "learning rate ", "baseline": "baseline ", "system": ""}
Row = list[str]


@dataclass(frozen=True)
class Done:
    """A study of which the report is written."""

    name: str
    root: Path

    @property
    def paths(self) -> Paths:
        return Paths(self.root)

    @cached_property
    def study(self) -> Study:
        return gather(load(self.paths.params), self.paths)

    @cached_property
    def evidence(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.paths.evidence)
        return found

    @cached_property
    def split(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.paths.split_metrics)
        return found


def write(studies: Mapping[str, Path], target: Path, how: str) -> None:
    """Write the page of all studies that are done, and a folder for each.

    Parameters
    ----------
    studies : dict of str to Path
        Where each one lies, whether or not it is done.
    target : Path
        The folder of the page.
    how : str
        How, where and at which commit they were run, without a full stop.
    """
    done = [Done(name, root) for name, root in studies.items() if (root / "report/index.html").is_file()]
    missing = sorted(set(studies) - {own.name for own in done})
    left = f" (not there: {', '.join(missing)})" if missing else ""
    with atomic(target) as partial:
        partial.mkdir(parents=True)
        for own in done:
            _keep(own, partial / own.name)
        head = HEAD.format(how=how, done=len(done), all=len(studies), left=left)
        sections = [_section(*section, done) for section in SECTIONS]
        write_text(partial / "README.md", "\n".join([head, *filter(None, sections), *_figures(partial, done)]))


def _keep(own: Done, target: Path) -> None:
    """Copy a study's parameters, tables and figures; nothing that shows a cell."""
    (target / "figures").mkdir(parents=True)
    shutil.copy(own.paths.params, target)
    shutil.copytree(own.paths.report / "tables", target / "tables", ignore=shutil.ignore_patterns("*.tex"))
    for figure in (own.paths.report / f"figures/{name}.svg" for name in FIGURES):
        if figure.is_file():
            shutil.copy(figure, target / "figures")


def _figures(target: Path, done: list[Done]) -> Iterator[str]:
    for own in done:
        kept = [name for name in FIGURES if (target / own.name / f"figures/{name}.svg").is_file()]
        images = [f"![{FIGURES[name]}]({own.name}/figures/{name}.svg)\n" for name in kept]
        yield "\n".join([f"## Figures: {own.name}\n", *images])


def _section(title: str, columns: Sequence[str], rows: Callable[[Done], Iterator[Row]], done: list[Done]) -> str:
    """A table of all studies' rows, of which those with equal rows share them; nothing if there are no rows."""
    names: dict[tuple[str, ...], list[str]] = {}
    for own in done:
        for name, *cells in rows(own):
            names.setdefault(tuple(cells), []).append(name)
    if not names:
        return ""
    lines = [columns, ["---"] * len(columns), *([", ".join(own), *cells] for cells, own in names.items())]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _sizes(own: Done) -> Iterator[Row]:
    parts = [own.split[part] for part in ("test", "development", "excluded")]
    verdicts = [own.evidence["hypotheses"][key]["verdict"].replace("_", " ") for key in ("H1", "H2", "H3", "H4")]
    yield [own.name, *(f"{part['images']:,} of {part['subjects']}" for part in parts), *verdicts]


def _results(own: Done) -> Iterator[Row]:
    for row in own.evidence["summary"]:
        spread = f"({row['deviation']:.3f})" if "deviation" in row else f"[{row['low']:.3f}, {row['high']:.3f}]"
        name = row.get("id") or f"{ROLES[row['role']]}{row['recipe'].split('/')[-1]}, mean (standard deviation)"
        yield [own.name, name, f"{row['accuracy']:.3f} {spread}", f"{row['kappa']:.3f}", f"{row['auc']:.3f}"]


def _without_copies(own: Done) -> Iterator[Row]:
    """Accuracy of the same classifiers with and without the test images that have a copy in development."""
    shared = own.split["test_and_development"]
    copied = own.study.cells.id.isin([*shared["duplicates"], *shared["near_copies"]]).to_numpy()
    chosen = [row["id"] for row in own.evidence["summary"] if "id" in row]
    if not copied.any():
        return
    for classifier in (found for found in own.study.classifiers if found.id in chosen):
        right = decide(classifier.probability) == own.study.label
        groups = [f"{right[rows].mean():.3f} of {rows.sum():,}" for rows in (~np.zeros_like(copied), ~copied, copied)]
        yield [own.name, classifier.id, *groups]


def _people(own: Done) -> Iterator[Row]:
    """Of the classifier in focus, how many people it calls right by their images' mean probability."""
    found = own.evidence["people"]
    verdict, auc = found["verdicts"]["mean"], found["auc"]
    rates = [_with_interval(verdict[key]) for key in ("sensitivity", "specificity")]
    right = f"{verdict['right']} of {verdict['subjects']}"
    yield [own.name, found["id"], right, *rates, _with_interval(auc) if auc else "", _with_interval(found["accuracy"])]


def _calibration(own: Done) -> Iterator[Row]:
    row = own.evidence["calibration"]["models"][0]
    spans = [_with_interval(row[key]) for key in ("slope", "in_the_large")]
    yield [own.name, row["id"], f"{row['ece']:.3f}", f"{row['calibrated']['high']:.3f}", f"{row['brier']:.3f}", *spans]


def _with_interval(found: Mapping[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _repeats(own: Done) -> Iterator[Row]:
    for way in own.evidence["repeats"]["ways"]:
        for row in way["classifiers"]:
            spread = f"{row['median']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            yield [own.name, WAYS[way["split"]], str(way["splits"]), row["name"], spread]


def _times(own: Done) -> Iterator[Row]:
    times = spent(own.paths)
    if "train-fold" not in times:  # the models were trained elsewhere
        return
    for stage, seconds in times.items():
        yield [own.name, stage, str(len(seconds)), f"{sum(seconds) / 60:.1f}"]


SECTIONS = (
    ("The studies", ("study", "test images, of people", "development", "left out", "H1", "H2", "H3", "H4"), _sizes),
    ("On the test set", ("study", "classifier", "accuracy (sd over folds), [95%]", "kappa", "AUC"), _results),
    (
        "With and without test images that have a copy, exact or near, in development",
        ("study", "classifier", "accuracy of all", "without copies", "copies alone"),
        _without_copies,
    ),
    (
        "People: of the classifier in focus, who is called right by the mean over their images",
        ("study", "classifier", "right", "sensitivity [95%]", "specificity", "AUC over people", "accuracy by person"),
        _people,
    ),
    (
        "Calibration of the classifier in focus",
        ("study", "classifier", "ECE", "97.5% of ECE if calibrated", "Brier score", "slope [95%]", "in the large"),
        _calibration,
    ),
    (
        "Heads on frozen features over many splits: median accuracy, and 5 to 95% of them",
        ("study", "split", "splits", "classifier", "accuracy"),
        _repeats,
    ),
    ("What it took here; what another study here had done is not in it", ("study", "stage", "runs", "minutes"), _times),
)
