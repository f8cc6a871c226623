"""Stage 1 of one fold at every learning rate at once: heads on the frozen network's features of images as they are."""

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from wen.config.params import Params
from wen.errors import WenError
from wen.network.inputs import batches
from wen.network.steps import class_weights, initialise, shuffled, smoothed

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam, as in `wen.network.steps.Trainer`


def train(
    params: Params, fold: int, values: np.ndarray, label: np.ndarray, parts: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Train a head for each learning rate of the grid and keep each one's best epoch, as `wen.network.fit.fit` does.

    The heads of a fold start from the same weights and see the same batches, so each batch is read once for all.

    Parameters
    ----------
    params : Params
        ``lr_grid``, ``head``, ``train``, and ``seed`` for the start and the order of the batches.
    fold : int
    values : ndarray of shape (images, channels + 1), float32
        Pooled features; the last column is 1, for the bias.
    label : ndarray of shape (images,), int
        0 (negative) or 1 (positive).
    parts : tuple of ndarray of int
        Rows of the training images, and of the validation images.

    Returns
    -------
    ndarray of shape (rates, channels + 1), float32
        Weights of each head, its bias last: those of the epoch of highest validation accuracy, ties to the lower loss.

    Raises
    ------
    WenError
        If no epoch of a head had a finite loss.
    """
    train_rows, validation_rows = parts
    weight = np.tile(_start(params.seed, fold, values.shape[1]), (len(params.lr_grid), 1))
    options = params.train
    adam, average = _Adam(weight, params.lr_grid, options.weight_decay), weight.copy() if options.ema else weight
    judge = _Judge(average, params.head.patience)
    balance = class_weights(label[train_rows]).astype(np.float32)
    sizes = [len(batch) for batch in batches(train_rows, options.batch_size)]
    ends = np.cumsum(sizes)
    unseen, truth = values[validation_rows], label[validation_rows]
    for epoch in range(params.head.epochs):
        order = shuffled(train_rows, params.seed, fold, "head", epoch)
        seen = values[order]
        target = smoothed(torch.from_numpy(label[order]).float(), options.label_smoothing).numpy()[:, None]
        rate = options.rate_in(epoch, params.head.epochs)
        share = balance[label[order]][:, None]
        for size, end in zip(sizes, ends, strict=True):
            now = slice(end - size, end)
            # Gradient of the mean weighted cross entropy (2.8) by the logit.
            error = (expit(seen[now] @ weight.T) - target[now]) * share[now] / np.float32(size)
            adam.step(error.T @ seen[now], rate)
            if options.ema:
                average += np.float32(1 - options.ema) * (weight - average)
        if not judge.goes_on((unseen @ average.T).astype(np.float64), truth):
            break
    return judge.kept


def probability(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Probability of the positive class, of shape (images, heads), from `train`'s weights and values."""
    found: np.ndarray = expit((values @ weight.T).astype(np.float64))
    return found


def _start(seed: int, fold: int, width: int) -> np.ndarray:
    head = nn.Linear(width - 1, 1)
    initialise(head, seed, fold)
    with torch.no_grad():
        return torch.cat([head.weight[0], head.bias]).numpy()


class _Adam:
    """Adam (Kingma & Ba 2015) on several heads, each at its own learning rate; changes ``weight`` in place."""

    def __init__(self, weight: np.ndarray, rates: list[float], decay: float) -> None:
        self.decay = decay
        self.weight, self.rates = weight, np.array(rates, np.float32)[:, None]
        self.mean, self.square = np.zeros_like(weight), np.zeros_like(weight)
        self.steps = 0

    def step(self, gradient: np.ndarray, rate: float) -> None:
        """Make one step at ``rate`` times each head's learning rate."""
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


class _Judge:
    """Keeps each head's best epoch, and knows which heads still train."""

    def __init__(self, weight: np.ndarray, patience: int) -> None:
        self.weight, self.kept, self.patience = weight, weight.copy(), patience
        self.accuracy, self.loss = np.full(len(weight), -np.inf), np.full(len(weight), np.inf)
        self.waited = np.zeros(len(weight), int)
        self.training = np.ones(len(weight), bool)

    def goes_on(self, logit: np.ndarray, label: np.ndarray) -> bool:
        """Judge an epoch by the logits of the validation images, and tell whether a head is left that trains."""
        truth = label[:, None]
        loss = (np.logaddexp(0, logit) - truth * logit).mean(axis=0)
        finite = np.isfinite(loss)
        if (np.isinf(self.accuracy) & ~finite).any():
            raise WenError("repeats: no epoch has a finite loss; lower the highest rate of lr_grid in params.yaml")
        self.training &= finite
        accuracy = ((logit >= 0) == truth).mean(axis=0)
        better = (accuracy > self.accuracy) | ((accuracy == self.accuracy) & (loss < self.loss))
        better &= self.training
        self.kept[better], self.accuracy[better], self.loss[better] = (
            self.weight[better],
            accuracy[better],
            loss[better],
        )
        self.waited = np.where(better, 0, self.waited + 1)
        self.training &= self.waited < self.patience
        return bool(self.training.any())
