"""Data access of published systems: unchanged images, and labels and subjects of the training images only."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.errors import WenError
from wen.files import sha256
from wen.network import backbone
from wen.network.arrays import array_path, read
from wen.network.inputs import StoredInputs

INNER = 5
"""Number of parts into which training images are split; one of them is held out for validation."""


@dataclass(frozen=True)
class Source:
    """Access to the study's images, its networks and their stored outputs."""

    params: Params
    paths: Paths
    device: torch.device
    fingerprint: str = ""
    """Hash of the code and the inputs of the system, and of the device and precision it is trained with."""

    def stored(self, network: str, kind: str) -> StoredInputs:
        """Return the stored arrays of one kind: ``pooled`` or ``maps`` of a network, or ``images``."""
        folder = self.paths.features if kind == "images" else self.paths.network(network)
        return StoredInputs(folder, kind, self.device)

    def channels(self, network: str, kind: str) -> int:
        """Return the number of channels of a network's ``pooled`` features or ``maps``."""
        (values,) = read(array_path(self.paths.network(network), kind), [np.array([0])])
        return int(values.shape[-1])

    def network(self, name: str) -> nn.Module:
        """Load a new copy of a network with its pretrained weights."""
        params = self.params.model_copy(update={"backbone": self.params.network_of_systems(name)})
        return backbone.load(params, self.paths.network_weights(name), self.device)


@dataclass(frozen=True)
class Cells:
    """Images without their labels and subjects."""

    source: Source
    rows: np.ndarray
    """Rows of data/index.csv."""

    def __len__(self) -> int:
        return len(self.rows)

    def pooled(self, networks: list[str]) -> np.ndarray:
        """Return the concatenated pooled features of several networks, of shape (images, features), float64."""
        folders = (self.source.paths.network(network) for network in networks)
        return np.hstack([next(read(array_path(folder, "pooled"), [self.rows])) for folder in folders]).astype(float)


@dataclass(frozen=True)
class Training(Cells):
    """The training images of a fold, with labels and groups. A system gets labels of no other images."""

    label: np.ndarray
    """0 (negative) or 1 (positive)."""
    group: np.ndarray
    """Component of subjects and copies of each image; see `wen.data.components.components`."""
    system: str
    fold: int

    def seed(self, *parts: int | str, what: str) -> int:
        """Derive a seed. It is the same for all variants of a system, so that they differ in their settings only."""
        return seed_for(self.source.params.seed, self.fold, *parts, what=f"{self.system} {what}")

    def journal(self, name: str, options: object) -> Path:
        """Return the path of a search's journal, which depends on inputs, code and options."""
        content = [self.source.fingerprint, self.rows.tolist(), self.label.tolist(), options]
        digest = sha256(repr(content).encode())[:16]
        return self.source.paths.searches(self.system) / f"{name}-{self.fold}-{digest}.journal"

    def part(self, positions: np.ndarray) -> "Training":
        """Return the images at some positions."""
        return replace(self, rows=self.rows[positions], label=self.label[positions], group=self.group[positions])

    def inner(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Split the images for an inner cross-validation with at most `INNER` parts.

        No subject and no copy is on both sides of a split, and both classes are on either side. There are fewer parts
        if there are fewer subjects.

        Returns
        -------
        list of tuple of ndarray
            Positions of training and of validation images, for each part.

        Raises
        ------
        WenError
            If a class has too few subjects for two parts.
        """
        from sklearn.model_selection import StratifiedGroupKFold

        people = [len(np.unique(self.group[self.label == value])) for value in (0, 1)]
        for parts in range(min(INNER, *people), 1, -1):
            splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=self.seed(what="inner split"))
            splits = list(splitter.split(self.label, self.label, self.group))
            if all(len(np.unique(self.label[side])) == 2 for split in splits for side in split):
                return splits
        raise WenError(
            f"system {self.system}: the training images of fold {self.fold} show {people[0]} people (negative class) "
            f"and {people[1]} (positive class), too few for an inner split; add images, or remove the system from "
            "params.yaml"
        )
