"""What a published system may look at: images as they are, and of those that it trains on also class and person."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.errors import WenError
from wen.network import backbone, device
from wen.network.arrays import array_path, read
from wen.network.inputs import StoredInputs

INNER = 5
"""Parts into which training images are divided, of which one judges."""


@dataclass(frozen=True)
class Source:
    """The study's images, and its networks and their outputs."""

    params: Params
    paths: Paths
    device_name: str = "auto"
    fingerprint: str = ""
    """Of the code and the inputs of the system that is run."""

    @cached_property
    def device(self) -> torch.device:
        return device.choose(self.device_name, self.params.compute)

    def stored(self, network: str, kind: str) -> StoredInputs:
        """One kind of array: of a network ``pooled`` or ``maps``, or ``images``."""
        folder = self.paths.features if kind == "images" else self.paths.network(network)
        return StoredInputs(folder, kind, self.device)

    def channels(self, network: str, kind: str) -> int:
        """How many numbers ``pooled`` features have, or a position of ``maps``."""
        (values,) = read(array_path(self.paths.network(network), kind), [np.array([0])])
        return int(values.shape[-1])

    def network(self, name: str) -> nn.Module:
        """Load a network with its pretrained weights, anew each time."""
        options = Backbone(name=name, **self.params.pretrained[name].model_dump())
        own = self.params.model_copy(update={"backbone": options})
        return backbone.load(own, self.paths.network_weights(name), self.device)


@dataclass(frozen=True)
class Cells:
    """Some images, without class and person."""

    source: Source
    rows: np.ndarray
    """Of data/index.csv."""

    def __len__(self) -> int:
        return len(self.rows)

    def pooled(self, networks: list[str]) -> np.ndarray:
        """The pooled features of several networks, side by side: (images, numbers), float64."""
        folders = (self.source.paths.network(network) for network in networks)
        return np.hstack([next(read(array_path(folder, "pooled"), [self.rows])) for folder in folders]).astype(float)


@dataclass(frozen=True)
class Training(Cells):
    """Images that a system trains on; it never gets another that it may learn from."""

    label: np.ndarray
    """0 (negative) or 1 (positive)."""
    group: np.ndarray
    """The component of people and copies that each image is of; see `wen.data.components.components`."""
    system: str
    fold: int

    def seed(self, *parts: int | str, what: str) -> int:
        """Derive a seed: the same for all variants of a system, which differ by no more than they say."""
        return seed_for(self.source.params.seed, self.fold, *parts, what=f"{self.system} {what}")

    def journal(self, name: str, options: object) -> Path:
        """Where a search is kept until its system is done: of other inputs, code or options elsewhere."""
        content = [self.source.fingerprint, self.rows.tolist(), self.label.tolist(), options]
        digest = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        return self.source.paths.searches(self.system) / f"{name}-{self.fold}-{digest}.journal"

    def part(self, positions: np.ndarray) -> "Training":
        """Some of these images."""
        return replace(self, rows=self.rows[positions], label=self.label[positions], group=self.group[positions])

    def inner(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide the images into at most `INNER` parts: for each, positions that learn, and positions that judge.

        No person and no copy is on both sides, and there are both classes on either; there are fewer parts where
        there are fewer people.

        Raises
        ------
        WenError
            If the people of a class are too few for two parts.
        """
        from sklearn.model_selection import StratifiedGroupKFold

        people = [len(np.unique(self.group[self.label == value])) for value in (0, 1)]
        for parts in range(min(INNER, *people), 1, -1):
            splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=self.seed(what="inner split"))
            found = list(splitter.split(self.label, self.label, self.group))
            if all(len(np.unique(self.label[side])) == 2 for pair in found for side in pair):
                return found
        raise WenError(
            f"system {self.system}: the training images of fold {self.fold} show {people[0]} people (negative class) "
            f"and {people[1]} (positive class), too few for an inner split; add images, or remove the system from "
            "params.yaml"
        )
