"""Class-activation maps of a classifier for new images."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from wen.members.predict import TailWithMap


class Maps:
    """Class-activation maps of a classifier, computed with torch on the CPU. torch is imported at the first call.

    The map is the weighted mean of the members' maps, as in the report; see `wen.members.predict.TailWithMap`.
    Temperatures are not applied.

    Parameters
    ----------
    load : callable
        Returns the members' networks, in inference mode on the CPU.
    unfreeze_from : str
        Name of the module before which the networks are cut. Before it, their weights are equal.
    weight : ndarray of shape (members,)
        Weights of the members.
    """

    def __init__(self, load: "Callable[[], Sequence[nn.Module]]", unfreeze_from: str, weight: np.ndarray) -> None:
        self.load, self.unfreeze_from, self.weight = load, unfreeze_from, weight
        self.parts: tuple[nn.Module, list[TailWithMap], np.ndarray, np.ndarray] | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray | None:
        """Compute the map of one image.

        Parameters
        ----------
        image : ndarray of shape (size, size, 3), uint8

        Returns
        -------
        ndarray of shape (height, width), float64, or None
            Values above 0 are in favour of the positive class. None if the networks have no map, or if it is not
            finite.
        """
        import torch

        if self.parts is None:
            self.parts = self._load_parts()
        trunk, tails, mean, std = self.parts
        pixels = torch.from_numpy(((image.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None])
        with torch.inference_mode():
            activations = trunk(pixels)
            outputs = [(tail(activations)[0, 1:].numpy().astype(np.float64), tail.shape) for tail in tails]
        maps = np.stack([values.reshape(*shape) for values, shape in outputs])
        return np.tensordot(self.weight, maps, axes=1) if maps.size and np.isfinite(maps).all() else None

    def _load_parts(self) -> "tuple[nn.Module, list[TailWithMap], np.ndarray, np.ndarray]":
        from wen.members.predict import TailWithMap
        from wen.network.cut import cut

        networks = list(self.load())
        cuts = [cut(network, self.unfreeze_from) for network in networks]
        pretrained = networks[0].pretrained_cfg
        mean, std = (np.array(pretrained[key], np.float32) for key in ("mean", "std"))  # type: ignore[index]
        return cuts[0].trunk.eval(), [TailWithMap(part).eval() for part in cuts], mean, std
