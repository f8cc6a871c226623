"""Predictions of a member, in the same form for networks, baselines and published systems."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wen.config.member import TRAINING, Member
from wen.config.paths import Paths
from wen.errors import WenError
from wen.evaluation.metrics import evaluate, row_of
from wen.files import read_npz, write_json, write_npz

Averages = dict[str, dict[Hashable, Any]]
"""``mean`` and ``std`` of each measure."""


@dataclass(frozen=True)
class Predictions:
    """One member's probabilities of the positive class on its validation fold and on the test set.

    The field names, except ``member``, are the keys of data/predictions/RECIPE/FOLD.npz.
    """

    member: Member
    validation_id: np.ndarray
    validation_label: np.ndarray
    validation_probability: np.ndarray
    test_id: np.ndarray
    test_label: np.ndarray
    test_probability: np.ndarray
    test_map: np.ndarray
    """Class-activation map of each test image, of shape (n, height, width), float16; see
    `wen.members.predict.TailWithMap`. Of shape (n, 0, 0) for a member without maps."""
    diverged: np.ndarray
    """Whether its training stopped early because it diverged."""
    stage: np.ndarray
    """Training stage of a network's best epoch, ``head`` or ``finetune``; empty for other members."""
    epoch: np.ndarray
    """Number of the best epoch within that stage, from 1; 0 for other members."""
    computed: np.ndarray
    """Device and precision of a network's training, and those of its predictions; empty for other members."""

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def origin(self) -> dict[str, int]:
        """Numbers of the ``stage`` and the ``epoch`` of a network's weights; empty for other members."""
        stage = str(self.stage)
        return {"stage": TRAINING[stage], "epoch": int(self.epoch)} if stage else {}

    def validation_row(self) -> dict[str, float]:
        """Metrics on the validation fold."""
        return evaluate(self.validation_label, self.validation_probability)

    def test_row(self) -> dict[str, float]:
        """Metrics on the test set."""
        return evaluate(self.test_label, self.test_probability)


def without_maps(
    member: Member, cells: pd.DataFrame, rows: Sequence[np.ndarray], probability: Sequence[np.ndarray], stage: str = ""
) -> Predictions:
    """Return predictions without class-activation maps and without a best epoch.

    Parameters
    ----------
    member : Member
    cells : DataFrame
        ``id`` and ``label`` of each image.
    rows : sequence of 2 ndarrays of int
        Rows of ``cells`` of the validation fold and of the test set.
    probability : sequence of 2 ndarrays
        Probabilities of the positive class for these rows.
    stage : str
        ``head`` for a network of which only the head was trained; empty for members that are not networks.
    """
    (validation_rows, test_rows), (validation_probability, test_probability) = rows, probability
    ids, label = cells.id.to_numpy().astype(str), cells.label.to_numpy()
    return Predictions(
        member,
        validation_id=ids[validation_rows],
        validation_label=label[validation_rows],
        validation_probability=validation_probability,
        test_id=ids[test_rows],
        test_label=label[test_rows],
        test_probability=test_probability,
        test_map=np.empty((len(test_rows), 0, 0), np.float16),
        diverged=np.array(False),
        stage=np.array(stage),
        epoch=np.array(0),
        computed=np.array(["", ""]),
    )


ARRAYS = tuple(field.name for field in fields(Predictions) if field.name != "member")


def write(predictions: Predictions, path: Path) -> None:
    """Write data/predictions/RECIPE/FOLD.npz."""
    write_npz(path, **{name: getattr(predictions, name) for name in ARRAYS})


def write_row(predictions: Predictions, path: Path) -> None:
    """Write metrics/single/RECIPE/FOLD.json: test metrics, and stage and epoch of a network's weights."""
    write_json(path, row_of(predictions.test_label, predictions.test_probability) | predictions.origin)


def averages(members: Sequence[Predictions]) -> Averages:
    """Return the mean and the standard deviation (n - 1) of the test metrics of one recipe's members."""
    rows = pd.DataFrame([row_of(found.test_label, found.test_probability) for found in members], dtype=float)
    return {"mean": rows.mean().to_dict(), "std": rows.std(ddof=1).to_dict()}


def write_averages(members: Sequence[Predictions], folder: Path) -> None:
    """Write the `averages` of one recipe, mean.json and std.json, into metrics/single/RECIPE."""
    for name, row in averages(members).items():
        write_json(folder / f"{name}.json", row)


def load(paths: Paths, members: Sequence[Member]) -> list[Predictions]:
    """Read the predictions of several members.

    Raises
    ------
    WenError
        If a file is missing or damaged, or if the members were not tested on the same images.
    """
    loaded: list[Predictions] = []
    for member in members:
        predictions = _load(paths, member)
        first = (loaded or [predictions])[0]
        same_images = np.array_equal(predictions.test_id, first.test_id)
        if not (same_images and np.array_equal(predictions.test_label, first.test_label)):
            raise WenError(
                f"{paths.predictions(member)}: its test images differ from those of {first.name}; run `dvc repro`"
            )
        loaded.append(predictions)
    return loaded


def _load(paths: Paths, member: Member) -> Predictions:
    path = paths.predictions(member)
    arrays = read_npz(path)
    if set(arrays) != set(ARRAYS):
        raise WenError(f"{path}: contains {', '.join(arrays)}; expected {', '.join(sorted(ARRAYS))}; run `dvc repro`")
    predictions = Predictions(member, **arrays)
    if problem := _problem(predictions):
        raise WenError(f"{path}: {problem}; run `dvc repro`")
    return predictions


def _problem(found: Predictions) -> str:
    """Describe what is wrong with the arrays of a file; empty if they are valid."""
    for label, probability in (
        (found.validation_label, found.validation_probability),
        (found.test_label, found.test_probability),
    ):
        has_types = label.dtype.kind in "iu" and probability.dtype.kind == "f"
        has_shapes = label.ndim == 1 and label.shape == probability.shape
        if not (
            has_types
            and has_shapes
            and np.isin(label, [0, 1]).all()
            and ((probability >= 0) & (probability <= 1)).all()
        ):
            return "needs a label of 0 or 1 and a probability for each image"
    ids, maps = found.test_id, found.test_map
    has_ids = ids.dtype.kind == "U" and ids.shape == found.test_label.shape and len(np.unique(ids)) == len(ids)
    if not (has_ids and maps.dtype.kind == "f" and maps.ndim == 3 and len(maps) == len(ids)):
        return "needs an id of its own and a map for each test image"
    if found.diverged.shape or found.diverged.dtype.kind != "b":
        return "diverged must be a single true or false"
    return "" if _has_origin(found) else "stage, epoch and device must be those of a network, or empty"


def _has_origin(found: Predictions) -> bool:
    stage, epoch = found.stage, found.epoch
    if stage.shape or epoch.shape or stage.dtype.kind != "U" or epoch.dtype.kind not in "iu":
        return False
    if found.computed.shape != (2,) or found.computed.dtype.kind != "U":
        return False
    if found.member.baseline or found.member.system:
        return (str(stage), int(epoch)) == ("", 0) and not any(found.computed.tolist())
    return str(stage) in TRAINING and int(epoch) >= 1 and all(found.computed.tolist())
