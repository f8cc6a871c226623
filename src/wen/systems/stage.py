"""Stage ``system``: a published system, fitted to each fold's training images, and what it predicts."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
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
from wen.systems.fold import Cells, Source, Training
from wen.systems.system import Model, Settings, System, Variant, find, settings_of, stand_ins
from wen.systems.unfinished import One, load, save

Results = dict[str, list[Predictions]]
"""The fold models of each variant."""


def run(params: Params, paths: Paths, name: str, device_name: str = "auto") -> None:
    """Write what a published system learns and predicts on this study's images, split and folds.

    data/predictions/system/NAME/VARIANT/FOLD.npz has the form of every member's predictions,
    metrics/systems/NAME/VARIANT a row of each fold, their mean and standard deviation, models/system/NAME/VARIANT the
    fitted models. system.json beside the predictions says what ran: see `summary`.

    Raises
    ------
    WenError
        If there is no such system, an earlier stage's output is missing, or the training images are too few for it.
    """
    settings, system = settings_of(params, name), find(name)
    device.settle(params.compute)
    missing = read_json(paths.systems_inputs / f"{name}.json")["missing"]
    fitted: list[Fitted] = []
    if not missing:
        cells, copies = read_cells(paths), read_copies(paths)
        source = Source(params, paths, device_name, _fingerprint(params, paths, name))
        with threadpool_limits(params.compute.threads):
            for variant in system.variants(settings):
                fitted.append(_fitted(variant, name, source, cells.assign(component=components(cells, copies)), fitted))
    _write(paths, name, summary(system, settings, missing, fitted), fitted)
    shutil.rmtree(paths.searches(name), ignore_errors=True)


def _fitted(variant: Variant, name: str, source: Source, cells: pd.DataFrame, earlier: list["Fitted"]) -> "Fitted":
    """Fit a variant on every fold, or combine earlier ones."""
    fitted = Fitted(variant, [], [], {})
    for member in source.params.members(f"{SYSTEM}{name}/{variant.name}"):
        if variant.fit:
            one = _one(variant.fit, member, source, cells)
            predictions, about = one.predictions, one.about
            fitted.files[f"{member.fold}.{one.ending}"] = one.content
        else:
            predictions, chosen = combined(member, variant, {one.variant.name: one.predictions for one in earlier})
            about = {"chosen": chosen, "history": []}
        fitted.predictions.append(predictions)
        fitted.about.append({"fold": member.fold, **about})
    return fitted


def _one(fit: Callable[[Training], Model], member: Member, source: Source, cells: pd.DataFrame) -> One:
    """Fit a variant to one fold, or take it from a run that was stopped."""
    name, variant = member.system or ("", "")
    folder = source.paths.searches(name) / f"{variant}-{member.fold}"
    if known := load(folder, source.fingerprint, member):
        return known
    model = fit(training_of(member, source, cells))
    about = {"chosen": model.chosen, "history": model.history}
    one = One(predictions_of(member, model, source, cells), about, model.ending, model.content)
    save(one, folder, source.fingerprint)
    return one


def training_of(member: Member, source: Source, cells: pd.DataFrame) -> Training:
    """Give the images that a fold trains on: those of the other folds."""
    rows = rows_of_fold(cells, member.fold).train
    label = cells.label.to_numpy()[rows]
    name, _ = member.system or ("", "")
    if len(np.unique(label)) < 2:
        raise WenError(
            f"system {name}: the training images of fold {member.fold} are all of one class; add images, or remove "
            "the system from params.yaml"
        )
    return Training(source, rows, label, cells.component.to_numpy()[rows], name, member.fold)


def predictions_of(member: Member, model: Model, source: Source, cells: pd.DataFrame) -> Predictions:
    """What a fitted system predicts for the fold that validates it and for the test set."""
    predicted = rows_of_fold(cells, member.fold).predicted
    probability = [model.probability(Cells(source, rows)) for rows in predicted]
    if not all(np.isfinite(values).all() for values in probability):
        raise WenError(
            f"system {member.recipe.removeprefix(SYSTEM)}, fold {member.fold}: a probability is undefined; lower its "
            "learning rate in params.yaml"
        )
    return without_maps(member, cells, predicted, probability)


def combined(member: Member, variant: Variant, found: Results) -> tuple[Predictions, dict[str, Any]]:
    """Weight the models of one fold, which share its validation images, by (2.20) and (2.21); and their weights."""
    models = [one for name in variant.members for one in found[name] if one.member.fold == member.fold]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no member has a positive score")
        weighted = ensemble(models, variant.scheme, "none")
    validation = np.stack([one.validation_probability for one in models])
    predictions = replace(
        models[0],
        member=member,
        validation_probability=combine(weighted.weight, validation),
        test_probability=weighted.probability,
    )
    return predictions, {"weights": dict(zip(variant.members, weighted.weight.tolist(), strict=True))}


def summary(system: System, settings: Settings, missing: dict[str, str], fitted: list["Fitted"]) -> dict[str, Any]:
    """What system.json holds.

    ``state`` is run, or skipped, and then ``missing`` says of each network why its weights cannot be had. ``stand_ins``
    are networks that are not of the ``paper``. Each of the ``variants`` has a ``role``, the means over folds of its
    ``validation`` accuracy, and for each fold what was ``chosen`` and the ``history`` of its search or its epochs.
    ``shown`` is the variant of role main with the highest of these accuracies, ``best`` that of all but controls.
    """
    variants: list[dict[str, Any]] = [
        {
            "name": one.variant.name,
            "role": one.variant.role,
            "members": list(one.variant.members),
            "scheme": one.variant.scheme,
            "validation": float(np.mean([each.validation_row()["accuracy"] for each in one.predictions])),
            "folds": one.about,
        }
        for one in fitted
    ]

    def best(*roles: str) -> str | None:
        among = [variant for variant in variants if variant["role"] in roles]
        return str(max(among, key=lambda variant: variant["validation"])["name"]) if among else None

    return {
        "state": "skipped" if missing else "run",
        "missing": missing,
        "depth": settings.depth,
        "networks": settings.networks,
        "paper": list(system.PAPER),
        "stand_ins": stand_ins(system, settings),
        "settings": settings.model_dump(mode="json"),
        "shown": best("main"),
        "best": best("main", "part"),
        "variants": variants,
    }


@dataclass(frozen=True)
class Fitted:
    """A variant on every fold."""

    variant: Variant
    predictions: list[Predictions]
    about: list[dict[str, Any]]
    """For each fold, what was ``chosen`` and the ``history``."""
    files: dict[str, bytes]
    """The models, by the names of their files."""


def _write(paths: Paths, name: str, about: dict[str, Any], fitted: list[Fitted]) -> None:
    """Put three new folders in the place of the last ones."""
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


def _fingerprint(params: Params, paths: Paths, name: str) -> str:
    """Hash what the system depends on: its code and libraries, its settings, and what it reads."""
    content = [
        listed.current(f"system/{name}", paths),
        params.systems[name],
        params.seed,
        params.images.model_dump(),
        params.compute.model_dump(),
        *(sha256(path.read_bytes()) for path in (paths.index, paths.copies, paths.split)),
        (paths.systems_inputs / f"{name}.json").read_text(encoding="utf-8"),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
