"""docs/results/: the results of the record's studies on one page, and the tables and figures of each study."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.files import atomic, read_json, write_json, write_text
from wen.results import gather
from wen.study import Study
from wen.times import spent

FIGURES = {
    "forest": "Accuracy of champions and ensembles",
    "differences": "Differences in accuracy between ensembles and what they are compared with",
    "subjects": "Accuracy for each person",
    "repeats": "Heads on frozen features over many splits",
}
"""Figures of a report that the page shows if the study has them; none shows a cell."""
ROWS = "rows.json"
"""Rows of a study on the page, and how it was run."""
HEAD = """# The record on real cells

{how}

This page has {done} of the {all} studies of bench/record.yaml{left}. Each is the laptop profile with the
settings given there; the folder with its name has its params.yaml, tables and figures.

Tests and 95% intervals are over people in the studies with by-subject in their names. In the others they are over
images, as if those of one person were independent, so intervals can be too narrow.

C-NMC 2019: A. Gupta, R. Gupta, The Cancer Imaging Archive, CC BY 3.0; no image of it is shown.
"""
WAYS = {"subject": "by subject", "image": "by image", "image_without_copies": "by image, without copies"}
ROLES = {"rate": "learning rate ", "baseline": "baseline ", "system": ""}
Row = list[str]


@dataclass(frozen=True)
class Done:
    """A study whose report is written."""

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
    """Write the page, and a folder for each study.

    A study that an earlier page has and this machine does not keeps its folder, with its rows in ``rows.json``. So
    several machines can run the studies; the page states how each one was run.

    Parameters
    ----------
    studies : dict of str to Path
        Folder of each study, finished or not.
    target : Path
        The folder of the page.
    how : str
        How, where and at which commit those at hand were run, without a full stop.
    """
    rows: dict[str, Any] = {}
    with atomic(target) as partial:
        partial.mkdir(parents=True)
        for name, root in studies.items():
            kept = target / name
            if (root / "report/index.html").is_file():
                _keep(Done(root), partial / name, how)
            elif (kept / ROWS).is_file():
                shutil.copytree(kept, partial / name)
            else:
                continue
            rows[name] = read_json(partial / name / ROWS)
        missing = ", ".join(name for name in studies if name not in rows)
        left = f" ({missing}: not run yet)" if missing else ""
        head = HEAD.format(how=_how(rows), done=len(rows), all=len(studies), left=left)
        sections = [_section(key, rows) for key in SECTIONS]
        write_text(partial / "README.md", "\n".join([head, *filter(None, sections), *_figures(partial, rows)]))


def _keep(done: Done, target: Path, how: str) -> None:
    """Copy a study's parameters, tables and figures, none of which shows a cell, and write its rows of the page."""
    (target / "figures").mkdir(parents=True)
    shutil.copy(done.paths.params, target)
    shutil.copytree(done.paths.report / "tables", target / "tables", ignore=shutil.ignore_patterns("*.tex"))
    for figure in (done.paths.report / f"figures/{name}.svg" for name in FIGURES):
        if figure.is_file():
            shutil.copy(figure, target / "figures")
    write_json(target / ROWS, {"how": how} | {key: list(rows(done)) for key, (_, _, rows) in SECTIONS.items()})


def _how(rows: Mapping[str, Any]) -> str:
    """State how the studies were run: in one sentence, or one line per way."""
    ways: dict[str, list[str]] = {}
    for name, found in rows.items():
        ways.setdefault(found["how"], []).append(name)
    if len(ways) < 2:
        return "".join(f"{how}." for how in ways)
    return "\n".join(f"- {', '.join(names)}: {how}." for how, names in ways.items())


def _figures(target: Path, names: Iterable[str]) -> Iterator[str]:
    for study in names:
        kept = [name for name in FIGURES if (target / study / f"figures/{name}.svg").is_file()]
        images = [f"![{FIGURES[name]}]({study}/figures/{name}.svg)\n" for name in kept]
        yield "\n".join([f"## Figures: {study}\n", *images])


def _section(key: str, rows: Mapping[str, Any]) -> str:
    """Return a table of the rows of all studies, in which studies with equal rows share them; empty without rows."""
    title, columns, _ = SECTIONS[key]
    names: dict[tuple[str, ...], list[str]] = {}
    for name, found in rows.items():
        for cells in found.get(key, []):
            if len(cells) != len(columns) - 1:
                raise WenError(f"docs/results/{name}/{ROWS}: {key} has other columns now; run this study again")
            names.setdefault(tuple(cells), []).append(name)
    if not names:
        return ""
    lines = [columns, ["---"] * len(columns), *([", ".join(studies), *cells] for cells, studies in names.items())]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _sizes(done: Done) -> Iterator[Row]:
    parts = [done.split[part] for part in ("test", "development", "excluded")]
    verdicts = [done.evidence["hypotheses"][key]["verdict"].replace("_", " ") for key in ("H1", "H2", "H3", "H4")]
    yield [*(f"{part['images']:,} of {part['subjects']}" for part in parts), *verdicts]


def _results(done: Done) -> Iterator[Row]:
    for row in done.evidence["summary"]:
        spread = f"({row['deviation']:.3f})" if "deviation" in row else f"[{row['low']:.3f}, {row['high']:.3f}]"
        name = row.get("id") or f"{ROLES[row['role']]}{row['recipe'].split('/')[-1]}, mean (standard deviation)"
        yield [name, f"{row['accuracy']:.3f} {spread}", f"{row['kappa']:.3f}", f"{row['auc']:.3f}"]


def _baselines(done: Done) -> Iterator[Row]:
    """Return the accuracy of the average of each baseline's fold models, and the gain of the classifier in focus."""
    found = done.evidence["baselines"]
    for row in found["baselines"]:
        gain = row["gain"]["accuracy"]
        points = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * gain[key] for key in ("difference", "low", "high")))
        p = "< 0.001" if gain["p_adjusted"] < 0.001 else f"{gain['p_adjusted']:.3f}"
        yield [found["headline"], row["id"].split("/")[-1], f"{row['accuracy']:.3f}", points, p]


def _without_copies(done: Done) -> Iterator[Row]:
    """Return the accuracy of classifiers with and without the test images that have a copy in development."""
    shared = done.split["test_and_development"]
    copied = done.study.cells.id.isin([*shared["duplicates"], *(shared["near_copies"] or ())]).to_numpy()
    chosen = [row["id"] for row in done.evidence["summary"] if "id" in row]
    if not copied.any():
        return
    for classifier in (found for found in done.study.classifiers if found.id in chosen):
        right = decide(classifier.probability) == done.study.label
        groups = [f"{right[rows].mean():.3f} of {rows.sum():,}" for rows in (~np.zeros_like(copied), ~copied, copied)]
        yield [classifier.id, *groups]


def _people(done: Done) -> Iterator[Row]:
    """Count the people whom the classifier in focus classifies correctly by the mean probability over their images."""
    found = done.evidence["people"]
    verdict, auc = found["verdicts"]["mean"], found["auc"]
    rates = [_with_interval(verdict[key]) for key in ("sensitivity", "specificity")]
    right = f"{verdict['right']} of {verdict['subjects']}"
    yield [found["id"], right, *rates, _with_interval(auc) if auc else "", _with_interval(found["accuracy"])]


def _calibration(done: Done) -> Iterator[Row]:
    row = done.evidence["calibration"]["models"][0]
    spans = [_with_interval(row[key]) for key in ("slope", "in_the_large")]
    yield [row["id"], f"{row['ece']:.3f}", f"{row['calibrated']['high']:.3f}", f"{row['brier']:.3f}", *spans]


def _with_interval(found: Mapping[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _repeats(done: Done) -> Iterator[Row]:
    for way in done.evidence["repeats"]["ways"]:
        for row in way["classifiers"]:
            spread = f"{row['median']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            yield [WAYS[way["split"]], str(way["splits"]), row["name"], spread]


def _times(done: Done) -> Iterator[Row]:
    times = spent(done.paths)
    if "train-fold" not in times:  # the models were trained elsewhere
        return
    for stage, seconds in times.items():
        yield [stage, str(len(seconds)), f"{sum(seconds) / 60:.1f}"]


SECTIONS: dict[str, tuple[str, Sequence[str], Callable[[Done], Iterator[Row]]]] = {
    "sizes": (
        "The studies",
        ("study", "test images, of people", "development", "left out", "H1", "H2", "H3", "H4"),
        _sizes,
    ),
    "results": (
        "On the test set",
        ("study", "classifier", "accuracy (sd over folds), [95%]", "kappa", "AUC"),
        _results,
    ),
    "baselines": (
        "Gain of the classifier in focus over the average of each baseline's fold models",
        ("study", "classifier", "baseline", "its accuracy", "gain in accuracy, points [95%]", "adjusted p"),
        _baselines,
    ),
    "without_copies": (
        "With and without test images that have a copy, exact or near, in development",
        ("study", "classifier", "accuracy of all", "without copies", "only the copies"),
        _without_copies,
    ),
    "people": (
        "People whom the classifier in focus classifies correctly, by the mean probability over their images",
        ("study", "classifier", "right", "sensitivity [95%]", "specificity", "AUC over people", "accuracy by person"),
        _people,
    ),
    "calibration": (
        "Calibration of the classifier in focus",
        ("study", "classifier", "ECE", "97.5% of ECE if calibrated", "Brier score", "slope [95%]", "in the large"),
        _calibration,
    ),
    "repeats": (
        "Heads on frozen features over many splits: median accuracy, and 5% and 95% quantiles",
        ("study", "split", "splits", "classifier", "accuracy"),
        _repeats,
    ),
    "times": (
        "Minutes per stage, without runs that another study of the record had already cached on that machine",
        ("study", "stage", "runs", "minutes"),
        _times,
    ),
}
"""Sections of the page: a key in ``rows.json``, the heading, the columns, and the rows of a study, without its name."""
