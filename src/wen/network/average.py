"""Exponential moving average (EMA) of a module's weights during training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from wen.network.weights_file import Weights


class WeightAverage:
    """Exponential moving average of a module's weights and batch normalisation statistics (Polyak 1992).

    Each update is ``average = decay * average + (1 - decay) * weights``. timm's ``ModelEmaV3`` would update a tensor
    with two names twice, and torch's ``AveragedModel`` would also average the batch counter of batch normalisation.

    Parameters
    ----------
    module : Module
        The module to average; its current weights are the initial average.
    decay : float
        In (0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = {key: value for key, value in module.state_dict().items() if value.is_floating_point()}
        self.weights: Weights = {key: value.clone() for key, value in self.live.items()}

    def update(self) -> None:
        """Update the average after a training step."""
        torch._foreach_lerp_(list(self.weights.values()), list(self.live.values()), 1 - self.decay)

    def restore(self, weights: Weights) -> None:
        """Restore the average from a checkpoint; ``weights`` is empty if the stage was finished."""
        for key, value in weights.items():
            self.weights[key].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Load the average into the module for the duration of a block."""
        trained = {key: value.clone() for key, value in self.live.items()}
        self._load(self.weights)
        try:
            yield
        finally:
            self._load(trained)

    @torch.no_grad()
    def _load(self, weights: Weights) -> None:
        for key, value in self.live.items():
            value.copy_(weights[key])
