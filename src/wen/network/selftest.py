"""``wen selftest``: does this device compute what the CPU does, the same each time, and without waiting?

The project's tests run on a CPU. This tries the same code, on an embedded network and synthetic cells, where a study
is to run.
"""

import io
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from dvclive import Live
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timm.models.efficientnet import EfficientNet
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from wen.data import prepare, split
from wen.data.table import DEVELOPMENT, read_cells
from wen.errors import WenError
from wen.network import backbone, device, features, pretrained, train
from wen.network.checkpoint import Checkpoint, Progress
from wen.network.cost import count
from wen.network.cut import Cut, cut
from wen.network.fit import Curves, Task, fit
from wen.network.inputs import Computed, Inputs, Stored, inputs_for
from wen.network.plan import memory_of_stage_2
from wen.params import Params, load
from wen.paths import Paths

LR, FOLD = 0.001, 0
CPU = torch.device("cpu")
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}
"""How far logits may be from the CPU's in float32: root mean square, in standard deviations of the logits."""
DISTINCT = 0.99
"""Share of logits that no other logit equals; of bfloat16 it would be about a half."""
MEMORY = 0.8, 1.5
"""Peak memory, as a share of `wen plan`'s figure: cuDNN's workspaces are not in that."""
ASKS_BACK = "aten._local_scalar_dense.default"
"""What .item(), float() and if do with a tensor."""


@dataclass(frozen=True)
class Result:
    """What one check found."""

    passed: bool | None
    """None: the check does not apply to this device."""
    measured: str
    limit: str
    """What it has to be."""


def run(device_name: str = "auto", size: int = 96) -> None:
    """Print a table of checks, each passed, failed or not applicable, with what was measured.

    Everything is written to a temporary folder; params.yaml is not read.

    Parameters
    ----------
    device_name : str
    size : int
        Of the images, in px.

    Raises
    ------
    WenError
        If a check failed.
    """
    where = device.choose(device_name, demo(size).compute)
    with tempfile.TemporaryDirectory() as folder:
        study = Study(demo(size), Path(folder), where)
        checks = track(CHECKS.items(), "selftest", console=Console(file=sys.stderr), transient=True)
        results = {name: _result(check, study) for name, check in checks}
    Console(width=110).print(_table(results, where))
    if failed := [name for name, result in results.items() if result.passed is False]:
        raise WenError(
            f"{len(failed)} of {len(results)} checks failed on {where}: {', '.join(failed)}; "
            "do not trust results from this device"
        )


def demo(size: int) -> Params:
    """The demo's study, cut down to seconds."""
    values = load(Paths(Path(__file__).parents[3]).profiles / "demo.yaml").model_dump()
    values["dataset"]["side"] = size
    values["dataset"]["synthetic"] |= {
        "subjects": 12, "cells": 64, "preliminary_subjects": 4, "preliminary_cells": 16, "duplicates": 0,
    }  # fmt: skip
    values["images"] = {"crop": size, "size": size}
    values["folds"] = [0, 1]
    values["augment"]["views"] = 3
    values["train"]["batch_size"] = 8
    values["head"] |= {"epochs": 2, "patience": 2}
    values["finetune"] |= {"epochs": 2, "patience": 2, "unfreeze_from": "blocks.5"}
    return Params.model_validate(values)


class Study:
    """A small study up to its pretrained weights, of which each check that writes takes a copy.

    Parameters
    ----------
    params : Params
    root : Path
        An empty folder.
    where : torch.device
    """

    def __init__(self, params: Params, root: Path, where: torch.device) -> None:
        self.params, self.root, self.where = params, root, where
        device.settle(params.compute)
        with quietly(root):
            for stage in (prepare, split, pretrained):
                stage.run(params, self.paths("prepared"))
        self.cells = read_cells(self.paths("prepared"))

    def paths(self, name: str) -> Paths:
        return Paths(self.root / name)

    def copy(self, name: str) -> Paths:
        """Copy the study up to its pretrained weights, in place of an earlier copy."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        shutil.copytree(self.root / "prepared", self.root / name)
        self.paths(name).params.touch()
        return self.paths(name)

    @cached_property
    def first(self) -> Paths:
        return self.trained("first")

    def trained(self, name: str) -> Paths:
        """The study with its features and one model, trained without an interruption."""
        paths = self.copy(name)
        features.run(self.params, paths, str(self.where))
        train.run(self.params, paths, LR, FOLD, str(self.where))
        return paths

    def fit(self, params: Params, tail: nn.Module, inputs: Inputs, steps: int) -> None:
        """Train two epochs of so many steps."""
        learnt = np.flatnonzero((self.cells.part == DEVELOPMENT) & (self.cells.fold != FOLD))
        validates = np.flatnonzero(self.cells.fold == FOLD)
        rows = np.random.default_rng(params.seed).permutation(learnt)[: steps * params.train.batch_size]
        task = Task(params, LR, FOLD, tail, self.cells.label.to_numpy(), rows, validates, self.where)
        with Live("curves", dvcyaml=None, save_dvc_exp=False) as live:
            fit(task, "finetune", tail, inputs, params.finetune, Curves(live))

    @cached_property
    def half(self) -> torch.dtype:
        """The device's mixed precision; where ``auto`` mixes none, bfloat16 is tried."""
        auto = device.precision(self.where, self.params.compute)
        return torch.bfloat16 if auto == torch.float32 else auto

    def at(self, dtype: torch.dtype) -> Params:
        """The parameters with one precision, and with activations that are computed anew."""
        return self.params.model_copy(
            update={
                "compute": self.params.compute.model_copy(update={"precision": _name(dtype)}),
                "features": self.params.features.model_copy(update={"activations": False}),
            }
        )

    def network(self, where: torch.device, dtype: torch.dtype) -> tuple[EfficientNet, Cut]:
        """The pretrained network with a new head, and cut."""
        network = backbone.load(self.params.backbone.name, self.paths("prepared").backbone, where)
        train.initialise(network.classifier, self.params.seed, FOLD)
        return network, cut(network, self.params.finetune.unfreeze_from, dtype)

    def logits(self, dtype: torch.dtype) -> torch.Tensor:
        """Logits of images and of their random views, as the study computes them on the device."""
        params = self.at(dtype)
        network, parts = self.network(self.where, dtype)
        inputs = inputs_for("activations", params, self.first, network, self.where)
        return self._of_all(inputs, lambda activations: parts.tail(activations))

    @cached_property
    def reference(self) -> torch.Tensor:
        """The same logits by timm's own forward pass, on the CPU in float32."""
        network, _ = self.network(CPU, torch.float32)
        pretrained_cfg: Any = network.pretrained_cfg
        mean, std = (torch.tensor(pretrained_cfg[key]) for key in ("mean", "std"))

        def forward(images: torch.Tensor) -> tuple[torch.Tensor]:
            return (network(((images - mean) / std).movedim(-1, 1)),)

        return self._of_all(Computed(Stored(self.first.features, "images", CPU), forward, self.params), nn.Identity())

    def _of_all(self, inputs: Inputs, module: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        rows = np.array_split(np.flatnonzero(self.cells.part == DEVELOPMENT), 8)
        views = (None, *range(self.params.augment.views))
        with torch.inference_mode():
            found = [module(values)[:, 0] for view in views for values in inputs.batches(rows, view)]
        return torch.cat(found).cpu().double()


def logits_in_float32(study: Study) -> Result:
    return _compared(study, torch.float32)


def logits_in_mixed_precision(study: Study) -> Result:
    return _compared(study, study.half)


def _compared(study: Study, dtype: torch.dtype) -> Result:
    """How far the device's logits are from the CPU's."""
    exact = study.reference
    far = ((study.logits(dtype) - exact).square().mean().sqrt() / exact.std()).item()
    limit = TOLERANCES[dtype]
    return Result(far <= limit, f"{_name(dtype)}: {far:.2g} sd off", f"<= {limit:g} sd")


def logits_keep_their_digits(study: Study) -> Result:
    """In mixed precision, too, hardly two images have the same logit."""
    found = study.logits(study.half)
    share = len(found.unique()) / len(found)
    return Result(share >= DISTINCT, f"{len(found.unique())} values of {len(found)} logits", f">= {DISTINCT:.0%}")


def equal_runs_give_equal_bytes(study: Study) -> Result:
    one, other = outputs(study.first), outputs(study.trained("again"))
    differing = [name for name in one if one[name] != other.get(name)]
    return Result(not differing, f"{len(differing)} of {len(one)} files differ", "0")


def a_resumed_training_gives_equal_bytes(study: Study) -> Result:
    """Stopped after its first epoch, then in the middle of stage 2."""
    paths = study.copy("resumed")
    shutil.copytree(study.first.features, paths.features)
    for epochs in (1, 2):
        with stopped_after(epochs):
            train.run(study.params, paths, LR, FOLD, str(study.where))
    train.run(study.params, paths, LR, FOLD, str(study.where))
    one, other = outputs(study.first), outputs(paths)
    differing = [name for name in one if one[name] != other.get(name)]
    return Result(not differing, f"stopped twice; {len(differing)} of {len(one)} files differ", "0")


def no_step_waits(study: Study) -> Result:
    """Epochs of many steps ask for no more numbers than those of few."""
    params = study.at(study.half)
    network, parts = study.network(study.where, study.half)
    inputs = inputs_for("activations", params, study.first, network, study.where)

    def waits(steps: int) -> int:
        with Waits(study.where) as counted:
            study.fit(params, parts.tail, inputs, steps)
        return counted.total

    waits(2)  # what is done once for a process
    few, many = waits(2), waits(4)
    return Result(many == few, f"{few} waits in epochs of 2 steps, {many} of 4", "equal")


def peak_memory_is_as_planned(study: Study) -> Result:
    """In float32, all blocks unfrozen and many images a batch, so that what is counted outweighs what is not."""
    finetune = study.params.finetune.model_copy(update={"unfreeze_from": "blocks.0"})
    batch = study.params.train.model_copy(update={"batch_size": 32})
    params = study.at(torch.float32).model_copy(update={"finetune": finetune, "train": batch})
    planned = memory_of_stage_2(params, count(params))
    if study.where.type != "cuda":
        return Result(None, f"planned {planned / 1e9:.2f} GB", f"{MEMORY[0]:g} to {MEMORY[1]:g} times as much")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    network = backbone.load(params.backbone.name, study.first.backbone, study.where)
    parts = cut(network, "blocks.0")
    inputs = inputs_for("activations", params, study.first, network, study.where)
    study.fit(params, parts.tail, inputs, 1)
    return memory(torch.cuda.max_memory_allocated() - before, planned)


def memory(measured: float, planned: float) -> Result:
    """Judge a peak, in bytes, by what was planned."""
    ratio, (least, most) = measured / planned, MEMORY
    text = f"{measured / 1e9:.2f} GB, {ratio:.2f} times as planned"
    return Result(least <= ratio <= most, text, f"{least:g} to {most:g} times")


CHECKS: dict[str, Callable[[Study], Result]] = {
    "logits in float32, against timm on the CPU": logits_in_float32,
    "logits in mixed precision, against the same": logits_in_mixed_precision,
    "logits in mixed precision keep their digits": logits_keep_their_digits,
    "equal runs give equal bytes": equal_runs_give_equal_bytes,
    "a resumed training gives equal bytes": a_resumed_training_gives_equal_bytes,
    "no step waits for the device": no_step_waits,
    "peak memory of stage 2, against `wen plan`": peak_memory_is_as_planned,
}


def outputs(paths: Paths) -> dict[str, bytes]:
    """The features, the model and its curves, by name; nothing that holds a time."""
    files = [*paths.features.iterdir(), paths.model(LR, FOLD), *paths.training(LR, FOLD).rglob("*.tsv")]
    return {str(path.relative_to(paths.root)): path.read_bytes() for path in files}


@contextmanager
def stopped_after(epochs: int) -> Iterator[None]:
    """Stop a training in the block as soon as it has kept so many epochs."""

    class Stopped(Exception):
        pass

    save, left = Checkpoint.save, iter(range(epochs - 1, -1, -1))

    def saved(checkpoint: Checkpoint, progress: Progress) -> None:
        save(checkpoint, progress)
        if not next(left):
            raise Stopped

    with mock.patch.object(Checkpoint, "save", saved), suppress(Stopped):
        yield


class Waits(TorchDispatchMode):
    """Counts how often the program waits for the device, the backward pass included.

    That is each number that is asked for; on CUDA also each synchronisation that PyTorch knows of.
    """

    def __init__(self, where: torch.device) -> None:
        super().__init__()
        self.where, self.total = where, 0
        self.caught = warnings.catch_warnings(record=True)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.total += str(function) == ASKS_BACK
        return function(*args, **(kwargs or {}))

    def __enter__(self) -> "Waits":
        self.log = self.caught.__enter__()
        warnings.simplefilter("always")
        if self.where.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self.where.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
        self.caught.__exit__(*error)
        self.total += sum("called a synchronizing" in str(warning.message) for warning in self.log or ())


@contextmanager
def quietly(folder: Path) -> Iterator[None]:
    """Keep what the stages print to themselves, and DVCLive out of the repository that this is run in."""
    with chdir(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def _result(check: Callable[[Study], Result], study: Study) -> Result:
    """What a check finds; one that breaks has failed."""
    try:
        with quietly(study.root):
            return check(study)
    except (RuntimeError, WenError) as error:
        return Result(False, " ".join(str(error).split())[:200], "to end")


def _table(results: dict[str, Result], where: torch.device) -> Table:
    about = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    table = Table(title=f"{where} ({about}), torch {torch.__version__}", title_justify="left")
    for heading in ("check", "", "measured", "has to be"):
        table.add_column(heading)
    words = {True: "passed", False: "FAILED", None: "not applicable"}
    for name, result in results.items():
        table.add_row(name, words[result.passed], result.measured, result.limit)
    return table


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
