"""One training stage of one model: epochs, early stopping, the best epoch kept."""

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from dvclive import Live
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from wen.config.member import Member
from wen.config.params import Finetune, Head, Params
from wen.config.seeds import seed_for
from wen.errors import Message, WenError
from wen.network.checkpoint import Checkpoint, Progress, Weights, optimizer_tensors, restore_optimizer
from wen.network.cut import Convolutions
from wen.network.device import to_device
from wen.network.finite import flaw
from wen.network.inputs import Inputs, batches
from wen.network.progress import epoch_bar


@dataclass(frozen=True)
class Task:
    """What both stages of one model's training share."""

    params: Params
    member: Member
    tail: nn.Module
    """All that is ever trained; its weights are what a best epoch keeps."""
    label: np.ndarray
    """Of every row of data/index.csv."""
    train_rows: np.ndarray
    validation_rows: np.ndarray
    device: torch.device


@dataclass(frozen=True)
class Best:
    """The best epoch: highest validation accuracy, ties to the lower validation loss."""

    stage: str
    epoch: int
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
    stage: str,
    module: nn.Module,
    inputs: Inputs,
    options: Head | Finetune,
    curves: Curves,
    best: Best | None = None,
    checkpoint: Checkpoint | None = None,
) -> Best:
    """Train ``module``, all or part of the tail, for up to ``options.epochs``.

    Parameters
    ----------
    task : Task
    stage : str
        ``head`` or ``finetune``.
    module : Module
        From a batch of ``inputs`` to logits of shape (n, 1).
    inputs : Inputs
    options : Head or Finetune
        The number of epochs; fewer are run if ``patience`` of them pass without a better one.
    curves : Curves
        Gets one row an epoch.
    best : Best, optional
        The best epoch of an earlier stage: training starts from it, and has to beat it.
    checkpoint : Checkpoint, optional
        Where each epoch is kept, and where an interrupted training goes on from.

    Returns
    -------
    Best
        Of this stage and the earlier one.

    Raises
    ------
    WenError
        If no epoch had a finite loss: there is nothing to keep.
    """
    left = checkpoint.load() if checkpoint else None
    if left and (left.stage, stage) == ("finetune", "head"):  # this stage was done before the interruption
        return Best(**left.best, weights=left.part("best"))
    if best is not None:
        task.tail.load_state_dict(best.weights)
    trained = _names(module, task.tail)
    optimizer = torch.optim.Adam(module.parameters(), lr=task.member.lr, betas=(0.9, 0.999), eps=1e-8, fused=True)
    half = any(isinstance(own, Convolutions) and own.dtype == torch.float16 for own in module.modules())
    scaler = torch.amp.GradScaler(task.device.type, enabled=half)
    target = torch.tensor(task.label).float().to(task.device)
    weight = torch.from_numpy(class_weights(task.label[task.train_rows])).float().to(task.device)
    begun = {key: value.clone() for key, value in task.tail.state_dict().items()}
    epoch = waited = 0
    if left and left.stage == stage:
        epoch, waited = left.epoch, left.waited
        task.tail.load_state_dict(begun | left.part("trained"))
        best = Best(**left.best, weights=begun | left.part("best"))
        restore_optimizer(optimizer, left.part("optimizer"))
        if left.scaler:  # none, if the device that it began on needed no scaling
            scaler.load_state_dict(left.scaler)

    def goes_on() -> bool:
        return epoch < options.epochs and waited < options.patience

    with epoch_bar(f"{task.member.name} {stage}", options.epochs, epoch) as advance:
        while goes_on():
            order = shuffled(task.train_rows, task.params.seed, task.member.fold, stage, epoch)
            rows = batches(order, task.params.train.batch_size)
            train_loss, train_accuracy = _train_epoch(
                module, inputs, rows, epoch % task.params.augment.views, optimizer, scaler, target, weight
            )
            loss, accuracy = evaluate(module, inputs, task)
            curves.log(
                {
                    "stage": 1 if stage == "head" else 2,
                    "loss/train": train_loss,
                    "loss/validation": loss,
                    "accuracy/train": train_accuracy,
                    "accuracy/validation": accuracy,
                }
            )
            learnt = not half or _stepped(optimizer)
            ends = not learnt and (epoch + 1 == options.epochs or waited + 1 == options.patience)
            if found := _divergence(train_loss, loss, module, scaler, ends):
                where: Message = (
                    f"LR {task.member.recipe}, fold {task.member.fold}: after epoch {epoch + 1} of {stage} {found}"
                )
                if best is None:
                    raise WenError(f"{where}; no epoch was better, so no model is saved; {_remedy(module)}")
                stops: Message = f"training stops, and the best epoch before is kept; to train on, {_remedy(module)}"
                print(f"{where}; {stops}", file=sys.stderr)
                return replace(best, diverged=True)
            advance(f"loss {train_loss:.3f}|{loss:.3f} accuracy {train_accuracy:.3f}|{accuracy:.3f}")
            if learnt and (best is None or (accuracy, -loss) > (best.accuracy, -best.loss)):
                now = task.tail.state_dict()
                weights = begun | {key: now[key].clone() for key in trained}
                best, waited = Best(stage, epoch, accuracy, loss, weights), 0
            else:
                waited += 1
            epoch += 1
            if checkpoint and best:
                kept = {"best": best.weights, "trained": task.tail.state_dict() if goes_on() else {}}
                tensors = {f"{part}.{key}": own[key] for part, own in kept.items() for key in trained if own}
                tensors |= optimizer_tensors(optimizer) if goes_on() else {}
                state = scaler.state_dict()
                checkpoint.save(Progress(stage, epoch, waited, curves.rows, best.figures, state, tensors))
    if best is None:
        raise ValueError("a first stage needs at least one epoch")
    return best


def shuffled(rows: np.ndarray, seed: int, fold: int, stage: str, epoch: int) -> np.ndarray:
    """Put training rows into an epoch's order: the same at every learning rate, so that models differ by it alone."""
    return np.random.default_rng(seed_for(seed, fold, stage, epoch, what="order")).permutation(rows)


def class_weights(label: np.ndarray) -> np.ndarray:
    """Weights of HEM and of ALL in the loss, W_j = N / (k N_j) with k = 2 classes (2.38).

    Raises
    ------
    WenError
        If there is no image of a class: its weight would be infinite, and nothing to learn from.
    """
    count = np.bincount(label, minlength=2)
    if not count.all():
        raise WenError(f"data/split.csv: no {('HEM', 'ALL')[count.argmin()]} image to train on; run `dvc repro split`")
    return len(label) / (2 * count)


def logits(module: nn.Module, inputs: Inputs, rows: np.ndarray, size: int) -> torch.Tensor:
    """Run ``module`` in inference mode over rows as they are, without a random view.

    Returns
    -------
    Tensor of shape (len(rows),), float64, on the CPU
    """
    module.eval()
    outputs = []
    with torch.inference_mode():
        for values in inputs.batches(batches(rows, size), None):
            outputs.append(module(values).squeeze(1))
    return torch.cat(outputs).cpu().double()


def evaluate(module: nn.Module, inputs: Inputs, task: Task) -> tuple[float, float]:
    """Loss (unweighted binary cross entropy, 2.8) and accuracy on the validation fold."""
    size = task.params.train.batch_size
    logit = logits(module, inputs, task.validation_rows, size)
    label = torch.tensor(task.label[task.validation_rows]).double()
    loss = binary_cross_entropy_with_logits(logit, label)
    return loss.item(), ((logit >= 0) == (label == 1)).double().mean().item()


def _train_epoch(
    module: nn.Module,
    inputs: Inputs,
    rows: list[np.ndarray],
    view: int,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    target: torch.Tensor,
    weight: torch.Tensor,
) -> tuple[float, float]:
    """One pass over the training images; sums stay on the device until it ends, so no step waits for it."""
    module.train()
    total = torch.zeros(2, device=target.device)
    order = to_device(torch.from_numpy(np.concatenate(rows)), target.device)
    labels = target[order].split([len(batch) for batch in rows])
    for label, values in zip(labels, inputs.batches(rows, view), strict=True):
        logit = module(values).squeeze(1)
        loss = binary_cross_entropy_with_logits(logit, label, weight=weight[label.long()])
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        correct = ((logit.detach() >= 0) == (label == 1)).sum()
        total += torch.stack([loss.detach() * len(label), correct.float()])
    loss_sum, correct_sum = total.tolist()
    return loss_sum / len(order), correct_sum / len(order)


def _divergence(
    train_loss: float, loss: float, module: nn.Module, scaler: torch.amp.GradScaler, ends_unlearnt: bool
) -> Message:
    """Say what shows that training no longer learns; nothing, if it does."""
    if not math.isfinite(train_loss + loss):
        return f"the loss is {train_loss:g} in training and {loss:g} in validation"
    if found := flaw(module.state_dict()):  # which a ReLU6 behind it can hide from the loss
        return f"a weight overflows: {found}"
    # The scale halves with every step whose gradients are infinite.
    if ends_unlearnt or (scaler.is_enabled() and scaler.get_scale() < 1):
        return "no step has finite gradients in float16 (compute.precision: float32 has more range)"
    return ""


def _remedy(module: nn.Module) -> Message:
    """What to do about a loss that is no number, though weights and features are."""
    types = {own.dtype for own in module.modules() if isinstance(own, Convolutions)} - {torch.float32}
    lower = "lower this learning rate in params.yaml (lr, lr_grid)"
    return f"{lower}, or set compute.precision: float32" if types else lower


def _stepped(optimizer: torch.optim.Optimizer) -> bool:
    """Whether any step was made; those with infinite gradients in float16 are left out."""
    return any(int(state["step"]) > 0 for state in optimizer.state.values())


def _names(module: nn.Module, tail: nn.Module) -> list[str]:
    """What the module's tensors are called in the tail."""
    own = {value.data_ptr() for value in module.state_dict().values()}
    return [key for key, value in tail.state_dict().items() if value.data_ptr() in own]
