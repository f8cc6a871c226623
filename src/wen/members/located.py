"""Where in an image that was not in the study a classifier's answer comes from."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from wen.members.predict import Located


class Maps:
    """Class-activation maps of a classifier, by torch on the CPU, which is imported at the first call.

    The map is the members' by their weights, as in the report; see `wen.members.predict.Located`. It is not scaled by
    temperatures.

    Parameters
    ----------
    load : callable
        Gives the members' networks, in inference mode, on the CPU.
    unfreeze_from : str
        Where they are cut; before it their weights are equal.
    weight : ndarray of shape (members,)
    """

    def __init__(self, load: "Callable[[], Sequence[nn.Module]]", unfreeze_from: str, weight: np.ndarray) -> None:
        self.load, self.unfreeze_from, self.weight = load, unfreeze_from, weight
        self.parts: tuple[nn.Module, list[Located], np.ndarray, np.ndarray] | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray | None:
        """Locate the answer for one image.

        Parameters
        ----------
        image : ndarray of shape (size, size, 3), uint8

        Returns
        -------
        ndarray of shape (height, width), float64
            Above 0 speaks for the positive class. None if the networks have no map, or a number in it is none.
        """
        import torch

        if self.parts is None:
            self.parts = self._parts()
        trunk, tails, mean, std = self.parts
        pixels = torch.from_numpy(((image.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None])
        with torch.inference_mode():
            activations = trunk(pixels)
            found = [(tail(activations)[0, 1:].numpy().astype(np.float64), tail.shape) for tail in tails]
        maps = np.stack([values.reshape(*shape) for values, shape in found])
        return np.tensordot(self.weight, maps, axes=1) if maps.size and np.isfinite(maps).all() else None

    def _parts(self) -> "tuple[nn.Module, list[Located], np.ndarray, np.ndarray]":
        from wen.members.predict import Located
        from wen.network.cut import cut

        networks = list(self.load())
        cuts = [cut(network, self.unfreeze_from) for network in networks]
        about = networks[0].pretrained_cfg
        mean, std = (np.array(about[key], np.float32) for key in ("mean", "std"))  # type: ignore[index]
        return cuts[0].trunk.eval(), [Located(part).eval() for part in cuts], mean, std
