"""What a network is fed, row by row of data/index.csv: computed from the images, or read from data/features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from timm.models.efficientnet import EfficientNet
from torch import nn
from torch.utils.data import DataLoader, Dataset

from wen.data.images import network_input
from wen.errors import WenError
from wen.network.cut import cut
from wen.network.device import autocast, precision
from wen.network.views import augment, draw
from wen.params import Params
from wen.paths import Paths

Rows = Sequence[np.ndarray]


class Inputs(Protocol):
    """A source of batches on the device."""

    def batches(self, rows: Rows, view: int | None) -> Iterator[torch.Tensor]:
        """Yield one batch for each array of row numbers; ``view`` None is the image as it is."""
        ...


@dataclass(frozen=True)
class Images(Dataset[torch.Tensor]):
    """Images as uint8 batches: item ``rows`` has shape (len(rows), 3, size, size)."""

    index: pd.DataFrame
    root: Path
    crop: int
    size: int

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        files = zip(self.index.path.iloc[rows], self.index.sha256.iloc[rows], strict=True)
        pixels = [network_input(self.root / path, digest, self.crop, self.size) for path, digest in files]
        return torch.from_numpy(np.stack(pixels))


class Normalise(nn.Module):
    """From [0, 1] to what the pretrained network expects."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(std)[None, :, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


class FromImages:
    """The plain path: read, augment, and run the frozen part of the network, each time anew.

    Parameters
    ----------
    images : Images
    params : Params
        For the views, the seed, and how to compute.
    frozen : Module
        From normalised images to the input at hand; in inference mode.
    normalise : Normalise
    device : torch.device
    """

    def __init__(
        self, images: Images, params: Params, frozen: nn.Module, normalise: Normalise, device: torch.device
    ) -> None:
        self.images, self.params, self.device = images, params, device
        self.frozen, self.normalise = frozen.to(device), normalise.to(device)
        self.dtype = precision(device, params.compute)

    def batches(self, rows: Rows, view: int | None) -> Iterator[torch.Tensor]:
        for batch, pixels in self.pixels(rows):
            yield self.compute(pixels, batch, view).float()

    def pixels(self, rows: Rows) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield each batch of row numbers with its images, in [0, 1] on the device."""
        loader = DataLoader(
            self.images,
            sampler=rows,
            batch_size=None,
            num_workers=self.params.compute.workers,
            pin_memory=self.device.type == "cuda",
        )
        for batch, pixels in zip(rows, loader, strict=True):
            yield batch, pixels.to(self.device, non_blocking=True).float() / 255

    @torch.no_grad()
    def compute(self, pixels: torch.Tensor, rows: np.ndarray, view: int | None) -> Any:
        """Augment and normalise images in [0, 1] and run the frozen part on them."""
        if view is not None:
            drawn = draw(self.params.augment, self.params.seed, view, len(self.images))
            pixels = augment(pixels, drawn[torch.from_numpy(rows)])
        with autocast(self.device, self.dtype):
            return self.frozen(self.normalise(pixels))


def inputs_for(
    kind: str, params: Params, paths: Paths, index: pd.DataFrame, network: EfficientNet, device: torch.device
) -> Inputs:
    """Give a stage its ``pooled`` features or ``activations``: from data/features, or computed anew.

    params.yaml's ``features`` chooses; the numbers are the same to float tolerance.
    """
    if getattr(params.features, kind):
        return FromFeatures(paths.features, kind, device)
    parts = cut(network, params.finetune.unfreeze_from)
    frozen = parts.trunk if kind == "activations" else nn.Sequential(parts.trunk, parts.top)
    return from_images(params, paths, index, frozen, network, device)


def from_images(
    params: Params,
    paths: Paths,
    index: pd.DataFrame,
    frozen: nn.Module,
    network: EfficientNet,
    device: torch.device,
) -> FromImages:
    """Make the plain path of a study: its images cropped, resized, and normalised as ``network`` expects."""
    images = Images(index[["path", "sha256"]], paths.root, params.images.crop, params.images.size)
    pretrained: Any = network.pretrained_cfg
    return FromImages(images, params, frozen, Normalise(pretrained["mean"], pretrained["std"]), device)


class FromFeatures:
    """Rows of one kind of array that the features stage wrote, memory-mapped.

    Parameters
    ----------
    folder : Path
        data/features.
    kind : str
        ``pooled`` or ``activations``.
    device : torch.device
    """

    def __init__(self, folder: Path, kind: str, device: torch.device) -> None:
        self.folder, self.kind, self.device = folder, kind, device

    def batches(self, rows: Rows, view: int | None) -> Iterator[torch.Tensor]:
        path = array_path(self.folder, self.kind, view)
        try:
            stored = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError) as error:
            raise WenError(f"{path}: {error}; run `wen features`") from None
        for batch in rows:
            values = torch.from_numpy(stored[batch]).to(self.device, non_blocking=True).float()
            yield values.movedim(-1, 1)  # stored channels last


def batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut rows into batches of at most ``size`` that differ by at most one image.

    So no batch is left with the single image that batch normalisation cannot train on.
    """
    return np.array_split(rows, -(-len(rows) // size))


def array_path(folder: Path, kind: str, view: int | None) -> Path:
    """Where the features stage keeps one kind of output for one view of all images."""
    return folder / f"{kind}-{'clean' if view is None else view}.npy"
