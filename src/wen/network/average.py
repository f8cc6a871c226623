"""The moving average of a module's weights, as it trains."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from wen.network.weights_file import Weights


class Average:
    """Exponential moving average of a module's weights and of its batch normalisation's statistics (Polyak 1992).

    After each step it moves to what the module holds then, by 1 - ``decay`` of the way. timm's ``ModelEmaV3`` moves
    a weight that has two names twice, and torch's ``AveragedModel`` averages batch normalisation's counter, too.

    Parameters
    ----------
    module : Module
        It begins with what this holds now.
    decay : float
        In (0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = {key: value for key, value in module.state_dict().items() if value.is_floating_point()}
        self.weights: Weights = {key: value.clone() for key, value in self.live.items()}

    def step(self) -> None:
        """Take up what a training step made of the module."""
        torch._foreach_lerp_(list(self.weights.values()), list(self.live.values()), 1 - self.decay)

    def restore(self, weights: Weights) -> None:
        """Go on from what a checkpoint holds: nothing, if the stage was at its end."""
        for key, value in weights.items():
            self.weights[key].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the module until the block ends."""
        trained = {key: value.clone() for key, value in self.live.items()}
        self._put(self.weights)
        try:
            yield
        finally:
            self._put(trained)

    @torch.no_grad()
    def _put(self, weights: Weights) -> None:
        for key, value in self.live.items():
            value.copy_(weights[key])
