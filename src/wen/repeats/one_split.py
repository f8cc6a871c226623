"""The study of frozen features on one split: a draw, its heads and baselines, and what they score."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from wen.config.member import Member
from wen.config.params import Params
from wen.config.seeds import seed_for
from wen.data.split import assign, audit
from wen.data.table import DEVELOPMENT, TEST, rows_of_fold
from wen.errors import WenError
from wen.members import classical
from wen.members.predictions import Predictions, without_maps
from wen.repeats import heads
from wen.repeats.scores import Models, scored
from wen.repeats.table import IMAGE, WITHOUT_COPIES


@dataclass(frozen=True)
class Material:
    """What every split is made of."""

    params: Params
    index: pd.DataFrame
    """data/index.csv."""
    copies: pd.DataFrame
    """data/copies.csv."""
    values: list[np.ndarray]
    """Pooled features of each image as it is, then turned as `predict.tta` says, and a last column of 1: each of shape
    (images, channels + 1), float32."""
    numbers: dict[str, np.ndarray]
    """What each baseline measures on every image, by its name."""


def drawn(params: Params, unit: str, repeat: int) -> Params:
    """The parameters of one repeat: those of the study, with a seed of its own and a random test set by a unit."""
    split = params.split.model_copy(update={"unit": unit, "test": "random"})
    return params.model_copy(update={"seed": seed_for(params.seed, repeat, what="repeat"), "split": split})


def divided(material: Material, unit: str, repeat: int) -> pd.DataFrame:
    """Draw one repeat's split, by the study's own function; a `WenError` if this draw gives none."""
    params = drawn(material.params, unit, repeat)
    return assign(material.index, material.copies, params.split, len(params.folds), params.seed)


def studied(material: Material, unit: str, repeat: int) -> list[dict[str, Any]] | str:
    """Study one split.

    By image, the same classifiers are scored twice: on all test images, and on those that are no copy, exact or near,
    of a development image.

    Returns
    -------
    list of dict, or str
        Rows of data/repeats.csv; or why this draw gives no split, such as a fold of one class.
    """
    try:
        cells = divided(material, unit, repeat)
    except WenError as error:
        return str(error)
    params = drawn(material.params, unit, repeat)
    networks, baselines = _networks(material, params, cells), _baselines(material, params, cells)
    tests = cells[cells.part == TEST]
    majority = int(cells.label[cells.part == DEVELOPMENT].mean() >= 0.5)
    kept = {unit: np.ones(len(tests), bool)}
    if unit == IMAGE:
        kept[WITHOUT_COPIES] = ~tests.id.isin(_copied(cells, material.copies)).to_numpy()
    rows = []
    for split, inside in kept.items():
        remaining = tests[inside]
        if remaining.label.nunique() == 2:
            about = {"split": split, "repeat": repeat, "images": len(remaining), "people": remaining.subject.nunique()}
            models = _on(networks, inside), _on(baselines, inside)
            found = scored(*models, majority, remaining.subject.to_numpy(), params.calibration)
            rows += [about | row for row in found]
    return rows


def _networks(material: Material, params: Params, cells: pd.DataFrame) -> dict[str, list[Predictions]]:
    """The heads of every learning rate and fold, by rate."""
    found: dict[str, list[Predictions]] = {recipe: [] for recipe in params.grid}
    label = cells.label.to_numpy()
    for fold in params.folds:
        rows = rows_of_fold(cells, fold)
        weight = heads.train(params, fold, material.values[0], label, (rows.train, rows.validation))
        on_validation, on_test = (
            np.mean([heads.probability(weight, values[part]).T for values in material.values], axis=0)
            for part in rows.predicted
        )
        for recipe, *probability in zip(params.grid, on_validation, on_test, strict=True):
            found[recipe].append(without_maps(Member(recipe, fold), cells, rows.predicted, probability, "head"))
    return found


def _baselines(material: Material, params: Params, cells: pd.DataFrame) -> dict[str, list[Predictions]]:
    """The baselines of every fold, by recipe."""
    found: dict[str, list[Predictions]] = {}
    for name, recipe in zip(params.baselines, params.baseline_recipes, strict=True):
        numbers = material.numbers[name]
        found[recipe] = [
            classical.predict(member, classical.fit(member, numbers, cells, params.seed), numbers, cells)
            for member in params.members(recipe)
        ]
    return found


def _copied(cells: pd.DataFrame, copies: pd.DataFrame) -> list[str]:
    """The test images that are copies of a development image."""
    across = audit(cells, copies)["test_and_development"]
    return [*across["duplicates"], *across["near_copies"]]


def _on(models: Models, inside: np.ndarray) -> Models:
    """The same models on some of the test images."""
    arrays = ("test_id", "test_label", "test_probability", "test_map")
    return {
        recipe: [replace(member, **{name: getattr(member, name)[inside] for name in arrays}) for member in members]
        for recipe, members in models.items()
    }
