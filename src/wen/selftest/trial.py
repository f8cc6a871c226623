"""Small study for `wen.selftest.checks`: a bundled network on synthetic cells."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from dvclive import Live
from torch import nn

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.data import prepare, split
from wen.data.table import DEVELOPMENT, read_cells, rows_of_fold
from wen.installed import study_files
from wen.members import finetune
from wen.network import backbone, device, features, pretrained
from wen.network.checkpoint import Checkpoint, Progress
from wen.network.cut import Cut, cut
from wen.network.fit import Curves, Stage, fit
from wen.network.inputs import ComputedInputs, Inputs, StoredInputs, inputs_for
from wen.network.steps import Task

MEMBER = Member("0.001", 0)
CPU = torch.device("cpu")


def demo(size: int) -> Params:
    """Return the parameters of the demo profile, reduced so that training takes seconds."""
    values = load(study_files() / "profiles/demo.yaml").model_dump()
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
    """A small study, prepared up to its pretrained weights. Checks that write files copy it.

    Parameters
    ----------
    params : Params
    root : Path
        An empty folder.
    where : torch.device
        Device to check.
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
        """Copy the prepared study, replacing an earlier copy."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        shutil.copytree(self.root / "prepared", self.root / name)
        self.paths(name).params.touch()
        return self.paths(name)

    @cached_property
    def first(self) -> Paths:
        return self.trained("first")

    def trained(self, name: str) -> Paths:
        """Copy the study, compute its features and train one model without interruption."""
        paths = self.copy(name)
        features.run(self.params, paths, str(self.where))
        finetune.run(self.params, paths, MEMBER, str(self.where))
        return paths

    def fit(self, params: Params, tail: nn.Module, inputs: Inputs, steps: int) -> None:
        """Train for two epochs with the given number of steps each."""
        fold_rows = rows_of_fold(self.cells, MEMBER.fold)
        rows = np.random.default_rng(params.seed).permutation(fold_rows.train)[: steps * params.train.batch_size]
        task = Task(params, MEMBER, tail, self.cells.label.to_numpy(), rows, fold_rows.validation, self.where)
        with Live("curves", dvcyaml=None, save_dvc_exp=False) as live:
            fit(task, Stage("finetune", tail, inputs, params.finetune), Curves(live))

    @cached_property
    def half(self) -> torch.dtype:
        """The device's half precision: that of ``auto``, or bfloat16 if ``auto`` is float32."""
        auto = device.precision(self.where, self.params.compute)
        return torch.bfloat16 if auto == torch.float32 else auto

    def at(self, dtype: torch.dtype) -> Params:
        """Return the parameters with one precision, and with activations that are computed instead of stored."""
        return self.params.model_copy(
            update={
                "compute": self.params.compute.model_copy(update={"precision": device.name_of(dtype)}),
                "features": self.params.features.model_copy(update={"activations": False}),
            }
        )

    def network(self, where: torch.device, dtype: torch.dtype) -> tuple[nn.Module, Cut]:
        """Load the pretrained network with an initialised head, and cut it."""
        network = backbone.load(self.params, self.paths("prepared").backbone, where)
        parts = cut(network, self.params.finetune.unfreeze_from, dtype)
        finetune.initialise(parts.head, self.params.seed, MEMBER.fold)
        return network, parts

    def logits(self, dtype: torch.dtype) -> torch.Tensor:
        """Compute the logits of images and their random views on the device, with the code of the study."""
        params = self.at(dtype)
        network, parts = self.network(self.where, dtype)
        inputs = inputs_for("activations", params, self.first, network, self.where)
        return self._run_all_views(inputs, lambda activations: parts.tail(activations))

    @cached_property
    def reference(self) -> torch.Tensor:
        """The same logits from timm's forward pass, on the CPU in float32."""
        network, _ = self.network(CPU, torch.float32)
        pretrained_cfg: Any = network.pretrained_cfg
        mean, std = (torch.tensor(pretrained_cfg[key]) for key in ("mean", "std"))

        def forward(images: torch.Tensor) -> tuple[torch.Tensor]:
            return (network(((images - mean) / std).movedim(-1, 1)),)

        images = StoredInputs(self.first.features, "images", CPU)
        return self._run_all_views(ComputedInputs(images, forward, self.params), nn.Identity())

    def _run_all_views(self, inputs: Inputs, module: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        rows = np.array_split(np.flatnonzero(self.cells.part == DEVELOPMENT), 8)
        views = (None, *range(self.params.augment.views))
        with torch.inference_mode():
            logits = [module(values)[:, 0] for view in views for values in inputs.batches(rows, view)]
        return torch.cat(logits).cpu().double()


def outputs(paths: Paths) -> dict[str, bytes]:
    """Read the features, the model and its curves, by file name; files with times are left out."""
    files = [*paths.features.iterdir(), paths.model(MEMBER), *paths.training(MEMBER).rglob("*.tsv")]
    return {str(path.relative_to(paths.root)): path.read_bytes() for path in files}


@contextmanager
def stopped_after(epochs: int) -> Iterator[None]:
    """Interrupt a training in the block once it has saved its checkpoint after ``epochs`` epochs."""

    class Interrupted(Exception):
        pass

    save, epochs_left = Checkpoint.save, iter(range(epochs - 1, -1, -1))

    def save_and_interrupt(checkpoint: Checkpoint, progress: Progress) -> None:
        save(checkpoint, progress)
        if not next(epochs_left):
            raise Interrupted

    with mock.patch.object(Checkpoint, "save", save_and_interrupt), suppress(Interrupted):
        yield


@contextmanager
def quietly(folder: Path) -> Iterator[None]:
    """Suppress the output of the stages, and run in another folder so that DVCLive does not use this repository."""
    with chdir(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
