"""Stage ``system``: fit a published system to the training images of each fold, and predict with it."""

import json
import shutil
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from wen.code import listed
from wen.config.member import SYSTEM, Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.components import components
from wen.data.table import read_cells, read_copies, rows_of_fold
from wen.ensemble.combined import ensemble
from wen.ensemble.wen import combine
from wen.errors import WenError
from wen.files import atomic, read_json, sha256, write_json
from wen.members.predictions import Predictions, without_maps, write, write_averages, write_row
from wen.network import device
from wen.network.arrays import array_path, ends
from wen.systems.fold import Cells, Source, Training
from wen.systems.system import Model, Settings, System, Trained, Variant, changed, find, settings_of, stand_ins
from wen.systems.unfinished import FittedFold, load, save

FoldPredictions = dict[str, list[Predictions]]
"""Predictions of the fold models, by variant."""


def run(params: Params, paths: Paths, name: str, device_name: str = "auto") -> None:
    """Fit a published system to every fold of the study, and write models, predictions and metrics.

    - data/predictions/system/NAME/VARIANT/FOLD.npz: predictions, as of every member.
    - data/predictions/system/NAME/system.json: description of the run; see `summary`.
    - metrics/systems/NAME/VARIANT: metrics of each fold, their mean and standard deviation.
    - models/system/NAME/VARIANT: the fitted models.

    Raises
    ------
    WenError
        If there is no such system, an output of an earlier stage is missing, or there are too few training images.
    """
    settings, system = settings_of(params, name), find(name)
    missing = read_json(paths.systems_inputs / f"{name}.json")["missing"]
    computed, fitted = "", list[FittedVariant]()
    if not missing:
        source, computed = source_of(params, paths, name, device_name)
        cells = cells_of(paths)
        for variant in system.variants(settings):
            fitted.append(_fit_variant(variant, name, source, cells, fitted))
    _write(paths, name, summary(system, settings, missing, computed, fitted), fitted)
    shutil.rmtree(paths.searches(name), ignore_errors=True)


def source_of(params: Params, paths: Paths, name: str, device_name: str = "auto") -> tuple[Source, str]:
    """Return what a system is fitted from, and the device and precision of its training; empty if it trains nothing."""
    device.settle(params.compute)
    where, computed = torch.device("cpu"), ""
    if isinstance(settings_of(params, name), Trained):
        where = device.choose(device_name, params.compute)
        computed = device.described(where, params.compute)
    return Source(params, paths, where, _fingerprint(params, paths, name, computed)), computed


def cells_of(paths: Paths) -> pd.DataFrame:
    """Read data/split.csv with the ``component`` of each image; see `wen.data.components.components`."""
    cells = read_cells(paths)
    return cells.assign(component=components(cells, read_copies(paths)))


def _fit_variant(
    variant: Variant, name: str, source: Source, cells: pd.DataFrame, earlier: list["FittedVariant"]
) -> "FittedVariant":
    """Fit a variant to every fold, or combine earlier variants."""
    fitted = FittedVariant(variant, [], [], {})
    for member in source.params.members(f"{SYSTEM}{name}/{variant.name}"):
        if variant.fit:
            fold = fit_fold(variant.fit, member, source, cells)
            predictions, about = fold.predictions, fold.about
            fitted.files[f"{member.fold}.{fold.ending}"] = fold.content
        else:
            predictions, chosen = combine_variants(
                member, variant, {other.variant.name: other.predictions for other in earlier}
            )
            about = {"chosen": chosen, "history": []}
        fitted.predictions.append(predictions)
        fitted.about.append({"fold": member.fold, **about})
    return fitted


def fit_fold(fit: Callable[[Training], Model], member: Member, source: Source, cells: pd.DataFrame) -> FittedFold:
    """Fit a variant to one fold and save it, or load it if an interrupted run has saved it."""
    name, variant = member.system or ("", "")
    folder = source.paths.searches(name) / f"{variant}-{member.fold}"
    if saved := load(folder, source.fingerprint, member):
        return saved
    with threadpool_limits(source.params.compute.threads):
        model = fit(training_of(member, source, cells))
        predictions = predict(member, model, source, cells)
    about = {"chosen": model.chosen, "history": model.history}
    fitted = FittedFold(predictions, about, model.ending, model.content)
    save(fitted, folder, source.fingerprint)
    return fitted


def training_of(member: Member, source: Source, cells: pd.DataFrame) -> Training:
    """Return the training images of a fold, which are those of the other folds."""
    rows = rows_of_fold(cells, member.fold).train
    label = cells.label.to_numpy()[rows]
    name, _ = member.system or ("", "")
    if len(np.unique(label)) < 2:
        raise WenError(
            f"system {name}: the training images of fold {member.fold} are all of one class; add images, or remove "
            "the system from params.yaml"
        )
    return Training(source, rows, label, cells.component.to_numpy()[rows], name, member.fold)


def predict(member: Member, model: Model, source: Source, cells: pd.DataFrame) -> Predictions:
    """Predict with a fitted system on its validation fold and on the test set."""
    predicted = rows_of_fold(cells, member.fold).predicted
    probability = [model.probability(Cells(source, rows)) for rows in predicted]
    if not all(np.isfinite(values).all() for values in probability):
        raise WenError(
            f"system {member.recipe.removeprefix(SYSTEM)}, fold {member.fold}: a probability is undefined; lower its "
            "learning rate in params.yaml"
        )
    return without_maps(member, cells, predicted, probability)


def combine_variants(
    member: Member, variant: Variant, predictions: FoldPredictions
) -> tuple[Predictions, dict[str, Any]]:
    """Combine the models of one fold by (2.20) and (2.21); return the predictions and the weights."""
    models = [one for name in variant.members for one in predictions[name] if one.member.fold == member.fold]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no member has a positive score")
        weighted = ensemble(models, variant.scheme, "none")
    validation = np.stack([one.validation_probability for one in models])
    combined = replace(
        models[0],
        member=member,
        validation_probability=combine(weighted.weight, validation),
        test_probability=weighted.probability,
    )
    return combined, {"weights": dict(zip(variant.members, weighted.weight.tolist(), strict=True))}


def summary(
    system: System, settings: Settings, missing: dict[str, str], computed: str, fitted: list["FittedVariant"]
) -> dict[str, Any]:
    """Return the content of system.json.

    - ``state``: ``run`` or ``skipped``.
    - ``missing``: the reason for each network whose weights are not available.
    - ``computed``: device and precision of the training; empty for a system that trains no network and no head.
    - ``depth``, ``networks``, ``settings``: the settings of the run; ``changed``: names of the others that differ from
      the defaults.
    - ``paper``: networks of the paper; ``stand_ins``: networks of the run that are not among them.
    - ``variants``: for each variant its ``role``, its ``control`` if it has one of its own, its mean ``validation``
      accuracy over the folds and, for each fold, the settings that were ``chosen`` and the ``history`` of the search or
      of the epochs.
    - ``shown``: the main variant with the highest validation accuracy; ``best``: the same among all but controls.
    """
    variants: list[dict[str, Any]] = [
        {
            "name": one.variant.name,
            "role": one.variant.role,
            "members": list(one.variant.members),
            "scheme": one.variant.scheme,
            "control": one.variant.control,
            "validation": float(np.mean([each.validation_row()["accuracy"] for each in one.predictions])),
            "folds": one.about,
        }
        for one in fitted
    ]

    def best(*roles: str) -> str | None:
        candidates = [variant for variant in variants if variant["role"] in roles]
        return str(max(candidates, key=lambda variant: variant["validation"])["name"]) if candidates else None

    return {
        "state": "skipped" if missing else "run",
        "missing": missing,
        "computed": computed,
        "depth": settings.depth,
        "networks": settings.networks,
        "paper": list(system.PAPER),
        "stand_ins": stand_ins(system, settings),
        "settings": settings.model_dump(mode="json"),
        "changed": changed(settings),
        "shown": best("main"),
        "best": best("main", "part"),
        "variants": variants,
    }


@dataclass(frozen=True)
class FittedVariant:
    """A variant, fitted to every fold."""

    variant: Variant
    predictions: list[Predictions]
    about: list[dict[str, Any]]
    """For each fold, the settings that were ``chosen`` and the ``history``."""
    files: dict[str, bytes]
    """Contents of the models' files, by file name."""


def _write(paths: Paths, name: str, about: dict[str, Any], fitted: list[FittedVariant]) -> None:
    """Replace the folders of models, predictions and metrics."""
    with ExitStack() as stack:
        models, predicted, rows = folders = [stack.enter_context(atomic(folder)) for folder in paths.of_system(name)]
        for folder in folders:
            folder.mkdir()
        write_json(predicted / paths.system(name).name, about)
        for one in fitted:
            for folder in folders:
                (folder / one.variant.name).mkdir()
            for file, content in one.files.items():
                (models / one.variant.name / file).write_bytes(content)
            for predictions in one.predictions:
                write(predictions, predicted / f"{one.variant.name}/{predictions.member.fold}.npz")
                write_row(predictions, rows / f"{one.variant.name}/{predictions.member.fold}.json")
            write_averages(one.predictions, rows / one.variant.name)


def _fingerprint(params: Params, paths: Paths, name: str, computed: str) -> str:
    """Hash everything that the system depends on: code and libraries, settings, inputs, device and precision."""
    content = [
        *listed.current([f"system/{name}"], paths).values(),
        params.systems[name],
        params.seed,
        params.images.model_dump(),
        params.compute.model_dump(),
        computed,
        *(sha256(path.read_bytes()) for path in (paths.index, paths.copies, paths.split)),
        (paths.systems_inputs / f"{name}.json").read_text(encoding="utf-8"),
        ends([array_path(paths.features, "images")]),
    ]
    return sha256(json.dumps(content).encode())
