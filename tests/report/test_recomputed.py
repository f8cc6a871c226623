"""Every number of the page, computed anew from the files of predictions by scikit-learn, scipy, statsmodels or by hand.

`recomputed` uses nothing of `wen.evaluation`, `wen.ensemble` or `wen.report`. What it finds has to be what
metrics/evidence.json holds, key by key; then the page is written once more, from these numbers, each of them marked: it
has to be the same page, and no number on it may be without a mark, but for those that texts and params.yaml hold.
"""

import html
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import study_values
from recomputed.evidence import dataset, evidence, split
from recomputed.figures import shown
from recomputed.marked import NUMBER, marked, unaccounted, unmarked
from recomputed.simulated import Simulated
from recomputed.source import Source, row
from report_study import write_study

from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import read_json
from wen.report import page
from wen.report.language import Text
from wen.results import curves, gather

NOT_RECOMPUTED: dict[str, str] = {
    "study": "the name of the study, a hash of its parameters and predictions; tests/report/test_identity.py",
}
"""Keys of evidence.json that are not computed anew, and why. It may only shrink."""
SOURCES = ("checklist", "errata", "references", "provenance", "published")
"""Sections that quote: guidelines, the thesis, papers, hashes and versions; tested by tests of their own."""

Made = tuple[Params, Paths, Source]


@pytest.fixture(scope="module", params=["image", "subject"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A study and its page: by image, folds combined; by subject and in Indonesian, rates combined."""
    values, root = study_values(), tmp_path_factory.mktemp(f"by-{request.param}")
    values["split"]["unit"] = request.param
    changes: dict[str, Any] = {}
    if request.param == "subject":
        changes = {"ensemble": "intra", "reading": "as_written", "report": {"language": "id"}}
    params, paths = write_study(root, values, skill=0.4, **changes)
    page.run(params, paths)
    return params, paths, Source(params, root)


@pytest.fixture(scope="module")
def found(made: Made) -> dict[str, Any]:
    return evidence(made[2])


def differences(held: Any, own: Any, path: str = "") -> list[str]:
    """Where what is held is not what was computed anew."""
    if path.strip(".") in NOT_RECOMPUTED:
        return []
    if isinstance(held, dict) and isinstance(own, dict):
        keys = held.keys() | own.keys() - NOT_RECOMPUTED.keys()
        return [
            line
            for key in sorted(keys)
            for line in differences(held.get(key, "missing"), own.get(key, "missing"), f"{path}.{key}")
        ]
    if isinstance(held, list) and isinstance(own, list | tuple | np.ndarray) and len(held) == len(own):
        return [
            line for k, pair in enumerate(zip(held, own, strict=True)) for line in differences(*pair, f"{path}.{k}")
        ]
    return [] if _equal(held, own) else [f"{path}: {held}, computed anew {own}"]


def _equal(held: Any, own: Any) -> bool:
    if isinstance(own, Simulated):
        return isinstance(held, float) and abs(held - own.value) <= own.tolerance
    if isinstance(own, float | np.floating) and not math.isfinite(own):
        return held is None
    if isinstance(held, float) and isinstance(own, int | float | np.number):
        return math.isclose(held, own, rel_tol=1e-6, abs_tol=1e-9)
    return bool(held == own)


def settled(held: Any, own: Any) -> Any:
    """What was computed anew; where only a simulation's draws or rounding make a difference, what the study holds."""
    if isinstance(own, dict):
        return {key: settled(held.get(key), value) for key, value in own.items()}
    if isinstance(own, list):
        return [settled(*pair) for pair in zip(held, own, strict=True)]
    by_rounding = isinstance(own, float) and isinstance(held, float) and math.isclose(held, own, rel_tol=1e-12)
    return held if isinstance(own, Simulated) or by_rounding else own


def agreed(held: Any, own: Any) -> Any:
    """What was computed anew, marked, if it is what the study holds."""
    assert differences(held, own) == []
    return marked(settled(held, own))


def test_every_number_of_evidence_json_is_what_is_computed_anew(made: Made, found: dict[str, Any]) -> None:
    assert differences(read_json(made[1].evidence), found) == []


def test_what_is_not_computed_anew_is_no_more_than_names() -> None:
    assert set(NOT_RECOMPUTED) <= {"study"}


def test_counts_of_images_are_those_of_the_tables(made: Made) -> None:
    _, paths, source = made
    for held, own in ((paths.dataset_metrics, dataset(source)), (paths.split_metrics, split(source))):
        assert differences(_only(read_json(held), own), own) == []


def _only(held: Any, own: Any) -> Any:
    return {key: _only(held[key], value) for key, value in own.items()} if isinstance(own, dict) else held


def test_the_page_written_from_what_is_computed_anew_is_the_same_and_has_no_other_number(
    made: Made, found: dict[str, Any]
) -> None:
    params, paths, source = made
    t = Text(params.report.language)
    content = contents(params, paths, source, found, t)
    environment = page._environment(t)
    environment.filters["length"] = lambda values: marked(len(values))
    written = environment.get_template("report.html").render(content)
    own, held = (_bare(text) for text in (written, (paths.report / "index.html").read_text(encoding="utf-8")))
    assert unmarked(own).splitlines() == held.splitlines()
    declared = texts_numbers(t, params, content, source)
    for name in content["sections"]:
        if name not in SOURCES:
            section = own.split(f'<section id="{name}">')[1].split("</section>")[0]
            assert unaccounted(html.unescape(section), declared) == [], name


def contents(params: Params, paths: Paths, source: Source, found: dict[str, Any], t: Text) -> dict[str, Any]:
    """What the page is written from, with every number that is computed anew in the place of the study's own."""
    held = read_json(paths.evidence)
    study = gather(params, paths)
    content = page._content(study, paths, held, curves(params, paths), t)
    own = marked(settled(held, found)) | {key: held[key] for key in NOT_RECOMPUTED}
    stand_ins = {id: stand_in(study_own, source) for study_own in study.classifiers for id in [study_own.id]}
    by_kind = {kind: [stand_ins[own.id] for own in content[kind]] for kind in ("single", "ensembles")}
    pictures = {path.stem: "" for path in (paths.report / "figures").glob("*.svg")}
    return content | by_kind | {
        "evidence": own, "answer": own["answer"], "focus": stand_ins[source.focus.id],
        "study": SimpleNamespace(averages=agreed(study.averages, source.averages())), "figures": pictures,
        "dataset": content["dataset"] | marked(dataset(source)),
        "split": content["split"] | marked(split(source)),
        "cells": {kind: [cell(one, source) for one in cells] for kind, cells in content["cells"].items()},
        "copies": marked(content["copies"]),
    }  # fmt: skip


def stand_in(own: Any, source: Source) -> SimpleNamespace:
    """A classifier with the numbers that are computed anew."""
    computed = source.classifiers[own.id]
    models = [
        SimpleNamespace(
            name=str(model["name"]),
            origin=marked(
                {"stage": {"head": 1, "finetune": 2}[str(model["stage"])], "epoch": int(model["epoch"])}
                if str(model["stage"])
                else {}
            ),
        )
        for model in computed.members
    ]
    return SimpleNamespace(
        id=own.id, kind=own.kind, members=models, row=agreed(own.row, row(source.label, computed.probability)),
        weight=agreed(own.weight.tolist(), computed.about.get("weight", [1.0])),
        score=agreed(own.score.tolist(), computed.about.get("score", [1.0])),
    )  # fmt: skip


def cell(shown: dict[str, Any], source: Source) -> dict[str, Any]:
    """A hard case, with its probabilities from the files."""
    k = source.cells.id.tolist().index(shown["id"])
    members = [(str(model["name"]), model["test_probability"][k]) for model in source.focus.members]
    return shown | {
        "probability": marked(source.focus.probability[k]), "members": [(name, marked(p)) for name, p in members]
    }  # fmt: skip


def _bare(page_text: str) -> str:
    """A page without drawings, and without what tables are sorted by."""
    text = re.sub(r'(<div class="picture"[^>]*>).*?(</div>)', r"\1\2", page_text, flags=re.DOTALL)
    return re.sub(r' data-sort="[^"]*"', "", text)


def texts_numbers(t: Text, params: Params, content: dict[str, Any], source: Source) -> set[str]:
    """Numbers that are no result: of texts, params.yaml, and names of models, cells and subjects."""
    texts = [re.sub(r"{[^}]*}", " ", entry[t.language]) for entry in t.catalogue.values()]
    names = [*content["names"].values(), *source.cells.id, *map(str, source.cells.subject)]
    settings = [f"{value:g}" for value in _numbers(params.model_dump(exclude={"report": {"bootstrap"}}))]
    settings += [
        f"{100 * params.report.margin:.1f}",
        f"{100 * params.report.prevalences[0]:g}",
        f"{params.dataset.near_difference:.1f}",
    ]
    return {number for text in (*texts, *names, *settings, *map(t.marked, settings)) for number in NUMBER.findall(text)}


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for own in value.values() for number in _numbers(own)]
    if isinstance(value, list | tuple):
        return [number for own in value for number in _numbers(own)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_every_value_that_a_figure_draws_is_one_that_is_computed_anew(made: Made, found: dict[str, Any]) -> None:
    """As its CSV has it, to nine digits; only the places of rows and of dots beside each other are no values."""
    _, paths, source = made
    values = shown(source, settled(read_json(paths.evidence), found))
    drawn = {path.stem: pd.read_csv(path) for path in (paths.report / "figures").glob("*.csv")}
    assert drawn.keys() == values.keys()
    for name, (columns, known) in values.items():
        own = np.concatenate([drawn[name][column].dropna().to_numpy(float) for column in columns])
        known = np.sort([value for value in known if value is not None and np.isfinite(value)])
        nearest = np.abs(own[:, None] - known).min(axis=1)
        assert own[nearest > 1e-9].tolist() == [], name


def test_a_number_without_a_mark_is_found_with_its_sentence() -> None:
    text = f"<p>On {marked(48)} images it is {marked(0.8125):.3f}.</p>\n<p>That is 0.77 more than 95%.</p>"
    assert unaccounted(text, {"95"}) == ["That is 0.77 more than 95%."]
    assert unmarked(f"{-marked(0.25) * 100:.1f} of {marked(3) + 4}") == "-25.0 of 7"
