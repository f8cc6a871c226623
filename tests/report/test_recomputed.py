"""Every number of the page, recomputed from the prediction files by scikit-learn, scipy, statsmodels or by hand.

`recomputed` uses nothing of `wen.evaluation`, `wen.ensemble` or `wen.report`. What it finds must be what
metrics/evidence.json holds, key by key; then the page is written once more, from these numbers, each of them marked: it
must be the same page, and no number on it may be without a mark, but for those that texts and params.yaml hold.
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
"""Keys of evidence.json that are not recomputed, and why. It may only shrink."""
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


def differences(held: Any, computed: Any, path: str = "") -> list[str]:
    """List each place where the study's value differs from the recomputed one."""
    if path.strip(".") in NOT_RECOMPUTED:
        return []
    if isinstance(held, dict) and isinstance(computed, dict):
        keys = held.keys() | computed.keys() - NOT_RECOMPUTED.keys()
        return [
            line
            for key in sorted(keys)
            for line in differences(held.get(key, "missing"), computed.get(key, "missing"), f"{path}.{key}")
        ]
    if isinstance(held, list) and isinstance(computed, list | tuple | np.ndarray) and len(held) == len(computed):
        return [
            line
            for k, pair in enumerate(zip(held, computed, strict=True))
            for line in differences(*pair, f"{path}.{k}")
        ]
    return [] if _equal(held, computed) else [f"{path}: {held}, recomputed {computed}"]


def _equal(held: Any, computed: Any) -> bool:
    if isinstance(computed, Simulated):
        return isinstance(held, float) and abs(held - computed.value) <= computed.tolerance
    if isinstance(computed, float | np.floating) and not math.isfinite(computed):
        return held is None
    if isinstance(held, float) and isinstance(computed, int | float | np.number):
        return math.isclose(held, computed, rel_tol=1e-6, abs_tol=1e-9)
    return bool(held == computed)


def settled(held: Any, computed: Any) -> Any:
    """The recomputed value, or the study's where they differ only by simulation or rounding."""
    if isinstance(computed, dict):
        return {key: settled(held.get(key), value) for key, value in computed.items()}
    if isinstance(computed, list):
        return [settled(*pair) for pair in zip(held, computed, strict=True)]
    by_rounding = (
        isinstance(computed, float) and isinstance(held, float) and math.isclose(held, computed, rel_tol=1e-12)
    )
    return held if isinstance(computed, Simulated) or by_rounding else computed


def agreed(held: Any, computed: Any) -> Any:
    """Assert that the recomputed value equals the study's, and return it marked."""
    assert differences(held, computed) == []
    return marked(settled(held, computed))


def test_every_number_of_evidence_json_is_what_is_recomputed(made: Made, found: dict[str, Any]) -> None:
    assert differences(read_json(made[1].evidence), found) == []


def test_only_names_are_not_recomputed() -> None:
    assert set(NOT_RECOMPUTED) <= {"study"}


def test_counts_of_images_are_those_of_the_tables(made: Made) -> None:
    _, paths, source = made
    for held, computed in ((paths.dataset_metrics, dataset(source)), (paths.split_metrics, split(source))):
        assert differences(_only(read_json(held), computed), computed) == []


def _only(held: Any, computed: Any) -> Any:
    return {key: _only(held[key], value) for key, value in computed.items()} if isinstance(computed, dict) else held


def test_the_page_written_from_recomputed_values_is_the_same_and_has_no_other_number(
    made: Made, found: dict[str, Any]
) -> None:
    params, paths, source = made
    t = Text(params.report.language)
    content = contents(params, paths, source, found, t)
    environment = page._environment(t)
    environment.filters["length"] = lambda values: marked(len(values))
    written = environment.get_template("report.html").render(content)
    computed, held = (_bare(text) for text in (written, (paths.report / "index.html").read_text(encoding="utf-8")))
    assert unmarked(computed).splitlines() == held.splitlines()
    declared = texts_numbers(t, params, content, source)
    for name in content["sections"]:
        if name not in SOURCES:
            section = computed.split(f'<section id="{name}">')[1].split("</section>")[0]
            assert unaccounted(html.unescape(section), declared) == [], name


def contents(params: Params, paths: Paths, source: Source, found: dict[str, Any], t: Text) -> dict[str, Any]:
    """The content of the page with recomputed numbers in place of the study's."""
    held = read_json(paths.evidence)
    study = gather(params, paths)
    content = page._content(study, paths, held, curves(params, paths), t)
    computed = marked(settled(held, found)) | {key: held[key] for key in NOT_RECOMPUTED}
    stand_ins = {id: stand_in(classifier, source) for classifier in study.classifiers for id in [classifier.id]}
    by_kind = {kind: [stand_ins[classifier.id] for classifier in content[kind]] for kind in ("single", "ensembles")}
    pictures = {path.stem: "" for path in (paths.report / "figures").glob("*.svg")}
    of_classes = [(source.label == kind).any() for kind in (0, 1)]
    about = SimpleNamespace(
        averages=agreed(study.averages, source.averages()), focus=study.focus,
        absent_class=None if all(of_classes) else of_classes.index(False),
        is_optimistic=params.reading == "as_written" and params.ensemble in ("single", "intra"),
    )  # fmt: skip
    return content | by_kind | {
        "evidence": computed, "answer": computed["answer"], "focus": stand_ins[source.focus.id],
        "study": about, "figures": pictures,
        "dataset": content["dataset"] | marked(dataset(source)),
        "split": content["split"] | marked(split(source)),
        "cells": {kind: [cell(one, source) for one in cells] for kind, cells in content["cells"].items()},
        "copies": marked(content["copies"]),
    }  # fmt: skip


def stand_in(classifier: Any, source: Source) -> SimpleNamespace:
    """A classifier with recomputed numbers."""
    computed = source.classifiers[classifier.id]
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
        id=classifier.id, kind=classifier.kind, scheme=classifier.scheme, members=models,
        row=agreed(classifier.row, row(source.label, computed.probability)),
        weight=agreed(classifier.weight.tolist(), computed.about.get("weight", [1.0])),
        score=agreed(classifier.score.tolist(), computed.about.get("score", [1.0])),
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
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_every_value_that_a_figure_draws_is_a_recomputed_one(made: Made, found: dict[str, Any]) -> None:
    """As its CSV has it, to nine digits; only the places of rows and of dots beside each other are no values."""
    _, paths, source = made
    values = shown(source, settled(read_json(paths.evidence), found))
    drawn = {path.stem: pd.read_csv(path) for path in (paths.report / "figures").glob("*.csv")}
    assert drawn.keys() == values.keys()
    for name, (columns, known) in values.items():
        points = np.concatenate([drawn[name][column].dropna().to_numpy(float) for column in columns])
        known = np.sort([value for value in known if value is not None and np.isfinite(value)])
        nearest = np.abs(points[:, None] - known).min(axis=1)
        assert points[nearest > 1e-9].tolist() == [], name


def test_an_unmarked_number_is_found_with_its_sentence() -> None:
    text = f"<p>On {marked(48)} images it is {marked(0.8125):.3f}.</p>\n<p>That is 0.77 more than 95%.</p>"
    assert unaccounted(text, {"95"}) == ["That is 0.77 more than 95%."]
    assert unmarked(f"{-marked(0.25) * 100:.1f} of {marked(3) + 4}") == "-25.0 of 7"
