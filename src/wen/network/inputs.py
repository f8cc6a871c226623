"""Inputs of the trainable part, by row of data/index.csv: read from data/features, or computed from the images."""

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
from wen.network.finite import kind_of, nonfinite_error, overflow
from wen.network.frozen import Frozen, Run, runner
from wen.network.views import random_view, turned

Rows = Sequence[np.ndarray]
UNTRAINED = "models/backbone.safetensors contains no trained network; set backbone.weights to another checkpoint"
"""Remedy for a frozen network with finite weights and outputs that are not finite."""


class Inputs(Protocol):
    """A source of batches on the device."""

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        """Yield one batch per array of row numbers."""
        ...


class StoredInputs:
    """Read one kind of array that the features stage wrote.

    Parameters
    ----------
    folder : Path
        data/features; data/turned is found next to it.
    kind : str
        ``images``, ``pooled`` or ``activations``.
    device : torch.device
    """

    def __init__(self, folder: Path, kind: str, device: torch.device) -> None:
        self.folder, self.kind, self.device = folder, kind, device

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        """Yield one batch per array of row numbers, as float32 with channels first.

        Raises
        ------
        WenError
            If the array is missing or damaged, or has no random view of one of the images.
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


class ComputedInputs:
    """Compute the outputs of the frozen network from the decoded images, on every pass.

    Parameters
    ----------
    images : StoredInputs
        Arrays of the kind ``images``.
    run : callable
        The frozen network, as `wen.network.frozen.runner` returns it.
    params : Params
        Parameters of the study; the augmentation and the seed are used.
    """

    def __init__(self, images: StoredInputs, run: Run, params: Params) -> None:
        self.images, self.run, self.params = images, run, params

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        for (values,) in self.outputs(rows, view):
            yield values.movedim(-1, 1)

    def outputs(self, rows: Rows, view: View) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield all outputs of the frozen network for each batch, with channels last."""
        for batch, pixels in zip(rows, self.images.batches(rows, None), strict=True):
            images = pixels / 255
            if isinstance(view, int):
                images = random_view(images, self.params.augment, self.params.seed, view, batch)
            images = images.movedim(1, -1)
            yield self.run((turned(images, view.turn) if isinstance(view, Turned) else images).contiguous())


class CheckedInputs:
    """Check that all inputs are finite. The check runs at the end of a pass, so that no step waits for the device.

    Parameters
    ----------
    inputs : Inputs
    paths : Paths
        Paths of the study, to look up the images' names.
    source : str
        Description of the inputs for the error message, with the file that they come from.
    reason : str
        Likely reason and remedy for the error message.
    """

    def __init__(self, inputs: Inputs, paths: Paths, source: str, reason: str) -> None:
        self.inputs, self.paths, self.source, self.reason = inputs, paths, source, reason

    def batches(self, rows: Rows, view: View) -> Iterator[torch.Tensor]:
        """Yield one batch per array of row numbers.

        Raises
        ------
        WenError
            After the last batch, if any value was infinite or NaN.
        """
        finite = []
        for values in self.inputs.batches(rows, view):
            finite.append(values.isfinite().flatten(1).all(1))
            yield values
        bad = np.concatenate(rows)[~torch.cat(finite).cpu().numpy()]
        if len(bad):
            values = next(iter(self.inputs.batches([bad[:1]], view)))
            images = read_index(self.paths).id.to_numpy()[bad]
            raise nonfinite_error(self.source, images, view, kind_of(values), self.reason)


def inputs_for(kind: str, params: Params, paths: Paths, network: nn.Module, device: torch.device) -> Inputs:
    """Return the ``pooled`` features or ``activations`` as inputs of a stage, read from data/features or computed.

    params.yaml's ``features`` decides between the two; see `is_stored`. Both give equal values up to the rounding of
    float32, or of ``compute.precision`` if that is a half type. A pass with an infinite or NaN value ends with a
    `WenError`.
    """
    if is_stored(kind, params.features, network):
        stored = StoredInputs(paths.features, kind, device)
        reason = f"changed since `wen features` wrote it; delete {paths.features} and run `dvc repro`"
        return CheckedInputs(stored, paths, f"{paths.features}: {kind}", reason)
    computed = computed_inputs((kind,), params, paths.features, network, device)
    return CheckedInputs(computed, paths, kind, overflow(precision(device, params.compute), UNTRAINED))


def is_stored(kind: str, options: Features, network: nn.Module) -> bool:
    """Whether data/features holds this kind: params.yaml asks for it, and the network can be cut (for activations)."""
    return getattr(options, kind) and (kind != "activations" or is_traceable(network))


def computed_inputs(
    kinds: tuple[str, ...], params: Params, folder: Path, network: nn.Module, device: torch.device
) -> ComputedInputs:
    """Return inputs that are computed from the decoded images in ``folder``."""
    frozen = Frozen(network, params.finetune.unfreeze_from, kinds)
    run = runner(frozen, params.images.size, device, params.compute)
    return ComputedInputs(StoredInputs(folder, "images", device), run, params)


def views_of(options: Predict) -> list[View]:
    """Return the views whose probabilities are averaged in prediction; the first is the unchanged image."""
    return [Turned(turn) if turn else None for turn in options.turns]


def batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Split rows into batches of nearly equal length, at most ``size``.

    The lengths differ by at most one, so that no batch is left with a single image, on which batch normalisation
    cannot train. For the same reason, an odd number of rows with ``size`` 2 gives one batch of three.

    Raises
    ------
    WenError
        If there are no rows.
    """
    if not len(rows):
        raise WenError("data/split.csv: no image in this part or fold; run `dvc repro split`")
    return np.array_split(rows, min(-(-len(rows) // size), max(1, len(rows) // 2)))
