"""Stage ``baselines``: classical classifiers, each fitted to each fold's training images, and what they predict."""

from contextlib import ExitStack
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.errors import WenError
from wen.files import atomic
from wen.members.baseline import Batch
from wen.members.baselines import baseline
from wen.members.fitted import content, probability
from wen.members.predictions import Predictions, write, write_averages, write_row
from wen.network import backbone, device
from wen.network.arrays import array_path, read
from wen.network.inputs import Inputs, batches, inputs_for

BATCH = 32
"""Images whose numbers are measured at once."""


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
                found[member] = content(model), _predictions(member, model, numbers, cells)
    _write(params, paths, found)


def _write(params: Params, paths: Paths, found: dict[Member, tuple[bytes, Predictions]]) -> None:
    """Put three new folders in the place of the last ones."""
    with ExitStack() as stack:
        folders = [stack.enter_context(atomic(folder)) for folder in paths.of_baselines]
        for folder, name in product(folders, ["", *params.baselines]):
            (folder / name).mkdir()
        models, predicted, rows = folders
        for member, (model, predictions) in found.items():
            name = f"{member.baseline}/{member.fold}"
            (models / f"{name}.skops").write_bytes(model)
            write(predictions, predicted / f"{name}.npz")
            write_row(predictions, rows / f"{name}.json")
        for recipe, name in zip(params.baseline_recipes, params.baselines, strict=True):
            write_averages([found[member][1] for member in params.members(recipe)], rows / name)


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
        network = backbone.load(self.params, self.paths.backbone, where)
        return inputs_for("pooled", self.params, self.paths, network, where)


def _numbers(name: str, stored: _Stored, cells: pd.DataFrame) -> np.ndarray:
    """What a baseline measures on every image, of shape (images, k)."""
    classical = baseline(name)
    rows = batches(np.arange(len(cells)), BATCH)
    found = [classical.numbers(stored.batch(batch)) for batch in rows]
    for batch, part in zip(rows, found, strict=True):
        if part.ndim != 2 or len(part) != len(batch):
            raise WenError(f"baseline {name}: numbers() gives shape {part.shape}; it has to be a row for each image")
    numbers = np.concatenate(found)
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
    if not hasattr(estimator, "predict_proba"):
        raise WenError(f"baseline {member.baseline}: {type(estimator).__name__} gives no probabilities (predict_proba)")
    return estimator.fit(numbers[rows].astype(np.float64), train.label.to_numpy())


def _predictions(member: Member, model: Any, numbers: np.ndarray, cells: pd.DataFrame) -> Predictions:
    ids, label = cells.id.to_numpy().astype(str), cells.label.to_numpy()
    validates = ((cells.part == DEVELOPMENT) & (cells.fold == member.fold)).to_numpy()
    tests = (cells.part == TEST).to_numpy()
    return Predictions(
        member,
        validation_id=ids[validates],
        validation_label=label[validates],
        validation_probability=probability(model, numbers[validates]),
        test_id=ids[tests],
        test_label=label[tests],
        test_probability=probability(model, numbers[tests]),
        test_map=np.empty((tests.sum(), 0, 0), np.float16),
        diverged=np.array(False),
        stage=np.array(""),
        epoch=np.array(0),
    )
