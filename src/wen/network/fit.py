"""Train one stage of one model, with early stopping and selection of the best epoch."""

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import torch
from dvclive import Live
from torch import nn

from wen.config.member import TRAINING
from wen.config.params import Finetune, Head
from wen.config.seeds import seed_for
from wen.errors import Message, WenError
from wen.network.checkpoint import Checkpoint, Progress, optimizer_tensors, restore_optimizer
from wen.network.cut import precisions
from wen.network.finite import flaw
from wen.network.inputs import Inputs, batches
from wen.network.progress import Position, epoch_bar, format_metrics
from wen.network.steps import Task, Trainer, evaluate, shuffled
from wen.network.weights_file import Weights


@dataclass(frozen=True)
class Stage:
    """One of the two training stages: its module, inputs and options."""

    name: str
    """``head`` or ``finetune``."""
    module: nn.Module
    """The module to train, all or part of the tail: maps a batch of ``inputs`` to logits of shape (n, 1)."""
    inputs: Inputs
    options: Head | Finetune
    """Maximum number of epochs, and patience: the number of epochs without improvement before training stops."""
    ignores_earlier_best: bool = False
    """Whether the best epoch is chosen among those of this stage only, even if one of an earlier stage is better."""


@dataclass(frozen=True)
class BestEpoch:
    """The epoch with the highest validation accuracy; ties go to the lower validation loss."""

    stage: str
    epoch: int
    """Number of the epoch within its stage, from 1."""
    accuracy: float
    """Validation accuracy."""
    loss: float
    """Validation loss."""
    weights: Weights
    """State dict of the tail after the epoch."""
    diverged: bool = False
    """Whether training stopped after this epoch because it diverged."""

    @property
    def figures(self) -> dict[str, Any]:
        """All fields but the weights."""
        return {key: value for key, value in vars(self).items() if key != "weights"}


class Curves:
    """Metrics of every epoch of a training: stored in its checkpoint and logged by DVCLive."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.rows: list[dict[str, float]] = []

    def log(self, row: dict[str, float]) -> None:
        """Add the metrics of one epoch."""
        self.rows.append(row)
        for name, value in row.items():
            self.live.log_metric(name, value)
        self.live.next_step()


def fit(
    task: Task,
    stage: Stage,
    curves: Curves,
    best: BestEpoch | None = None,
    checkpoint: Checkpoint | None = None,
    position: Position | None = None,
) -> BestEpoch:
    """Train a stage's module for at most ``stage.options.epochs`` epochs.

    Parameters
    ----------
    task : Task
    stage : Stage
    curves : Curves
        Receives one row of metrics per epoch.
    best : BestEpoch, optional
        Best epoch of an earlier stage. Training starts from its weights. A later epoch replaces it if it is better, or
        in any case with ``stage.ignores_earlier_best``.
    checkpoint : Checkpoint, optional
        Saved after every epoch; an interrupted training resumes from it.
    position : Position, optional
        The model's position in the study, for the progress bar.

    Returns
    -------
    BestEpoch
        The best epoch of this and the earlier stage. With ``stage.ignores_earlier_best``, the best of this stage,
        provided that at least one of its epochs took an optimiser step.

    Raises
    ------
    WenError
        If training diverged before there was any best epoch.
    """
    saved = checkpoint.load() if checkpoint else None
    if saved and (saved.stage, stage.name) == ("finetune", "head"):  # the checkpoint is of the later stage
        return BestEpoch(**saved.best, weights=saved.group("best"))
    if best is not None:
        task.tail.load_state_dict(best.weights)
    training = _Training(task, stage, curves)
    if saved and saved.stage == stage.name:
        best = training.resume(saved)
    training.best = best
    position = position or Position(f"LR {task.member.recipe}, fold {task.member.fold}")
    with epoch_bar(position, stage.name, stage.options.epochs, training.epoch) as advance:
        while not training.is_finished:
            row = training.run_epoch()
            curves.log(row)
            if problem := training.divergence(row):
                return _best_before_divergence(training, problem)
            training.update_best(row)
            advance(format_metrics(row, training.best.accuracy if training.best else None))
            if checkpoint and training.best:
                checkpoint.save(training.progress(curves))
    if training.best is None:
        raise ValueError("a first stage needs at least one epoch")
    return training.best


class _Training:
    """State of a stage during training."""

    def __init__(self, task: Task, stage: Stage, curves: Curves) -> None:
        self.task, self.stage, self.curves, self.trainer = task, stage, curves, Trainer(task, stage.module)
        self.trained_keys = _keys_in_tail(stage.module, task.tail)
        self.initial_state = {key: value.clone() for key, value in task.tail.state_dict().items()}
        self.epoch = self.waited = 0
        self.best: BestEpoch | None = None

    @property
    def is_finished(self) -> bool:
        options = self.stage.options
        return self.epoch >= options.epochs or self.waited >= options.patience

    def resume(self, saved: Progress) -> BestEpoch:
        """Restore the state from a checkpoint, and return the best epoch so far."""
        self.epoch, self.waited = saved.epoch, saved.waited
        self.task.tail.load_state_dict(self.initial_state | saved.group("trained"))
        restore_optimizer(self.trainer.optimizer, saved.group("optimizer"))
        if self.trainer.average:
            self.trainer.average.restore(saved.group("average"))
        self.trainer.scaler.load_state_dict(saved.scaler)
        return BestEpoch(**saved.best, weights=self.initial_state | saved.group("best"))

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch, and return its training and validation metrics."""
        task, params = self.task, self.task.params
        order = shuffled(task.train_rows, params.seed, task.member.fold, self.stage.name, self.epoch)
        rows = batches(order, params.train.batch_size)
        rate = params.train.rate_in(self.epoch, self.stage.options.epochs)
        torch.manual_seed(seed_for(params.seed, task.member.fold, self.stage.name, self.epoch, what="dropout"))
        loss, accuracy = self.trainer.run(self.stage.inputs, rows, self.epoch % params.augment.views, rate)
        with self.trainer.evaluation_weights():
            validation_loss, validation_accuracy = evaluate(self.stage.module, self.stage.inputs, task)
        return {
            "stage": TRAINING[self.stage.name],
            "loss/train": loss,
            "loss/validation": validation_loss,
            "accuracy/train": accuracy,
            "accuracy/validation": validation_accuracy,
        }

    def update_best(self, row: dict[str, float]) -> None:
        """Count a completed epoch, save its weights if it is the best, and count on from 0 if it is an improvement."""
        self.epoch += 1
        accuracy, loss, best = row["accuracy/validation"], row["loss/validation"], self._best_to_beat
        is_best = self.trainer.took_a_step and (best is None or (accuracy, -loss) > (best.accuracy, -best.loss))
        is_lowest = self.trainer.took_a_step and loss < self._loss_to_beat
        if is_best:
            with self.trainer.evaluation_weights():
                state = self.task.tail.state_dict()
                weights = self.initial_state | {key: state[key].clone() for key in self.trained_keys}
            self.best = BestEpoch(self.stage.name, self.epoch, accuracy, loss, weights)
        self.waited = 0 if (is_lowest if self.task.params.train.monitor == "loss" else is_best) else self.waited + 1

    @property
    def _best_to_beat(self) -> BestEpoch | None:
        """The best epoch that counts for this stage; None if there is none yet."""
        is_earlier = self.best is not None and self.best.stage != self.stage.name
        return None if is_earlier and self.stage.ignores_earlier_best else self.best

    @property
    def _loss_to_beat(self) -> float:
        """Lowest validation loss before the last epoch, of the stages that count for this one."""
        before = self.curves.rows[:-1]
        if self.stage.ignores_earlier_best:
            before = [row for row in before if row["stage"] == TRAINING[self.stage.name]]
        return min((row["loss/validation"] for row in before), default=math.inf)

    def divergence(self, row: dict[str, float]) -> Message:
        """Describe why training diverged in the last epoch; empty if it did not."""
        if not math.isfinite(row["loss/train"] + row["loss/validation"]):
            return f"the loss is {row['loss/train']:g} in training and {row['loss/validation']:g} in validation"
        if found := flaw(self.stage.module.state_dict()):  # the loss can stay finite, e.g. behind a ReLU6
            return f"a weight overflows: {found}"
        options, scaler = self.stage.options, self.trainer.scaler
        is_last = self.epoch + 1 == options.epochs or self.waited + 1 == options.patience
        # The scale is halved at every step with infinite gradients.
        if (is_last and not self.trainer.took_a_step) or (scaler.is_enabled() and scaler.get_scale() < 1):
            return "no step has finite gradients in float16 (compute.precision: float32 has a larger range)"
        return ""

    def progress(self, curves: Curves) -> Progress:
        """Return the state to save in the checkpoint; that of a finished stage needs only the best weights."""
        assert self.best
        tensors = {f"best.{key}": self.best.weights[key] for key in self.trained_keys}
        if not self.is_finished:
            state = self.task.tail.state_dict()
            tensors |= {f"trained.{key}": state[key] for key in self.trained_keys}
            tensors |= optimizer_tensors(self.trainer.optimizer)
            if self.trainer.average:
                tensors |= {f"average.{key}": value for key, value in self.trainer.average.weights.items()}
        return Progress(
            self.stage.name, self.epoch, self.waited, curves.rows, self.best.figures,
            self.trainer.scaler.state_dict(), tensors,
        )  # fmt: skip


def _best_before_divergence(training: _Training, problem: Message) -> BestEpoch:
    """Print why training stopped, and return its best epoch; raise `WenError` if there is none."""
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
    """Suggest a remedy for a training that diverged."""
    lower = "lower this learning rate in params.yaml (lr, lr_grid)"
    return f"{lower}, or set compute.precision: float32" if precisions(module) - {torch.float32} else lower


def _keys_in_tail(module: nn.Module, tail: nn.Module) -> list[str]:
    """Return the keys of the module's tensors in the state dict of the tail."""
    addresses = {value.data_ptr() for value in module.state_dict().values()}
    return [key for key, value in tail.state_dict().items() if value.data_ptr() in addresses]
