"""Stage ``baselines``: classical classifiers, each fitted to each fold's training images, and what they predict."""

import io
import re
import shutil
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import torch
from skops.io.exceptions import UntrustedTypesFoundException
from threadpoolctl import threadpool_limits

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.errors import WenError
from wen.files import readable, whole, write_json
from wen.members.baseline import Batch
from wen.members.baselines import baseline
from wen.members.predictions import Predictions, write, write_averages
from wen.network import backbone, device
from wen.network.arrays import array_path, read
from wen.network.frozen import Frozen, runner
from wen.network.inputs import Inputs, batches, inputs_for

BATCH = 32
"""Images whose numbers are measured at once."""
TRUSTED = "sklearn."
"""How the names begin of the classes that are loaded though skops does not know them: some parts of scikit-learn's."""
NAME = re.compile(r'(?<="__id__": )\d+|(?<="file": ")[^".]+')
"""What skops calls an object, or the file of an array."""


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Write what each of params.yaml's ``baselines`` learns and predicts, and nothing of any other baseline.

    models/baseline/NAME/FOLD.skops is the fitted classifier, data/predictions/baseline/NAME/FOLD.npz its predictions,
    metrics/single/baseline/NAME/FOLD.json its row of the result table, on test data; mean.json and std.json are over
    the folds. It learns from the images as they are, without random views.

    Raises
    ------
    WenError
        If there is no such baseline, an earlier stage's output is missing, a number is infinite or undefined, or the
        training images of a fold are all of one class.
    """
    params = params.model_copy(update={"compute": device.for_storage(params.compute)})
    cells = read_cells(paths)
    device.settle(params.compute)
    stored = _Stored(params, paths, device_name)
    found: dict[Member, tuple[bytes, Predictions]] = {}
    with threadpool_limits(params.compute.threads):
        for name in params.baselines:
            numbers = _numbers(name, stored, cells)
            for member in params.members(f"baseline/{name}"):
                model = _fit(member, numbers, cells, params.seed)
                found[member] = _content(model), _predictions(member, model, numbers, cells)
    for folder in paths.of_baselines:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for member, (content, predictions) in found.items():
        path = paths.model(member)
        with whole(path) as partial:
            partial.write_bytes(content)
        write(predictions, paths)
        write_json(paths.single_metrics(member.recipe, member.fold), predictions.test_row())
    for recipe in params.baseline_recipes:
        write_averages([found[member][1] for member in params.members(recipe)], paths)


class Fitted:
    """The fitted baselines that are a classifier's members, on images that were not in the study.

    Parameters
    ----------
    members : sequence of Member
    params, paths
    where : device
        Of the frozen network, which runs if a member learns from its features.

    Raises
    ------
    WenError
        If a file is missing, damaged, or holds what is not safe to load.
    """

    def __init__(self, members: Sequence[Member], params: Params, paths: Paths, where: torch.device) -> None:
        network, self.where = backbone.load(params.backbone.name, paths.backbone, where), where
        frozen = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
        self.frozen = runner(frozen, params.images.size, where, device.for_storage(params.compute))
        self.members = [(baseline(str(member.baseline)), load(paths.model(member))) for member in members]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of ALL, of shape (images, members), from 8-bit RGB images of shape (n, size, size, 3).

        NaN is the probability of an image of which a number is infinite or undefined.
        """
        batch = Batch(lambda: images, lambda: self._pooled(images))
        columns = np.full((len(images), len(self.members)), np.nan)
        for column, (classical, model) in zip(columns.T, self.members, strict=True):
            numbers = classical.numbers(batch)
            finite = np.isfinite(numbers).all(axis=1)
            if finite.any():
                column[finite] = _probability(model, numbers[finite])
        return columns

    def _pooled(self, images: np.ndarray) -> np.ndarray:
        pixels = device.to_device(torch.from_numpy(images), self.where).float() / 255
        with torch.inference_mode():
            pooled: np.ndarray = self.frozen(pixels.contiguous())[0].cpu().numpy()
        return pooled


def load(path: Path) -> Any:
    """Read a fitted classifier that `run` wrote; a `WenError` if it is missing, damaged or not safe to load."""
    with readable(path):
        content = path.read_bytes()
    try:
        trusted = [name for name in skops.io.get_untrusted_types(data=content) if name.startswith(TRUSTED)]
        return skops.io.loads(content, trusted=trusted)
    except UntrustedTypesFoundException as error:
        found = str(error).splitlines()[0]
        raise WenError(f"{path}: may run code of its own, so it is not loaded ({found})") from None
    except Exception as error:  # of any kind, where the file is spoiled
        found = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise WenError(f"{path}: damaged ({found}); delete it and run `dvc repro`") from None


class _Stored:
    """The study's images and their pooled features, of which a baseline takes what it needs."""

    def __init__(self, params: Params, paths: Paths, device_name: str) -> None:
        self.params, self.paths, self.device_name = params, paths, device_name

    def batch(self, rows: np.ndarray) -> Batch:
        return Batch(lambda: self._images(rows), lambda: self._pooled(rows))

    def _images(self, rows: np.ndarray) -> np.ndarray:
        (images,) = read(array_path(self.paths.features, "images"), [rows])
        return images

    def _pooled(self, rows: np.ndarray) -> np.ndarray:
        (pooled,) = self._inputs.batches([rows], None)
        found: np.ndarray = pooled.cpu().numpy()
        return found

    @cached_property
    def _inputs(self) -> Inputs:
        where = device.choose(self.device_name, self.params.compute)
        network = backbone.load(self.params.backbone.name, self.paths.backbone, where)
        return inputs_for("pooled", self.params, self.paths, network, where)


def _numbers(name: str, stored: _Stored, cells: pd.DataFrame) -> np.ndarray:
    """What a baseline measures on every image, of shape (images, k)."""
    classical = baseline(name)
    rows = batches(np.arange(len(cells)), BATCH)
    numbers = np.concatenate([classical.numbers(stored.batch(batch)) for batch in rows]).astype(np.float64)
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        image = cells.id.to_numpy()[~finite][0]
        raise WenError(f"baseline {name}: a number of image {image} is infinite or undefined")
    return numbers


def _fit(member: Member, numbers: np.ndarray, cells: pd.DataFrame, seed: int) -> Any:
    rows = ((cells.part == DEVELOPMENT) & (cells.fold != member.fold)).to_numpy()
    train = cells[rows]
    if train.label.nunique() < 2:
        raise WenError(
            f"baseline {member.baseline}: the training images of fold {member.fold} are all of one class; "
            "take more images, or set baselines: [] in params.yaml"
        )
    estimator = baseline(str(member.baseline)).estimator(train, seed_for(seed, member.fold, what="baseline"))
    return estimator.fit(numbers[rows], train.label.to_numpy())


def _predictions(member: Member, model: Any, numbers: np.ndarray, cells: pd.DataFrame) -> Predictions:
    ids, label = cells.id.to_numpy().astype(str), cells.label.to_numpy()
    validates = ((cells.part == DEVELOPMENT) & (cells.fold == member.fold)).to_numpy()
    tests = (cells.part == TEST).to_numpy()
    return Predictions(
        member,
        validation_id=ids[validates],
        validation_label=label[validates],
        validation_probability=_probability(model, numbers[validates]),
        test_id=ids[tests],
        test_label=label[tests],
        test_probability=_probability(model, numbers[tests]),
        test_map=np.empty((tests.sum(), 0, 0), np.float16),
        diverged=np.array(False),
    )


def _probability(model: Any, numbers: np.ndarray) -> np.ndarray:
    """Probability of ALL, of each image."""
    probability: np.ndarray = model.predict_proba(numbers)[:, 1]
    return probability


def _content(model: Any) -> bytes:
    """Write a classifier as skops does, but equal ones as equal bytes: objects numbered in order, files without a date.

    skops calls them by their addresses in memory.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as dumped, zipfile.ZipFile(content, "w") as archive:
        schema = dumped.read("schema.json").decode()
        names = dict.fromkeys(re.findall(NAME, schema))
        numbers = {name: str(number) for number, name in enumerate(names)}
        for file in dumped.namelist():
            stem, _, ending = file.partition(".")
            if stem in numbers:
                archive.writestr(zipfile.ZipInfo(f"{numbers[stem]}.{ending}"), dumped.read(file))
        archive.writestr(zipfile.ZipInfo("schema.json"), re.sub(NAME, lambda name: numbers[name[0]], schema))
    return content.getvalue()
