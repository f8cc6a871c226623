"""Stage ``baselines``: fit the classical classifiers to the training images of each fold, and predict with them."""

from collections.abc import Callable
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
from wen.data.table import read_cells, rows_of_fold
from wen.errors import WenError
from wen.files import atomic
from wen.members.baseline import Batch
from wen.members.baselines import baseline
from wen.members.fitted import content, probability
from wen.members.predictions import Predictions, without_maps, write, write_averages, write_row
from wen.network import backbone, device
from wen.network.arrays import View, array_path, read
from wen.network.inputs import Inputs, batches, inputs_for

BATCH = 32
"""Images whose features a baseline computes at once."""


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Fit each of params.yaml's ``baselines`` to each fold, and write models, predictions and metrics.

    Baselines are fitted to the unchanged images, without random views. The outputs of earlier runs are replaced:

    - models/baseline/NAME/FOLD.skops: the fitted classifier.
    - data/predictions/baseline/NAME/FOLD.npz: its predictions.
    - metrics/single/baseline/NAME/FOLD.json: its metrics on the test set; mean.json and std.json are over the folds.

    Raises
    ------
    WenError
        If there is no such baseline, an output of an earlier stage is missing, a feature is infinite or NaN, or the
        training images of a fold are all of one class.
    """
    params = params.model_copy(update={"compute": device.for_storage(params.compute)})
    cells = read_cells(paths)
    device.settle(params.compute)
    inputs = BaselineInputs(params, paths, device_name)
    results: dict[Member, tuple[bytes, Predictions]] = {}
    with threadpool_limits(params.compute.threads):
        for name in params.baselines:
            numbers = numbers_of(name, inputs.batch, cells.id)
            for member in params.members(f"baseline/{name}"):
                model = fit(member, numbers, cells, params.seed)
                results[member] = content(model), predict(member, model, numbers, cells)
    _write(params, paths, results)


def _write(params: Params, paths: Paths, results: dict[Member, tuple[bytes, Predictions]]) -> None:
    """Replace the folders of models, predictions and metrics."""
    with ExitStack() as stack:
        folders = [stack.enter_context(atomic(folder)) for folder in paths.of_baselines]
        for folder, name in product(folders, ["", *params.baselines]):
            (folder / name).mkdir()
        models, predicted, rows = folders
        for member, (model, predictions) in results.items():
            name = f"{member.baseline}/{member.fold}"
            (models / f"{name}.skops").write_bytes(model)
            write(predictions, predicted / f"{name}.npz")
            write_row(predictions, rows / f"{name}.json")
        for recipe, name in zip(params.baseline_recipes, params.baselines, strict=True):
            write_averages([results[member][1] for member in params.members(recipe)], rows / name)


class BaselineInputs:
    """The study's images and their pooled features, loaded when a baseline asks for them."""

    def __init__(self, params: Params, paths: Paths, device_name: str) -> None:
        self.params, self.paths, self.device_name = params, paths, device_name

    def batch(self, rows: np.ndarray) -> Batch:
        """Return rows of data/index.csv as a batch for a baseline."""
        return Batch(lambda: self.images(rows), lambda: self.pooled(rows))

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Read the cropped and resized images of rows: uint8, of shape (rows, size, size, 3)."""
        (images,) = read(array_path(self.paths.features, "images"), [rows])
        return images

    def pooled(self, rows: np.ndarray, view: View = None) -> np.ndarray:
        """Return the frozen network's pooled features of rows: float32, of shape (rows, channels)."""
        (pooled,) = self._inputs.batches([rows], view)
        features: np.ndarray = pooled.cpu().numpy()
        return features

    @cached_property
    def _inputs(self) -> Inputs:
        where = device.choose(self.device_name, self.params.compute)
        network = backbone.load(self.params, self.paths.backbone, where)
        return inputs_for("pooled", self.params, self.paths, network, where)


def numbers_of(name: str, batch_of: Callable[[np.ndarray], Batch], ids: pd.Series) -> np.ndarray:
    """Compute a baseline's features of every image, of shape (images, k).

    Raises
    ------
    WenError
        If the baseline does not return one row per image, or a feature is infinite or NaN. The message names the
        image.
    """
    classical = baseline(name)
    rows = batches(np.arange(len(ids)), BATCH)
    parts = [classical.numbers(batch_of(batch)) for batch in rows]
    for batch, part in zip(rows, parts, strict=True):
        if part.ndim != 2 or len(part) != len(batch):
            raise WenError(f"baseline {name}: numbers() returned shape {part.shape}; it must return one row per image")
    numbers = np.concatenate(parts)
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        image = ids.to_numpy()[~finite][0]
        raise WenError(
            f"baseline {name}: a number of image {image} is infinite or undefined; correct numbers(), or remove it "
            "from baselines"
        )
    return numbers


def fit(member: Member, numbers: np.ndarray, cells: pd.DataFrame, seed: int) -> Any:
    """Fit a baseline to the training images of one fold.

    Parameters
    ----------
    member : Member
        The baseline and its validation fold.
    numbers : ndarray of shape (images, k)
        The features, from `numbers_of`.
    cells : DataFrame
        data/index.csv with ``part`` and ``fold``.
    seed : int

    Returns
    -------
    estimator
        A fitted scikit-learn classifier.

    Raises
    ------
    WenError
        If the training images are all of one class, or the classifier has no ``predict_proba``.
    """
    rows = rows_of_fold(cells, member.fold).train
    train = cells.iloc[rows]
    if train.label.nunique() < 2:
        raise WenError(
            f"baseline {member.baseline}: the training images of fold {member.fold} are all of one class; add "
            "images, or set baselines: [] in params.yaml"
        )
    estimator = baseline(str(member.baseline)).estimator(train, seed_for(seed, member.fold, what="baseline"))
    if not hasattr(estimator, "predict_proba"):
        raise WenError(
            f"baseline {member.baseline}: {type(estimator).__name__} gives no probabilities; use an estimator with "
            "predict_proba"
        )
    return estimator.fit(numbers[rows].astype(np.float64), train.label.to_numpy())


def predict(member: Member, model: Any, numbers: np.ndarray, cells: pd.DataFrame) -> Predictions:
    """Predict with a fitted baseline on its validation fold and on the test set; parameters as in `fit`."""
    predicted = rows_of_fold(cells, member.fold).predicted
    return without_maps(member, cells, predicted, [probability(model, numbers[rows]) for rows in predicted])
