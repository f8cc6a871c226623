"""A GPU runs on by itself as long as no step asks for a number back, and the work of a step is no loop over images."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from wen.config.member import Member
from wen.config.params import Head, Params
from wen.network.arrays import array_path
from wen.network.cut import Convolutions
from wen.network.fit import Curves, Stage, fit
from wen.network.inputs import ComputedInputs, StoredInputs
from wen.network.steps import Task

CPU = torch.device("cpu")
ASKS_BACK = "aten._local_scalar_dense.default"  # what .item(), float() and if do with a tensor


class Operations(TorchDispatchMode):
    """Counts what is asked of the device, the backward pass included."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(function)] += 1
        return function(*args, **(kwargs or {}))


class Asking(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(x.detach().mean() > -9)


def operations(
    tmp_path: Path,
    values: dict[str, Any],
    steps: int,
    batch: int,
    *extra: nn.Module,
    dtype: torch.dtype = torch.float32,
) -> Counter[str]:
    """Of one epoch of ``steps`` batches, trained from decoded images through views and a frozen network."""
    images = steps * batch + 4
    random = np.random.default_rng(0)
    np.save(array_path(tmp_path, "images"), random.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8))
    values["train"]["batch_size"] = batch
    params = Params.model_validate(values)
    inputs = ComputedInputs(StoredInputs(tmp_path, "images", CPU), lambda pixels: (pixels,), params)
    module = nn.Sequential(Convolutions(nn.Conv2d(3, 4, 3), dtype=dtype), nn.Flatten(), *extra, nn.Linear(144, 1))
    task = Task(
        params=params, member=Member("0.001", 0), tail=module, label=np.arange(images) % 2,
        train_rows=np.arange(images - 4), validation_rows=np.arange(images - 4, images), device=CPU,
    )  # fmt: skip
    with Live(str(tmp_path / "curves"), dvcyaml=None, save_dvc_exp=False) as live, Operations() as counted:
        fit(task, Stage("head", module, inputs, Head(epochs=1, patience=1)), Curves(live))
    return counted.counts


def test_no_training_step_waits_for_the_device(tmp_path: Path, values: dict[str, Any]) -> None:
    few, many = (operations(tmp_path, values, steps, 4)[ASKS_BACK] for steps in (2, 9))
    assert many == few


def test_a_step_that_waits_for_the_device_is_detected(tmp_path: Path, values: dict[str, Any]) -> None:
    few, many = (operations(tmp_path, values, steps, 4, Asking())[ASKS_BACK] for steps in (2, 9))
    assert many >= few + 7


def test_gradient_scaling_for_float16_does_not_wait_for_the_device(tmp_path: Path, values: dict[str, Any]) -> None:
    few, many = (operations(tmp_path, values, n, 4, dtype=torch.float16)[ASKS_BACK] for n in (2, 9))
    assert many == few


def test_a_step_does_not_loop_over_images(tmp_path: Path, values: dict[str, Any]) -> None:
    small, large = (operations(tmp_path, values, 3, batch) for batch in (4, 32))
    assert sum(large.values()) == sum(small.values())
