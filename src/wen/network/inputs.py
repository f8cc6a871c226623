"""What a network is fed, row by row of data/index.csv: read from data/features, or computed anew from the images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from wen.config.params import Features, Params, Predict
from wen.config.paths import Paths, turned_beside
from wen.data.table import read_index
from wen.errors import WenError
from wen.network.arrays import Turned, View, array_path, read, rows_of_views_path
from wen.network.cut import is_traceable
from wen.network.device import precision, to_device
from wen.network.finite import kind_of, overflow, refusal
from wen.network.frozen import Frozen, Run, runner
from wen.network.views import random_view, turned

Rows = Sequence[np.ndarray]
UNTRAINED = "models/backbone.safetensors contains no trained network; set backbone.weights to another checkpoint"
"""What to do where its weights are finite and its outputs are not."""


class Inputs(Protocol):
    """A source of batches on the device."""

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        """Yield one batch for each array of row numbers."""
        ...


class Stored:
    """One kind of array that the features stage wrote.

    Parameters
    ----------
    folder : Path
        data/features; that of turned images is beside it.
    kind : str
        ``images``, ``pooled`` or ``activations``.
    device : torch.device
    """

    def __init__(self, folder: Path, kind: str, device: torch.device) -> None:
        self.folder, self.kind, self.device = folder, kind, device

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        """Yield the batches.

        Raises
        ------
        WenError
            If the array is missing or damaged, or has no random view of an image.
        """
        folder = turned_beside(self.folder) if isinstance(view, Turned) else self.folder
        if isinstance(view, int):
            rows = list(read(rows_of_views_path(self.folder), rows))
            if any((batch < 0).any() for batch in rows):
                raise WenError(
                    f"{self.folder}: made for another data/split.csv, without random views of some training images; "
                    "run `dvc repro features`"
                )
        for values in read(array_path(folder, self.kind, view), rows):
            yield to_device(torch.from_numpy(values), self.device).float().movedim(-1, 1)


class Computed:
    """Outputs of the frozen network, computed anew each time from the decoded images.

    Parameters
    ----------
    images : Stored
        Of kind ``images``.
    run : callable
        The frozen network, as `wen.network.frozen.runner` makes it.
    params : Params
        For the views and the seed.
    """

    def __init__(self, images: Stored, run: Run, params: Params) -> None:
        self.images, self.run, self.params = images, run, params

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        for (values,) in self.outputs(rows, view):
            yield values.movedim(-1, 1)

    def outputs(self, rows: Rows, view: View) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield all outputs of the frozen network for each batch, channels last."""
        for batch, pixels in zip(rows, self.images.batches(rows, None), strict=True):
            images = pixels / 255
            if isinstance(view, int):
                images = random_view(images, self.params.augment, self.params.seed, view, batch)
            images = images.movedim(1, -1)
            yield self.run((turned(images, view.turn) if isinstance(view, Turned) else images).contiguous())


class Checked:
    """Inputs of which every number is checked, when a pass over them ends: so no step waits for the device.

    Parameters
    ----------
    inputs : Inputs
    paths : Paths
        For the images' names.
    source : str
        What the numbers are, and of what file.
    reason : str
        Why some may be infinite or undefined, and what to do.
    """

    def __init__(self, inputs: Inputs, paths: Paths, source: str, reason: str) -> None:
        self.inputs, self.paths, self.source, self.reason = inputs, paths, source, reason

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        """Yield the batches.

        Raises
        ------
        WenError
            After the last one, if a number in any of them is infinite or undefined.
        """
        finite = []
        for values in self.inputs.batches(rows, view):
            finite.append(values.isfinite().flatten(1).all(1))
            yield values
        bad = np.concatenate(rows)[~torch.cat(finite).cpu().numpy()]
        if len(bad):
            again = next(iter(self.inputs.batches([bad[:1]], view)))
            images = read_index(self.paths).id.to_numpy()[bad]
            raise refusal(self.source, images, view, kind_of(again), self.reason)


def inputs_for(kind: str, params: Params, paths: Paths, network: nn.Module, device: torch.device) -> Inputs:
    """Give a stage its ``pooled`` features or ``activations``: from data/features, or computed anew.

    params.yaml's ``features`` chooses, see `is_kept`; the numbers are the same to float tolerance, or to that of
    ``compute.precision`` where that is mixed. A number that is none is a `WenError` at the end of the pass.
    """
    if is_kept(kind, params.features, network):
        stored = Stored(paths.features, kind, device)
        reason = f"changed since `wen features` wrote it; delete {paths.features} and run `dvc repro`"
        return Checked(stored, paths, f"{paths.features}: {kind}", reason)
    anew = computed((kind,), params, paths.features, network, device)
    return Checked(anew, paths, kind, overflow(precision(device, params.compute), UNTRAINED))


def is_kept(kind: str, options: Features, network: nn.Module) -> bool:
    """Whether data/features holds it: params.yaml asks for it, and a network that is not cut has no activations."""
    return getattr(options, kind) and (kind != "activations" or is_traceable(network))


def computed(
    kinds: tuple[str, ...], params: Params, folder: Path, network: nn.Module, device: torch.device
) -> Computed:
    """Make the plain path of a study from the decoded images in ``folder``."""
    frozen = Frozen(network, params.finetune.unfreeze_from, kinds)
    run = runner(frozen, params.images.size, device, params.compute)
    return Computed(Stored(folder, "images", device), run, params)


def views_of(options: Predict) -> list[View]:
    """The views of an image over which its probability is the mean: first, as it is."""
    return [Turned(turn) if turn else None for turn in options.turns]


def batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut rows into batches of at most ``size`` that differ by at most one image.

    So no batch is left with the single image that batch normalisation cannot train on; of an odd number of images
    by ``size`` 2, one batch holds three instead.

    Raises
    ------
    WenError
        If there are no rows.
    """
    if not len(rows):
        raise WenError("data/split.csv: no image in this part or fold; run `dvc repro split`")
    return np.array_split(rows, min(-(-len(rows) // size), max(1, len(rows) // 2)))
