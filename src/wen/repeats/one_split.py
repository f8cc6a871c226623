"""Train and score the classifiers on frozen features for one random split."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from wen.config.member import Member
from wen.config.params import Params
from wen.config.seeds import seed_for
from wen.data.leaks import audit
from wen.data.split import assign
from wen.data.table import DEVELOPMENT, TEST, has_subjects, rows_of_fold
from wen.errors import WenError
from wen.members import classical
from wen.members.predictions import Predictions, without_maps
from wen.repeats import heads
from wen.repeats.scores import Models, score
from wen.repeats.table import IMAGE, WITHOUT_COPIES


@dataclass(frozen=True)
class Material:
    """Data that all splits share."""

    params: Params
    index: pd.DataFrame
    """data/index.csv."""
    copies: pd.DataFrame
    """data/copies.csv."""
    values: list[np.ndarray]
    """Pooled features of each view of `predict.tta`, starting with the unchanged images, followed by a column of ones:
    each of shape (images, channels + 1), float32."""
    numbers: dict[str, np.ndarray]
    """Features that each baseline computes for every image, by its name."""


def params_of_repeat(params: Params, unit: str, repeat: int) -> Params:
    """Return the parameters of one repeat: the study's, with another seed and a random test set drawn by ``unit``."""
    split = params.split.model_copy(update={"unit": unit, "test": "random"})
    return params.model_copy(update={"seed": seed_for(params.seed, repeat, what="repeat"), "split": split})


def draw_split(material: Material, unit: str, repeat: int) -> pd.DataFrame:
    """Draw the split of one repeat as the stage ``split`` does; raise `WenError` if the draw is not a valid split."""
    params = params_of_repeat(material.params, unit, repeat)
    return assign(material.index, material.copies, params.split, len(params.folds), params.seed)


def run_split(material: Material, unit: str, repeat: int) -> list[dict[str, Any]] | str:
    """Train and score all classifiers on one split.

    For a split by image, the classifiers are scored twice: on all test images, and on those that are neither an exact
    nor a near copy of a development image.

    Returns
    -------
    list of dict, or str
        Rows of data/repeats.csv, or the reason why the draw is not a valid split, such as too few people of a class.
    """
    try:
        cells = draw_split(material, unit, repeat)
    except WenError as error:
        return str(error)
    params = params_of_repeat(material.params, unit, repeat)
    networks, baselines = _fit_networks(material, params, cells), _fit_baselines(material, params, cells)
    test_cells = cells[cells.part == TEST]
    majority = int(cells.label[cells.part == DEVELOPMENT].mean() >= 0.5)
    test_sets = {unit: np.ones(len(test_cells), bool)}
    if unit == IMAGE:
        test_sets[WITHOUT_COPIES] = ~test_cells.id.isin(_copied(cells, material.copies)).to_numpy()
    rows = []
    for split, selected in test_sets.items():
        chosen = test_cells[selected]
        if chosen.label.nunique() == 2:
            person = chosen.subject if has_subjects(cells) else None
            people = None if person is None else person.nunique()
            columns = {"split": split, "repeat": repeat, "images": len(chosen), "people": people}
            models = _select(networks, selected), _select(baselines, selected)
            scores = score(*models, majority, None if person is None else person.to_numpy(), params.calibration)
            rows += [columns | row for row in scores]
    return rows


def _fit_networks(material: Material, params: Params, cells: pd.DataFrame) -> dict[str, list[Predictions]]:
    """Train the heads of every learning rate and fold; return their predictions by learning rate."""
    predictions: dict[str, list[Predictions]] = {recipe: [] for recipe in params.grid}
    label = cells.label.to_numpy()
    for fold in params.folds:
        rows = rows_of_fold(cells, fold)
        weight = heads.train(params, fold, material.values[0], label, (rows.train, rows.validation))
        on_validation, on_test = (
            np.mean([heads.probability(weight, values[part]).T for values in material.values], axis=0)
            for part in rows.predicted
        )
        for recipe, *probability in zip(params.grid, on_validation, on_test, strict=True):
            member = Member(recipe, fold)
            predictions[recipe].append(without_maps(member, cells, rows.predicted, probability, "head"))
    return predictions


def _fit_baselines(material: Material, params: Params, cells: pd.DataFrame) -> dict[str, list[Predictions]]:
    """Fit the baselines of every fold; return their predictions by recipe."""
    predictions: dict[str, list[Predictions]] = {}
    for name, recipe in zip(params.baselines, params.baseline_recipes, strict=True):
        numbers = material.numbers[name]
        predictions[recipe] = [
            classical.predict(member, classical.fit(member, numbers, cells, params.seed), numbers, cells)
            for member in params.members(recipe)
        ]
    return predictions


def _copied(cells: pd.DataFrame, copies: pd.DataFrame) -> list[str]:
    """Return the ids of the test images that are copies of a development image."""
    across = audit(cells, copies)["test_and_development"]
    return [*across["duplicates"], *(across["near_copies"] or ())]


def _select(models: Models, selected: np.ndarray) -> Models:
    """Return the predictions of the models on the selected test images only."""
    arrays = ("test_id", "test_label", "test_probability", "test_map")
    return {
        recipe: [replace(member, **{name: getattr(member, name)[selected] for name in arrays}) for member in members]
        for recipe, members in models.items()
    }
