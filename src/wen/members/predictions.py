"""The single models that ensembles are made of, as predict-fold left them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from wen.config.paths import Paths
from wen.ensemble import weights, wen
from wen.errors import WenError
from wen.evaluation.metrics import evaluate
from wen.files import read_npz


@dataclass(frozen=True)
class Member:
    """One model's labels and probabilities, on its own validation fold and on the test set."""

    lr: float
    fold: int
    validation_label: np.ndarray
    validation_probability: np.ndarray
    test_id: np.ndarray
    test_label: np.ndarray
    test_probability: np.ndarray
    test_map: np.ndarray
    """Where in each test image the logit comes from, of shape (n, height, width); see `wen.members.predict.Located`."""
    diverged: np.ndarray
    """Whether its training stopped on an infinite or undefined loss."""

    @property
    def name(self) -> str:
        return f"{self.lr}-{self.fold}"

    def validation_row(self) -> dict[str, float]:
        return evaluate(self.validation_label, self.validation_probability)

    def test_row(self) -> dict[str, float]:
        return evaluate(self.test_label, self.test_probability)


def load(paths: Paths, lr: float, folds: Sequence[int]) -> list[Member]:
    """Read the fold models of one learning rate.

    Raises
    ------
    WenError
        If one is missing or damaged, or they were tested on different images.
    """
    members: list[Member] = []
    for fold in folds:
        path = paths.predictions(lr, fold)
        if not path.exists():
            raise WenError(f"{path}: not there yet; `wen predict-fold --lr {lr} --fold {fold}` writes it")
        member = _member(lr, fold, path)
        first = (members or [member])[0]
        if not (np.array_equal(member.test_id, first.test_id) and np.array_equal(member.test_label, first.test_label)):
            raise WenError(f"{path}: tested on other images than fold {folds[0]}; run `dvc repro`")
        members.append(member)
    return members


def _member(lr: float, fold: int, path: Path) -> Member:
    arrays = read_npz(path)
    arrays.pop("validation_id", None)
    expected = {own.name for own in fields(Member)} - {"lr", "fold"}
    if set(arrays) != expected:
        raise WenError(f"{path}: holds {', '.join(arrays)}; expected {', '.join(sorted(expected))}; run `dvc repro`")
    member = Member(lr=lr, fold=fold, **arrays)
    for label, probability in (
        (member.validation_label, member.validation_probability),
        (member.test_label, member.test_probability),
    ):
        numbers = label.dtype.kind in "iu" and probability.dtype.kind == "f"  # text would not compare with 0 and 1
        same = numbers and label.ndim == 1 and label.shape == probability.shape
        if not (same and np.isin(label, [0, 1]).all() and ((probability >= 0) & (probability <= 1)).all()):
            raise WenError(f"{path}: needs a label of 0 or 1 and a probability for each image; run `dvc repro`")
    name, place = member.test_id, member.test_map
    named = name.dtype.kind == "U" and name.shape == member.test_label.shape and len(np.unique(name)) == len(name)
    if not (named and place.dtype.kind == "f" and place.ndim == 3 and len(place) == len(name)):
        raise WenError(f"{path}: needs an id of its own and a map for each test image; run `dvc repro`")
    if member.diverged.shape or member.diverged.dtype.kind != "b":
        raise WenError(f"{path}: diverged must be one truth value; run `dvc repro`")
    return member


@dataclass(frozen=True)
class Ensemble:
    """Members weighted by one scheme: their scores M_k, weights w_k, and P_final on the test set."""

    score: np.ndarray
    weight: np.ndarray
    probability: np.ndarray


def ensemble(members: Sequence[Member], scheme: str) -> Ensemble:
    """Combine members by (2.20) and (2.21), each scored on its own validation fold."""
    measure = weights.scheme(scheme)
    score = np.array([measure(m.validation_label, m.validation_probability) for m in members])
    weight = wen.normalised(score)
    probability = wen.combine(weight, np.stack([m.test_probability for m in members]))
    return Ensemble(score, weight, probability)
