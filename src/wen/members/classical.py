"""Stage ``baselines``: classical classifiers, each fitted to each fold's training images, and what they predict."""

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
    stored = Stored(params, paths, device_name)
    found: dict[Member, tuple[bytes, Predictions]] = {}
    with threadpool_limits(params.compute.threads):
        for name in params.baselines:
            numbers = numbers_of(name, stored.batch, cells.id)
            for member in params.members(f"baseline/{name}"):
                model = fit(member, numbers, cells, params.seed)
                found[member] = content(model), predictions_of(member, model, numbers, cells)
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


class Stored:
    """The study's images and their pooled features, of which a baseline takes what it needs."""

    def __init__(self, params: Params, paths: Paths, device_name: str) -> None:
        self.params, self.paths, self.device_name = params, paths, device_name

    def batch(self, rows: np.ndarray) -> Batch:
        """Some rows of data/index.csv, as a baseline may look at them."""
        return Batch(lambda: self.images(rows), lambda: self.pooled(rows))

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Some images as they enter the network: uint8, (rows, size, size, 3)."""
        (images,) = read(array_path(self.paths.features, "images"), [rows])
        return images

    def pooled(self, rows: np.ndarray, view: View = None) -> np.ndarray:
        """The frozen network's pooled features of some rows: float32, (rows, channels)."""
        (pooled,) = self._inputs.batches([rows], view)
        found: np.ndarray = pooled.cpu().numpy()
        return found

    @cached_property
    def _inputs(self) -> Inputs:
        where = device.choose(self.device_name, self.params.compute)
        network = backbone.load(self.params, self.paths.backbone, where)
        return inputs_for("pooled", self.params, self.paths, network, where)


def numbers_of(name: str, batch_of: Callable[[np.ndarray], Batch], ids: pd.Series) -> np.ndarray:
    """What a baseline measures on every image, of shape (images, k).

    Raises
    ------
    WenError
        If it gives no row for an image, or a number that is infinite or undefined; the message names the image.
    """
    classical = baseline(name)
    rows = batches(np.arange(len(ids)), BATCH)
    found = [classical.numbers(batch_of(batch)) for batch in rows]
    for batch, part in zip(rows, found, strict=True):
        if part.ndim != 2 or len(part) != len(batch):
            raise WenError(f"baseline {name}: numbers() returned shape {part.shape}; it must return one row per image")
    numbers = np.concatenate(found)
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
        The baseline and the fold that validates.
    numbers : ndarray of shape (images, k)
        As `numbers_of` gives them.
    cells : DataFrame
        data/index.csv with ``part`` and ``fold``.
    seed : int

    Returns
    -------
    A fitted scikit-learn classifier.

    Raises
    ------
    WenError
        If the training images are all of one class, or the classifier gives no probabilities.
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


def predictions_of(member: Member, model: Any, numbers: np.ndarray, cells: pd.DataFrame) -> Predictions:
    """What a fitted baseline predicts for the fold that validates it and for the test set; see `fit`."""
    predicted = rows_of_fold(cells, member.fold).predicted
    return without_maps(member, cells, predicted, [probability(model, numbers[rows]) for rows in predicted])
