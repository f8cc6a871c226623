"""What `train` switches on, against torch's and timm's own: schedule, weight decay, label smoothing, moving average."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dvclive import Live
from timm.utils import ModelEmaV3
from torch import nn

from wen.config.member import Member
from wen.config.params import Head, Params, Train
from wen.network import fit as fitting
from wen.network.average import WeightAverage
from wen.network.fit import Curves, Stage, fit
from wen.network.inputs import batches
from wen.network.steps import Task, class_weights, shuffled, smoothed

EPOCHS, IMAGES, CHANNELS = 4, 60, 9
FEATURES = torch.randn(IMAGES, CHANNELS, generator=torch.Generator().manual_seed(1))
LABEL = (np.arange(IMAGES) % 3 > 0).astype(int)


class Stored:
    """The same features, whatever view is asked for."""

    def batches(self, rows: list[np.ndarray], view: int | None) -> Any:
        return (FEATURES[batch] for batch in rows)


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(CHANNELS, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 1))


def task_of(values: dict[str, Any], module: nn.Module) -> Task:
    return Task(
        params=Params.model_validate(values), member=Member("0.01", 0), tail=module, label=LABEL,
        train_rows=np.arange(40), validation_rows=np.arange(40, IMAGES), device=torch.device("cpu"),
    )  # fmt: skip


def trained(values: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The weights that are kept, where every epoch is better than the one before it."""
    scores = iter(range(1, EPOCHS + 1))
    monkeypatch.setattr(fitting, "evaluate", lambda *_: (0.5, next(scores) / EPOCHS))
    module = network()
    with Live(str(folder), dvcyaml=None, save_dvc_exp=False) as live:
        stage = Stage("head", module, Stored(), Head(epochs=EPOCHS, patience=EPOCHS))
        return dict(fit(task_of(values, module), stage, Curves(live)).weights)


def reference(values: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The same by torch's AdamW, scheduler and cross entropy, and timm's moving average."""
    options, module, task = values["train"], network().train(), task_of(values, network())
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=options.get("weight_decay", 0))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    entropy = nn.CrossEntropyLoss(label_smoothing=options.get("label_smoothing", 0), reduction="none")
    share = torch.from_numpy(class_weights(LABEL[:40])).float()
    average = ModelEmaV3(module, decay=options.get("ema", 0))
    for epoch in range(EPOCHS):
        order = shuffled(np.arange(40), task.params.seed, 0, "head", epoch)
        for rows in batches(order, options["batch_size"]):
            logit, label = module(FEATURES[rows]), torch.from_numpy(LABEL[rows])
            two = torch.cat([torch.zeros_like(logit), logit], 1)  # a sigmoid is a softmax over this logit and 0
            optimizer.zero_grad()
            (entropy(two, label) * share[label]).mean().backward()
            optimizer.step()
            average.update(module)
        if options.get("schedule") == "cosine":
            cosine.step()
    return dict((average.module if "ema" in options else module).state_dict())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"schedule": "cosine"},
        {"weight_decay": 0.5},
        {"label_smoothing": 0.2},
        {"ema": 0.7},
        {"schedule": "cosine", "weight_decay": 0.5, "label_smoothing": 0.2, "ema": 0.7},
    ],
)
def test_training_is_that_of_torch_and_timm(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    values["train"] = {"batch_size": 8} | options
    found, expected = trained(values, tmp_path, monkeypatch), reference(values)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)
    if options:
        plain = reference(values | {"train": {"batch_size": 8}})
        assert max((value - plain[key]).abs().max() for key, value in expected.items()) > 1e-3


def test_a_moving_average_is_evaluated_and_training_continues_without_it() -> None:
    module = network()
    average = WeightAverage(module, 0.9)
    with torch.no_grad():
        module[0].weight.add_(1)
        initial = module[0].weight - 1
    average.update()
    live = module[0].weight.clone()
    with average.applied():
        torch.testing.assert_close(module[0].weight, initial + 0.1)
    assert torch.equal(module[0].weight, live)


def test_the_rate_falls_to_0_over_a_stage() -> None:
    cosine, constant = Train(batch_size=2, schedule="cosine"), Train(batch_size=2)
    assert [constant.rate_in(epoch, 5) for epoch in range(5)] == [1.0] * 5
    rates = [cosine.rate_in(epoch, 10) for epoch in range(11)]
    assert rates[0] == 1.0
    assert rates[5] == pytest.approx(0.5)
    assert rates[10] == pytest.approx(0)
    assert rates == sorted(rates, reverse=True)


def test_a_smoothed_label_keeps_the_mean_of_both_classes() -> None:
    torch.testing.assert_close(smoothed(torch.tensor([0.0, 1.0]), 0.1), torch.tensor([0.05, 0.95]))
