"""Heads that are trained at all learning rates at once are those of the study's stage 1, trained one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dvclive import Live
from torch import nn

from wen.config.member import Member
from wen.config.params import Params
from wen.errors import WenError
from wen.network.fit import BestEpoch, Curves, Stage, fit
from wen.network.steps import Task, initialise
from wen.repeats import heads

IMAGES, CHANNELS = 70, 12


class AsTheyAre:
    """Features of images as they are, whatever view is asked for."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = torch.from_numpy(features)

    def batches(self, rows: list[np.ndarray], view: int | None) -> Any:
        return (self.features[batch] for batch in rows)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    label = (rng.random(IMAGES) < 0.65).astype(int)
    features = rng.normal(size=(IMAGES, CHANNELS)) + 0.6 * label[:, None]
    return features.astype(np.float32), label


def with_ones(features: np.ndarray) -> np.ndarray:
    return np.column_stack([features, np.ones(len(features), np.float32)])


def stage_1(
    folder: Path,
    params: Params,
    member: Member,
    data: tuple[np.ndarray, np.ndarray],
    parts: tuple[np.ndarray, np.ndarray],
) -> tuple[nn.Linear, BestEpoch]:
    features, label = data
    head = nn.Linear(CHANNELS, 1)
    initialise(head, params.seed, member.fold)
    task = Task(params, member, head, label, *parts, torch.device("cpu"))
    with Live(str(folder / member.name), dvcyaml=None, save_dvc_exp=False) as live:
        best = fit(task, Stage("head", head, AsTheyAre(features), params.head), Curves(live))
    head.load_state_dict(best.weights)
    return head, best


@pytest.mark.parametrize(
    ("patience", "train"),
    [
        (40, {"batch_size": 16}),
        (2, {"batch_size": 7}),
        (2, {"batch_size": 7, "monitor": "loss"}),
        (40, {"batch_size": 16, "schedule": "cosine", "weight_decay": 0.5, "label_smoothing": 0.2, "ema": 0.8}),
    ],
)
def test_heads_trained_together_are_the_heads_of_stage_1(
    tmp_path: Path, values: dict[str, Any], data: tuple[np.ndarray, np.ndarray], patience: int, train: dict[str, Any]
) -> None:
    values["lr_grid"] = [0.1, 0.01]
    values["head"], values["train"] = {"epochs": 30, "patience": patience}, train
    params, rows = Params.model_validate(values), np.random.default_rng(0).permutation(IMAGES)
    epochs = set()
    for fold, validation in enumerate(np.array_split(rows, 2)):
        parts = np.setdiff1d(rows, validation), np.sort(validation)
        weight = heads.train(params, fold, with_ones(data[0]), data[1], parts)
        probability = heads.probability(weight, with_ones(data[0]))
        for k, recipe in enumerate(params.grid):
            head, best = stage_1(tmp_path, params, Member(recipe, fold), data, parts)
            with torch.no_grad():
                expected = torch.sigmoid(head(torch.from_numpy(data[0])).squeeze(1).double()).numpy()
            np.testing.assert_allclose(probability[:, k], expected, atol=2e-5)
            epochs.add(best.epoch)
    assert len(epochs) > 1 or "ema" in train  # the best of each is another one


def test_features_without_a_finite_loss_are_refused_with_a_message(
    values: dict[str, Any], data: tuple[np.ndarray, np.ndarray]
) -> None:
    params = Params.model_validate(values)
    features = with_ones(np.full_like(data[0], np.float32(3e38)))
    with np.errstate(all="ignore"), pytest.raises(WenError, match="no epoch has a finite loss; lower the highest rate"):
        heads.train(params, 0, features, data[1], (np.arange(50), np.arange(50, IMAGES)))
