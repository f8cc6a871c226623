"""Train the heads of one fold at all learning rates together, on the frozen network's features."""

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from wen.config.params import Params
from wen.errors import WenError
from wen.network.inputs import batches
from wen.network.steps import class_weights, initialise, shuffled, smoothed

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's parameters, as in `wen.network.steps.Trainer`


def train(
    params: Params, fold: int, values: np.ndarray, label: np.ndarray, parts: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Train a head for each learning rate of the grid, and select the best epoch of each as `wen.network.fit.fit` does.

    The heads of a fold start from the same weights and use the same batches, so that each batch is read once.

    Parameters
    ----------
    params : Params
        Parameters of the study; ``lr_grid``, ``head``, ``train`` and ``seed`` are used.
    fold : int
    values : ndarray of shape (images, channels + 1), float32
        Pooled features, followed by a column of ones for the bias.
    label : ndarray of shape (images,), int
        0 (negative) or 1 (positive).
    parts : tuple of ndarray of int
        Rows of the training images and of the validation images.

    Returns
    -------
    ndarray of shape (rates, channels + 1), float32
        Weights and, in the last column, bias of each head after its best epoch: the one with the highest validation
        accuracy; ties go to the lower validation loss.

    Raises
    ------
    WenError
        If a head has no epoch with a finite loss.
    """
    train_rows, validation_rows = parts
    weight = np.tile(_initial_weight(params.seed, fold, values.shape[1]), (len(params.lr_grid), 1))
    options = params.train
    adam, average = _Adam(weight, params.lr_grid, options.weight_decay), weight.copy() if options.ema else weight
    best_epochs = _BestEpochs(average, params.head.patience, options.monitor)
    class_weight = class_weights(label[train_rows]).astype(np.float32)
    sizes = [len(batch) for batch in batches(train_rows, options.batch_size)]
    ends = np.cumsum(sizes)
    validation_values, validation_label = values[validation_rows], label[validation_rows]
    for epoch in range(params.head.epochs):
        order = shuffled(train_rows, params.seed, fold, "head", epoch)
        train_values = values[order]
        target = smoothed(torch.from_numpy(label[order]).float(), options.label_smoothing).numpy()[:, None]
        rate = options.rate_in(epoch, params.head.epochs)
        sample_weight = class_weight[label[order]][:, None]
        for size, end in zip(sizes, ends, strict=True):
            batch = slice(end - size, end)
            # gradient of the mean weighted cross entropy (2.8) with respect to the logits
            residual = expit(train_values[batch] @ weight.T) - target[batch]
            error = residual * sample_weight[batch] / np.float32(size)
            adam.step(error.T @ train_values[batch], rate)
            if options.ema:
                average += np.float32(1 - options.ema) * (weight - average)
        best_epochs.update((validation_values @ average.T).astype(np.float64), validation_label)
        if best_epochs.all_stopped:
            break
    return best_epochs.best_weight


def probability(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the probabilities of the positive class, of shape (images, heads); arguments as in `train`."""
    positive: np.ndarray = expit((values @ weight.T).astype(np.float64))
    return positive


def _initial_weight(seed: int, fold: int, width: int) -> np.ndarray:
    head = nn.Linear(width - 1, 1)
    initialise(head, seed, fold)
    with torch.no_grad():
        return torch.cat([head.weight[0], head.bias]).numpy()


class _Adam:
    """Adam (Kingma & Ba 2015) for several heads with different learning rates; updates ``weight`` in place."""

    def __init__(self, weight: np.ndarray, rates: list[float], decay: float) -> None:
        self.decay = decay
        self.weight, self.rates = weight, np.array(rates, np.float32)[:, None]
        self.mean, self.square = np.zeros_like(weight), np.zeros_like(weight)
        self.steps = 0

    def step(self, gradient: np.ndarray, rate: float) -> None:
        """Take one step; ``rate`` is the schedule's factor of each head's learning rate."""
        rates = self.rates * np.float32(rate)
        if self.decay:
            self.weight *= 1 - rates * np.float32(self.decay)
        self.steps += 1
        first, second = BETAS
        self.mean += np.float32(1 - first) * (gradient - self.mean)
        self.square += np.float32(1 - second) * (gradient * gradient - self.square)
        root = np.sqrt(self.square)
        root *= np.float32((1 - second**self.steps) ** -0.5)
        root += np.float32(EPSILON)
        self.weight -= rates * np.float32(1 / (1 - first**self.steps)) * (self.mean / root)


class _BestEpochs:
    """Best epoch of each head, with early stopping.

    Parameters
    ----------
    weight : ndarray of shape (heads, channels + 1)
        Weights in training, which the optimiser updates in place.
    patience : int
        Number of epochs without improvement after which a head stops.
    monitor : str
        The validation measure that has to improve: ``accuracy`` or ``loss``.
    """

    def __init__(self, weight: np.ndarray, patience: int, monitor: str) -> None:
        self.weight, self.best_weight, self.patience, self.monitor = weight, weight.copy(), patience, monitor
        self.accuracy, self.loss = np.full(len(weight), -np.inf), np.full(len(weight), np.inf)
        self.lowest_loss, self.waited = self.loss.copy(), np.zeros(len(weight), int)
        self.is_training = np.ones(len(weight), bool)

    @property
    def all_stopped(self) -> bool:
        return not self.is_training.any()

    def update(self, logit: np.ndarray, label: np.ndarray) -> None:
        """Update the best epoch of each head from the logits of the validation images, of shape (images, heads)."""
        truth = label[:, None]
        loss = (np.logaddexp(0, logit) - truth * logit).mean(axis=0)
        finite = np.isfinite(loss)
        if (np.isinf(self.accuracy) & ~finite).any():
            raise WenError("repeats: no epoch has a finite loss; lower the highest rate of lr_grid in params.yaml")
        self.is_training &= finite
        accuracy = ((logit >= 0) == truth).mean(axis=0)
        better = (accuracy > self.accuracy) | ((accuracy == self.accuracy) & (loss < self.loss))
        better &= self.is_training
        self.best_weight[better] = self.weight[better]
        self.accuracy[better], self.loss[better] = accuracy[better], loss[better]
        improved = loss < self.lowest_loss if self.monitor == "loss" else better
        self.lowest_loss = np.fmin(loss, self.lowest_loss)
        self.waited = np.where(improved, 0, self.waited + 1)
        self.is_training &= self.waited < self.patience
