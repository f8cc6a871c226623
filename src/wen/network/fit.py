"""One training stage of one model: epochs, early stopping, the best epoch kept."""

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import torch
from dvclive import Live
from torch import nn

from wen.config.member import TRAINING
from wen.config.params import Finetune, Head
from wen.errors import Message, WenError
from wen.network.checkpoint import Checkpoint, Progress, Weights, optimizer_tensors, restore_optimizer
from wen.network.cut import Convolutions
from wen.network.finite import flaw
from wen.network.inputs import Inputs, batches
from wen.network.progress import Place, epoch_bar, reading
from wen.network.steps import Steps, Task, evaluate, shuffled


@dataclass(frozen=True)
class Stage:
    """What a stage trains, and from what."""

    name: str
    """``head`` or ``finetune``."""
    module: nn.Module
    """All or part of the tail: from a batch of ``inputs`` to logits of shape (n, 1)."""
    inputs: Inputs
    options: Head | Finetune
    """The number of epochs; fewer are run if ``patience`` of them pass without a better one."""
    keeps_own: bool = False
    """Whether its best epoch is kept even if one of an earlier stage was better."""


@dataclass(frozen=True)
class Best:
    """The best epoch: highest validation accuracy, ties to the lower validation loss."""

    stage: str
    epoch: int
    """Of its stage, counted from 1."""
    accuracy: float
    loss: float
    weights: Weights
    diverged: bool = False
    """After it the loss became infinite or undefined, and training stopped."""

    @property
    def figures(self) -> dict[str, Any]:
        """All but the weights."""
        return {key: value for key, value in vars(self).items() if key != "weights"}


class Curves:
    """What every epoch of a training measured: kept for its checkpoint, and written by DVCLive."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.rows: list[dict[str, float]] = []

    def log(self, row: dict[str, float]) -> None:
        """Log one epoch."""
        self.rows.append(row)
        for name, value in row.items():
            self.live.log_metric(name, value)
        self.live.next_step()


def fit(
    task: Task,
    stage: Stage,
    curves: Curves,
    best: Best | None = None,
    checkpoint: Checkpoint | None = None,
    where: Place | None = None,
) -> Best:
    """Train a stage's module for up to ``stage.options.epochs``.

    Parameters
    ----------
    task : Task
    stage : Stage
    curves : Curves
        Gets one row an epoch.
    best : Best, optional
        The best epoch of an earlier stage: training starts from it, and has to beat it unless ``stage.keeps_own``.
    checkpoint : Checkpoint, optional
        Where each epoch is kept, and where an interrupted training goes on from.
    where : Place, optional
        What the progress bar says of the model.

    Returns
    -------
    Best
        Of this stage and the earlier one; of this stage alone, if it ``keeps_own`` and has learnt in any epoch.

    Raises
    ------
    WenError
        If no epoch had a finite loss: there is nothing to keep.
    """
    left = checkpoint.load() if checkpoint else None
    if left and (left.stage, stage.name) == ("finetune", "head"):  # this stage was done before the interruption
        return Best(**left.best, weights=left.part("best"))
    if best is not None:
        task.tail.load_state_dict(best.weights)
    training = _Training(task, stage)
    if left and left.stage == stage.name:
        best = training.go_on(left)
    training.best = best
    where = where or Place(f"LR {task.member.recipe}, fold {task.member.fold}")
    with epoch_bar(where, stage.name, stage.options.epochs, training.epoch) as advance:
        while training.goes_on:
            row = training.next_epoch()
            curves.log(row)
            if problem := training.divergence(row):
                return _stopped(training, problem)
            training.judge(row)
            advance(reading(row, training.best.accuracy if training.best else None))
            if checkpoint and training.best:
                checkpoint.save(training.progress(curves))
    if training.best is None:
        raise ValueError("a first stage needs at least one epoch")
    return training.best


class _Training:
    """How far a stage is."""

    def __init__(self, task: Task, stage: Stage) -> None:
        self.task, self.stage, self.steps = task, stage, Steps(task, stage.module)
        self.trained = _names(stage.module, task.tail)
        self.begun = {key: value.clone() for key, value in task.tail.state_dict().items()}
        self.epoch = self.waited = 0
        self.best: Best | None = None

    @property
    def goes_on(self) -> bool:
        return self.epoch < self.stage.options.epochs and self.waited < self.stage.options.patience

    def go_on(self, left: Progress) -> Best:
        """Take up what a checkpoint holds."""
        self.epoch, self.waited = left.epoch, left.waited
        self.task.tail.load_state_dict(self.begun | left.part("trained"))
        restore_optimizer(self.steps.optimizer, left.part("optimizer"))
        if self.steps.average:
            self.steps.average.restore(left.part("average"))
        if left.scaler:  # none, if the device that it began on needed no scaling
            self.steps.scaler.load_state_dict(left.scaler)
        return Best(**left.best, weights=self.begun | left.part("best"))

    def next_epoch(self) -> dict[str, float]:
        """Train an epoch and measure it."""
        task, params = self.task, self.task.params
        order = shuffled(task.train_rows, params.seed, task.member.fold, self.stage.name, self.epoch)
        rows = batches(order, params.train.batch_size)
        rate = params.train.rate_in(self.epoch, self.stage.options.epochs)
        trained = self.steps.run(self.stage.inputs, rows, self.epoch % params.augment.views, rate)
        with self.steps.judged():
            validated = evaluate(self.stage.module, self.stage.inputs, task)
        return {
            "stage": TRAINING[self.stage.name],
            "loss/train": trained[0],
            "loss/validation": validated[0],
            "accuracy/train": trained[1],
            "accuracy/validation": validated[1],
        }

    def judge(self, row: dict[str, float]) -> None:
        """Keep the weights if the epoch is the best, and count it."""
        self.epoch += 1
        accuracy, loss, rival = row["accuracy/validation"], row["loss/validation"], self._rival
        if self.steps.any_made and (rival is None or (accuracy, -loss) > (rival.accuracy, -rival.loss)):
            with self.steps.judged():
                now = self.task.tail.state_dict()
                weights = self.begun | {key: now[key].clone() for key in self.trained}
            self.best, self.waited = Best(self.stage.name, self.epoch, accuracy, loss, weights), 0
        else:
            self.waited += 1

    @property
    def _rival(self) -> Best | None:
        """The best epoch of those that the next one has to beat."""
        earlier = self.best is not None and self.best.stage != self.stage.name
        return None if earlier and self.stage.keeps_own else self.best

    def divergence(self, row: dict[str, float]) -> Message:
        """Say what shows that training no longer learns; nothing, if it does."""
        if not math.isfinite(row["loss/train"] + row["loss/validation"]):
            return f"the loss is {row['loss/train']:g} in training and {row['loss/validation']:g} in validation"
        if found := flaw(self.stage.module.state_dict()):  # which a ReLU6 behind it can hide from the loss
            return f"a weight overflows: {found}"
        options, scaler = self.stage.options, self.steps.scaler
        ends = self.epoch + 1 == options.epochs or self.waited + 1 == options.patience
        # The scale halves with every step whose gradients are infinite.
        if (ends and not self.steps.any_made) or (scaler.is_enabled() and scaler.get_scale() < 1):
            return "no step has finite gradients in float16 (compute.precision: float32 has a larger range)"
        return ""

    def progress(self, curves: Curves) -> Progress:
        """What the checkpoint keeps."""
        assert self.best
        state = self.task.tail.state_dict() if self.goes_on else {}
        kept = {"best": self.best.weights, "trained": state}
        tensors = {f"{part}.{key}": held[key] for part, held in kept.items() for key in self.trained if held}
        tensors |= optimizer_tensors(self.steps.optimizer) if self.goes_on else {}
        if self.steps.average and self.goes_on:
            tensors |= {f"average.{key}": value for key, value in self.steps.average.weights.items()}
        return Progress(
            self.stage.name, self.epoch, self.waited, curves.rows, self.best.figures,
            self.steps.scaler.state_dict(), tensors,
        )  # fmt: skip


def _stopped(training: _Training, problem: Message) -> Best:
    """End a training that diverged with its best epoch, if it has one."""
    member, stage = training.task.member, training.stage
    model = f"LR {member.recipe}, fold {member.fold}"
    where: Message = f"{model}: after epoch {training.epoch + 1} of {stage.name} {problem}"
    if training.best is None:
        raise WenError(f"{where}; no epoch improved before that, so no model was saved; {_remedy(stage.module)}")
    best = training.best
    kept: Message = f"training stopped, and epoch {best.epoch} of {best.stage} is kept"
    print(f"{where}; {kept}; to train further, {_remedy(stage.module)}", file=sys.stderr)
    return replace(best, diverged=True)


def _remedy(module: nn.Module) -> Message:
    """What to do about a loss that is no number, though weights and features are."""
    types = {part.dtype for part in module.modules() if isinstance(part, Convolutions)} - {torch.float32}
    lower = "lower this learning rate in params.yaml (lr, lr_grid)"
    return f"{lower}, or set compute.precision: float32" if types else lower


def _names(module: nn.Module, tail: nn.Module) -> list[str]:
    """What the module's tensors are called in the tail."""
    places = {value.data_ptr() for value in module.state_dict().values()}
    return [key for key, value in tail.state_dict().items() if value.data_ptr() in places]
