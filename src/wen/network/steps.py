"""One pass over images: training steps on a random view, or logits in inference mode."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from wen.config.member import Member
from wen.config.params import Params
from wen.config.seeds import seed_for
from wen.errors import WenError
from wen.network.arrays import View
from wen.network.average import WeightAverage
from wen.network.cut import precisions
from wen.network.device import to_device
from wen.network.inputs import Inputs, Rows, batches


@dataclass(frozen=True)
class Task:
    """The training of one model: the data and settings that both stages share."""

    params: Params
    member: Member
    tail: nn.Module
    """The trainable part of the network; the weights of the best epoch are its state dict."""
    label: np.ndarray
    """Label of each row of data/index.csv."""
    train_rows: np.ndarray
    validation_rows: np.ndarray
    device: torch.device


class Trainer:
    """Train a module with Adam, with the settings of params.yaml's ``train``.

    Parameters
    ----------
    task : Task
    module : Module
        All or part of the tail: maps a batch of inputs to logits of shape (n, 1).
    """

    def __init__(self, task: Task, module: nn.Module) -> None:
        self.module = module
        self.lr, options = task.member.lr, task.params.train
        self.optimizer = torch.optim.Adam(
            module.parameters(), lr=self.lr, betas=(0.9, 0.999), eps=1e-8, fused=True,
            weight_decay=options.weight_decay, decoupled_weight_decay=True,
        )  # fmt: skip
        self.smoothing = options.label_smoothing
        self.average = WeightAverage(module, options.ema) if options.ema else None
        self.half = torch.float16 in precisions(module)
        self.scaler = torch.amp.GradScaler(task.device.type, enabled=self.half)
        self.target = torch.tensor(task.label).float().to(task.device)
        self.weight = torch.from_numpy(class_weights(task.label[task.train_rows])).float().to(task.device)

    def run(self, inputs: Inputs, rows: Rows, view: int, rate: float = 1.0) -> tuple[float, float]:
        """Train on one pass over batches of rows.

        The sums of loss and accuracy stay on the device until the pass ends, so that no step waits for it.

        Parameters
        ----------
        inputs : Inputs
        rows : sequence of ndarray
            Rows of data/index.csv, one array per batch.
        view : int
            Number of the random view.
        rate : float
            Factor of the learning rate, from the schedule.

        Returns
        -------
        tuple of float
            Mean loss and accuracy.
        """
        self.module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * rate
        total = torch.zeros(2, device=self.target.device)
        order = to_device(torch.from_numpy(np.concatenate(rows)), self.target.device)
        labels = self.target[order].split([len(batch) for batch in rows])
        for label, values in zip(labels, inputs.batches(rows, view), strict=True):
            logit = self.module(values).squeeze(1)
            target = smoothed(label, self.smoothing)
            loss = binary_cross_entropy_with_logits(logit, target, weight=self.weight[label.long()])
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.average:
                self.average.update()
            correct = ((logit.detach() >= 0) == (label == 1)).sum()
            total += torch.stack([loss.detach() * len(label), correct.float()])
        loss_sum, correct_sum = total.tolist()
        return loss_sum / len(order), correct_sum / len(order)

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Load the averaged weights into the module for the duration of a block; without averaging, do nothing."""
        return self.average.applied() if self.average else nullcontext()

    @property
    def took_a_step(self) -> bool:
        """Whether any optimiser step was taken; in float16, steps with infinite gradients are skipped."""
        return not self.half or any(int(state["step"]) > 0 for state in self.optimizer.state.values())


def smoothed(label: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Apply label smoothing (Szegedy et al. 2016)."""
    return label * (1 - smoothing) + smoothing / 2 if smoothing else label


def initialise(head: nn.Linear, seed: int, fold: int) -> None:
    """Initialise the head like Keras' Dense layer: Glorot-uniform weights and zero bias.

    The weights depend on the fold but not on the learning rate, so that the models of a fold differ in the learning
    rate only (3.2).
    """
    generator = torch.Generator().manual_seed(seed_for(seed, fold, what="new head"))
    weight = torch.empty(head.weight.shape)
    nn.init.xavier_uniform_(weight, generator=generator)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.zero_()


def shuffled(rows: np.ndarray, seed: int, fold: int, stage: str, epoch: int) -> np.ndarray:
    """Shuffle the training rows for an epoch; the order is the same at every learning rate."""
    return np.random.default_rng(seed_for(seed, fold, stage, epoch, what="order")).permutation(rows)


def class_weights(label: np.ndarray) -> np.ndarray:
    """Return the weights of HEM and ALL in the loss, W_j = N / (k N_j) with k = 2 classes (2.38).

    Raises
    ------
    WenError
        If a class has no image, since its weight would be infinite.
    """
    count = np.bincount(label, minlength=2)
    if not count.all():
        kind = ("negative", "positive")[count.argmin()]
        raise WenError(f"data/split.csv: no {kind} image to train on; run `dvc repro split`")
    return len(label) / (2 * count)


def logits(module: nn.Module, inputs: Inputs, rows: np.ndarray, size: int, view: View = None) -> torch.Tensor:
    """Run a module in inference mode over rows, by default on the unchanged images.

    Returns
    -------
    Tensor of shape (len(rows),), or (len(rows), outputs) of a module with several outputs, float64, on the CPU
    """
    module.eval()
    outputs = []
    with torch.inference_mode():
        for values in inputs.batches(batches(rows, size), view):
            outputs.append(module(values).squeeze(1))
    return torch.cat(outputs).cpu().double()


def evaluate(module: nn.Module, inputs: Inputs, task: Task) -> tuple[float, float]:
    """Return the loss (unweighted binary cross entropy, 2.8) and the accuracy on the validation fold."""
    logit = logits(module, inputs, task.validation_rows, task.params.train.batch_size)
    label = torch.tensor(task.label[task.validation_rows]).double()
    loss = binary_cross_entropy_with_logits(logit, label)
    return loss.item(), ((logit >= 0) == (label == 1)).double().mean().item()
