"""A study whose models were not trained but made up: every stage after them runs for real."""

import html
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import made_up_systems
import numpy as np
import pandas as pd
import pytest
from conftest import study_values
from PIL import Image

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data import gallery, split
from wen.data.table import COPIES
from wen.ensemble import inter, intra, weights
from wen.files import read_json, write_json
from wen.members.predictions import Predictions, load, write, write_averages, write_row
from wen.repeats import table
from wen.report import drawing, page, typography

MakeStudy = Callable[..., tuple[Params, Paths]]
PageOf = Callable[..., tuple[Params, Paths]]
CNMC = {"source": "cnmc", "complete": True, "name": "C-NMC 2019"}


@pytest.fixture(scope="session")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Params, Paths]]:
    """Write a study, by the arguments of `write_study` as JSON, once for all tests that ask for it."""
    return cache(lambda arguments: write_study(tmp_path_factory.mktemp("written"), **json.loads(arguments)))


@pytest.fixture
def make_study(
    tmp_path: Path, values: dict[str, Any], written_once: Callable[[str], tuple[Params, Paths]]
) -> MakeStudy:
    """Give a study in the test's own folder, which the test may change."""

    def make(**options: Any) -> tuple[Params, Paths]:
        params, paths = written_once(json.dumps({"values": values} | options))
        shutil.copytree(paths.root, tmp_path, dirs_exist_ok=True)
        return params, Paths(tmp_path)

    return make


def write_study(
    root: Path, values: dict[str, Any], skill: float = 1.0, cells: int = 240, subjects: int = 24,
    tested: int | None = None, **changes: Any,
) -> tuple[Params, Paths]:  # fmt: skip
    """Write what a study has before its ensembles; a model's logit is right by ``skill`` deviations.

    Without ``subjects``, it is unknown whose cells they are. With ``tested``, all test images are of that class.
    """
    values["systems"] = changes.pop("systems", {})
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    params, paths = Params.model_validate(values), Paths(root)
    _cells(params, paths, cells, subjects)
    if tested is not None:
        _test_one_class(paths, tested)
    images = pd.read_csv(paths.index).assign(**pd.read_csv(paths.split)[["part", "fold"]])
    for member in (*params.networks, *params.classical):
        _model(params, paths, images, member, skill)
    for recipe in params.baseline_recipes:
        write_averages(load(paths, params.members(recipe)), paths.single_metrics(recipe, "mean").parent)
    for recipe in params.rates:
        inter.run(params, paths, recipe)
    intra.run(params, paths)
    _repeats(params, paths)
    made_up_systems.write(params, paths, lambda member: _model(params, paths, images, member, skill))
    return params, paths


@pytest.fixture(scope="session")
def page_of(tmp_path_factory: pytest.TempPathFactory, written_once: Callable[[str], tuple[Params, Paths]]) -> PageOf:
    """Give a study and its page; each is written once, for tests that change nothing of it."""

    @cache
    def written(arguments: str, *_: object) -> tuple[Params, Paths]:
        params, study = written_once(arguments)
        paths = Paths(tmp_path_factory.mktemp("page"))
        shutil.copytree(study.root, paths.root, dirs_exist_ok=True)
        page.run(params, paths)
        return params, paths

    def give(language: str = "en", unit: str = "image", **options: Any) -> tuple[Params, Paths]:
        options |= {"values": study_values(), "report": {"language": language}, "split": {"unit": unit}}
        drawn = drawing.FORMATS, drawing.render, drawing._typeset, typography.page  # as the test's module has them
        return written(json.dumps(options), *drawn)

    return give


def section(params: Params, paths: Paths, name: str) -> str:
    """Write a study's page and return one section of it."""
    page.run(params, paths)
    return section_of(paths, name)


def section_of(paths: Paths, name: str) -> str:
    """One section of a page that is written."""
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    return html.unescape(text.split(f'<section id="{name}">')[1].split("</section>")[0])


def _cells(params: Params, paths: Paths, cells: int, subjects: int) -> None:
    rng = np.random.default_rng(0)
    kind = rng.permutation(np.arange(cells) % (subjects or 24))
    subject = kind if subjects else np.full(cells, "")
    table = {
        "id": [f"cell-{k}" for k in range(cells)], "path": "", "label": kind % 3 < 2, "subject": subject,
        "source": "fold_0", "width": 32, "height": 32, "sha256": "", "pixels": np.arange(cells),
    }  # fmt: skip
    paths.index.parent.mkdir()
    pd.DataFrame(table).astype({"label": int}).to_csv(paths.index, index=False)
    pd.DataFrame(columns=list(COPIES)).to_csv(paths.copies, index=False)
    split.run(params, paths)
    images = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)  # to encode one for each cell takes seconds
    images[:, :8] = 0  # a background that is black
    pictures = [gallery.png(gallery.thumbnail(image)) for image in images]
    gallery.write(paths.test_cells, {id: pictures[k % 4] for k, id in enumerate(table["id"])})
    paths.weights_list.write_text("a network, its weights\n")
    dataset = {
        "images": cells, "positive": 160, "negative": 80, "subjects": subjects or None, "duplicate_pairs": 0,
        "people": {"of_both_classes": []} if subjects else None, "width": [32, 32], "height": [32, 32], "padded": 0,
        "unlike": {"count": 0, "examples": []}, "not_read": {}, "labelled_but_missing": 0,
    }  # fmt: skip
    none = {"pairs": 0, "pairs_across_subjects": 0, "pairs_by_subjects": {}, "between_classes": []}
    write_json(paths.dataset_metrics, dataset | {"copies": {"exact": none, "near": none}})
    paths.copies_plots.mkdir(parents=True)
    write_json(paths.copies_plots / "pairs.json", {"pairs": [], "rest": 0})
    Image.new("RGB", (8, 8)).save(paths.dataset_plots / "montage.png")
    paths.params.write_text("# as given\n")


def _test_one_class(paths: Paths, label: int) -> None:
    index, parts = pd.read_csv(paths.index), pd.read_csv(paths.split)
    index.loc[parts.part == "test", "label"] = label
    index.to_csv(paths.index, index=False)
    recorded = read_json(paths.split_metrics)
    for part, rows in index.groupby(parts.part):
        if part in recorded:
            recorded[part] |= {"positive": int(rows.label.sum()), "negative": int((1 - rows.label).sum())}
    write_json(paths.split_metrics, recorded)
    counts = {"positive": int(index.label.sum()), "negative": int((1 - index.label).sum())}
    write_json(paths.dataset_metrics, read_json(paths.dataset_metrics) | counts)


def _model(params: Params, paths: Paths, table: pd.DataFrame, member: Member, skill: float) -> None:
    known = member.recipe if member.system else member.baseline or member.lr
    rng = np.random.default_rng(seed_for(params.seed, known, member.fold, what="made up"))
    arrays: dict[str, np.ndarray] = {}
    validates = (table.part == "development") & (table.fold == member.fold)
    for name, rows in (("validation", table[validates]), ("test", table[table.part == "test"])):
        shared = np.random.default_rng(len(rows)).normal(size=len(rows))  # what makes a cell hard for every model
        logit = skill * (2 * rows.label - 1) + 0.7 * shared + 0.7 * rng.normal(size=len(rows))
        arrays[f"{name}_id"] = rows.id.to_numpy().astype(str)
        arrays[f"{name}_label"] = rows.label.to_numpy()
        arrays[f"{name}_probability"] = 1 / (1 + np.exp(-2 * logit.to_numpy()))
    arrays["test_map"] = rng.normal(size=(len(arrays["test_id"]), 2, 2)).astype(np.float16)
    origin = ("", 0) if member.baseline or member.system else (("head", 3), ("finetune", 2))[member.fold % 2]
    arrays |= {"diverged": np.array(False), "stage": np.array(origin[0]), "epoch": np.array(origin[1])}
    arrays["computed"] = np.array(["CPU, float32"] * 2 if origin[1] else ["", ""])
    predictions = Predictions(member, **arrays)
    write(predictions, paths.predictions(member))
    if member.system:
        return
    write_row(predictions, paths.single_metrics(member.recipe, member.fold))
    for name, header in (("stage", "stage"), *((f"{m}/{p}", p) for m in ("loss", "accuracy") for p in PARTS)):
        path = paths.training(member) / f"plots/metrics/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"step": [0, 1], header: [1, 2]}).to_csv(path, sep="\t", index=False)


def _repeats(params: Params, paths: Paths) -> None:
    """Other splits, on which ensembles are better than single models, and by subject all of them worse."""
    rng = np.random.default_rng(0)
    singles = [f"best_single {reading}" for reading in intra.JUDGED_ON]
    ensembles = [f"intra {reading} {scheme}" for reading in intra.JUDGED_ON for scheme in weights.SCHEMES]
    ensembles += [f"inter {recipe} {scheme}" for recipe in params.grid for scheme in weights.SCHEMES]
    averages = [f"average {recipe}" for recipe in (*params.grid, *params.baseline_recipes)]
    level = dict.fromkeys([*singles, *averages], 0.8) | dict.fromkeys(ensembles, 0.82) | {"majority": 0.66}
    numbers = {"subject": params.repeats.subject, "image": params.repeats.image}
    rows = [
        {
            "split": split, "repeat": repeat, "images": 48, "people": 8, "classifier": name,
            "lr": rng.choice(params.grid) if name in singles else "",
            **dict.fromkeys(table.MEASURES, level[name] - 0.1 * (split == "subject") + 0.02 * rng.random()),
        }
        for split in table.SPLITS
        for repeat in range(numbers[split.split("_")[0]])
        for name in level
    ]  # fmt: skip
    table.write(paths.repeats, rows)


PARTS = ("train", "validation")
