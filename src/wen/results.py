"""Gather all single models and ensembles from data/predictions/, in the order of the result table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import TEST, read_cells, read_copies
from wen.ensemble.intra import JUDGED_ON
from wen.errors import WenError
from wen.evaluation.metrics import row_of
from wen.files import read_npz
from wen.members.predictions import Predictions, load
from wen.repeats import table
from wen.study import Classifier, Study
from wen.systems import replication


def gather(params: Params, paths: Paths) -> Study:
    """Read all predictions of the study.

    Parameters
    ----------
    params : Params
        From `wen.config.read.load`.
    paths : Paths
        Of the study's folder.

    Returns
    -------
    Study
        The test images and every classifier.

    Raises
    ------
    WenError
        If an output of an earlier stage is missing, or belongs to another test set or another params.yaml.
    """
    cells = read_cells(paths)
    cells = cells.assign(component=_components(params, paths, cells))
    cells = cells[cells.part == TEST].reset_index(drop=True)
    models, baselines = (
        {recipe: load(paths, params.members(recipe)) for recipe in recipes}
        for recipes in (params.rates, params.baseline_recipes)
    )
    for members in (*models.values(), *baselines.values()):  # `load` has compared the others with the first
        _check_test_set(paths.predictions(members[0].member), members[0].test_id, cells, paths)
    systems = replication.gather(params, paths)
    for members in (members for system in systems.values() for members in system.members.values()):
        _check_test_set(paths.predictions(members[0].member), members[0].test_id, cells, paths)
    classifiers = [*_singles(models), *_singles(baselines), *_ensembles(params, paths, models, cells)]
    return Study(params, cells, models, baselines, classifiers, table.read(paths.repeats), systems)


def curves(params: Params, paths: Paths) -> pd.DataFrame:
    """Read the learning curves.

    Returns
    -------
    DataFrame
        One row per epoch: ``recipe``, ``fold``, ``step`` (epoch over both stages), ``stage``, and ``train_loss``,
        ``validation_loss``, ``train_accuracy``, ``validation_accuracy``.
    """
    tables = []
    for member in params.networks:
        folder = paths.training(member) / "plots/metrics"
        table = pd.read_csv(folder / "stage.tsv", sep="\t").assign(recipe=member.recipe, fold=member.fold)
        for metric in ("loss", "accuracy"):
            for part in ("train", "validation"):
                table[f"{part}_{metric}"] = pd.read_csv(folder / metric / f"{part}.tsv", sep="\t")[part]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _components(params: Params, paths: Paths, cells: pd.DataFrame) -> np.ndarray:
    if params.split.unit == "image":
        return np.arange(len(cells))
    from wen.data.components import components  # needed only for splits by subject; SciPy is slow to import

    return components(cells, read_copies(paths))


def _singles(models: Mapping[str, Sequence[Predictions]]) -> Iterator[Classifier]:
    for recipe, members in models.items():
        for model in members:
            row, one = row_of(model.test_label, model.test_probability), np.ones(1)
            about: dict[str, Any] = {"recipe": recipe, "fold": model.member.fold}
            yield Classifier("single", model.test_probability, row, [model], one, one, one, **about)


def _ensembles(
    params: Params, paths: Paths, models: Mapping[str, list[Predictions]], cells: pd.DataFrame
) -> Iterator[Classifier]:
    for recipe in params.rates:
        path = paths.inter_predictions(recipe)
        arrays = _read(path, cells, params, paths)
        members = _members(path, arrays["members"].tolist(), [[model] for model in models[recipe]])
        for scheme in params.schemes:
            yield _ensemble("inter", arrays, scheme, members, recipe=recipe, scheme=scheme)
    path = paths.intra_predictions
    arrays = _read(path, cells, params, paths)
    for reading in JUDGED_ON:
        members = _members(path, arrays[f"{reading}_members"].tolist(), [models[recipe] for recipe in params.grid])
        for scheme in params.schemes:
            yield _ensemble("intra", arrays, f"{reading}_{scheme}", members, reading=reading, scheme=scheme)


def _read(path: Path, cells: pd.DataFrame, params: Params, paths: Paths) -> dict[str, np.ndarray]:
    """Read the ensembles in a file; raise `WenError` if they were made for another study."""
    arrays = read_npz(path)
    _check_test_set(path, arrays["test_id"], cells, paths)
    _check_settings(path, arrays, params)
    return arrays


def _ensemble(
    kind: str, arrays: Mapping[str, np.ndarray], key: str, members: list[Predictions], **about: Any
) -> Classifier:
    probability, weight, score, temperature = (
        arrays[f"{key}_{name}"] for name in ("probability", "weight", "score", "temperature")
    )
    row = row_of(arrays["test_label"], probability)
    return Classifier(kind, probability, row, members, weight, score, temperature, **about)


def _check_test_set(path: Path, test_id: np.ndarray, cells: pd.DataFrame, paths: Paths) -> None:
    """Compare the ids of the images, in order. Comparing labels would not suffice, as they may be equal by chance."""
    if not np.array_equal(test_id, cells.id.to_numpy().astype(str)):
        raise WenError(f"{path}: made for another test set than that of {paths.split}; run `dvc repro`")


def _check_settings(path: Path, arrays: Mapping[str, np.ndarray], params: Params) -> None:
    if (made_with := str(arrays.get("calibration", "unknown"))) != params.calibration:
        raise WenError(
            f"{path}: made with calibration {made_with}, but params.yaml has {params.calibration}; run `dvc repro`"
        )
    made = [name.removesuffix("_probability").split("_")[-1] for name in arrays if name.endswith("_probability")]
    if absent := [scheme for scheme in params.schemes if scheme not in made]:
        raise WenError(
            f"{path}: made without the weighting {', '.join(absent)}, which params.yaml has; run `dvc repro`"
        )


def _members(path: Path, names: list[str], candidates: Sequence[Iterable[Predictions]]) -> list[Predictions]:
    """Find an ensemble's members by name, one in each group of candidates."""
    members = [
        candidate
        for name, group in zip(names, candidates, strict=False)
        for candidate in group
        if candidate.name == name
    ]
    if not len(members) == len(names) == len(candidates):
        raise WenError(f"{path}: its members are not those of params.yaml; run `dvc repro`")
    return members
