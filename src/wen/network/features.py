"""Stage ``features``: decode the images and run the frozen network once for all models.

It sees every image as it is, turned as `predict.tta` asks, and random views of those that are ever trained on: never
of a test image.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from torch import nn

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import gallery
from wen.data.images import network_input
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.errors import WenError
from wen.files import atomic, write_json
from wen.network import backbone, device, graph
from wen.network.arrays import Turned, View, array_path, rows_of_views_path, writers
from wen.network.assembly import graph_of
from wen.network.finite import kind_of, overflow, refusal
from wen.network.frozen import KINDS
from wen.network.inputs import UNTRAINED, Rows, batches, computed, is_kept, views_of
from wen.network.untraced import notice

BATCH = 32
"""Images at once: enough for a GPU, and few enough for a processor's caches."""
Outputs = tuple[torch.Tensor, ...]
Arrays = tuple[np.ndarray, ...]


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Write data/features/: the decoded images, and the outputs of the frozen network.

    ``images-clean.npy``, (images, size, size, 3), is what enters the network; ``pooled-V.npy``,
    (images, channels), is what stage 1 learns from; ``activations-V.npy``, (images, height, width,
    channels) at the cut, is what stage 2 learns from. V is ``clean``, of all images in the order of
    data/index.csv, or a random view's number, of the development images alone; ``rows-of-views.npy``, (images,),
    says which row is whose there. A kind that params.yaml's ``features`` switches off is not written: training
    computes it anew each time. Nor are activations of a network that cannot be traced; the stage says so.

    data/turned/ has ``pooled-turned-T.npy`` and ``activations-turned-T.npy``, of all images turned by each T of
    `predict.tta`: in a folder of its own, so that another ``tta`` trains nothing anew. turns.json lists them.

    models/graph.json has what the network computes, apart from its weights: `wen classify` needs no torch with it.

    With ``compute.precision: auto`` all of it is computed in float32, on a GPU too, and stored as ``features.dtype``
    says; bfloat16 or float16 there is obeyed here as well, but for the pooled features, which are float32 means of
    what the convolutions give.

    Raises
    ------
    WenError
        If a number is infinite or undefined, or becomes so as ``features.dtype``; the message names the image.
    """
    params = params.model_copy(update={"compute": device.for_storage(params.compute)})
    cells = read_cells(paths)
    device.settle(params.compute)
    where = device.choose(device_name, params.compute)
    learns = (cells.part == DEVELOPMENT).to_numpy()
    every, learnt = batches(np.arange(len(cells)), BATCH), batches(np.flatnonzero(learns), BATCH)
    asked = any(getattr(params.features, kind) for kind in KINDS)
    with atomic(paths.features) as partial, atomic(paths.turned) as beside:
        partial.mkdir()
        beside.mkdir()
        write_json(beside / "turns.json", {"turns": params.predict.turns})
        pictures: dict[str, bytes] = {}
        decoded = _collecting(_decoded(cells, every, params, paths), cells, every, pictures)
        _write(partial, ("images",), None, ((images,) for images in decoded), len(cells))
        gallery.write(paths.test_cells, pictures)
        network = backbone.load(params, paths.backbone, where) if asked else None
        if network and (kinds := _kept(params, network)):
            frozen = computed(kinds, params, partial, network, where)
            reason = overflow(device.precision(where, params.compute), UNTRAINED)
            np.save(rows_of_views_path(partial), np.where(learns, learns.cumsum() - 1, -1))
            views = [*views_of(params.predict), *range(params.augment.views)]
            for view in track(views, "frozen network, views", transient=True):
                rows = learnt if isinstance(view, int) else every
                outputs = _on_cpu(_ahead(frozen.outputs(rows, view)))
                images = [cells.id.to_numpy()[batch] for batch in rows]
                stored = _as_stored(outputs, kinds, params.features.dtype, images, view, reason)
                folder = beside if isinstance(view, Turned) else partial
                _write(folder, kinds, view, _differing(stored, kinds[-1]), sum(map(len, rows)))
    untrained = backbone.build(params.backbone, params.images.size).eval()
    graph.write(
        graph_of(untrained, params.finetune.unfreeze_from, params.images.size, params.predict.turns), paths.graph
    )


def _kept(params: Params, network: nn.Module) -> tuple[str, ...]:
    """Which kinds are kept; say so if one that is asked for cannot be."""
    kinds = tuple(kind for kind in KINDS if is_kept(kind, params.features, network))
    if params.features.activations and "activations" not in kinds:
        print(notice(params.backbone.name), file=sys.stderr)
    return kinds


def _decoded(cells: pd.DataFrame, rows: Rows, params: Params, paths: Paths) -> Iterator[np.ndarray]:
    """Yield batches of images as they enter the network, uint8, of shape (n, size, size, 3)."""
    crop, size = params.images.crop, params.images.size
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in track(rows, "decoding images", transient=True):
            files = zip(cells.path.iloc[batch], cells.sha256.iloc[batch], strict=True)
            yield np.stack(list(pool.map(lambda file: network_input(paths.image(file[0]), file[1], crop, size), files)))


def _collecting(
    batches: Iterator[np.ndarray], cells: pd.DataFrame, rows: Rows, pictures: dict[str, bytes]
) -> Iterator[np.ndarray]:
    """Pass batches of images on, and keep the thumbnails of those that are for test."""
    tests, ids = (cells.part == TEST).to_numpy(), cells.id.to_numpy()
    for batch, images in zip(rows, batches, strict=True):
        for row, image in zip(batch, images, strict=True):
            if tests[row]:
                pictures[ids[row]] = gallery.png(gallery.thumbnail(image))
        yield images


def _ahead(batches: Iterator[Outputs]) -> Iterator[Outputs]:
    """Ask for each batch before the one before it is used: a GPU works on it while that one is written."""
    previous = next(batches)
    for batch in batches:
        yield previous
        previous = batch
    yield previous


def _on_cpu(outputs: Iterator[Outputs]) -> Iterator[Arrays]:
    for batch in outputs:
        yield tuple(output.cpu().numpy() for output in batch)


def _as_stored(
    outputs: Iterator[Arrays],
    kinds: tuple[str, ...],
    dtype: str,
    images: list[np.ndarray],
    view: View,
    reason: str,
) -> Iterator[Arrays]:
    """Bring outputs to the type that they are stored in; all have to be finite numbers, before it and after it."""
    for names, batch in zip(images, outputs, strict=True):
        with np.errstate(over="ignore"):
            stored = tuple(values.astype(dtype, copy=False) for values in batch)
        for kind, exact, values in zip(kinds, batch, stored, strict=True):
            bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
            if bad.any():
                raise refusal(kind, names[bad], view, *_cause(torch.from_numpy(exact[bad]), dtype, reason))
        yield stored


def _cause(values: torch.Tensor, dtype: str, reason: str) -> tuple[str, str]:
    """What is wrong with them, and why."""
    if not values.isfinite().all():
        return kind_of(values), reason
    limit = np.finfo(dtype).max
    return f"{values.abs().max():.6g}, but the largest number in {dtype} is {limit:g}", "set features.dtype: float32"


def _differing(outputs: Iterator[Arrays], kind: str) -> Iterator[Arrays]:
    """Refuse what is the same for all images, as of weights that are all zero: there is nothing to learn from it."""
    first, alike = None, True
    for batch in outputs:
        first = batch[-1][:1] if first is None else first
        alike = alike and bool((batch[-1] == first).all())
        yield batch
    if alike:
        raise WenError(f"{kind}: the same for every image; {UNTRAINED}")


def _write(folder: Path, kinds: tuple[str, ...], view: View, outputs: Iterator[Arrays], rows: int) -> None:
    with writers([array_path(folder, kind, view) for kind in kinds], rows) as files:
        for batch in outputs:
            for file, values in zip(files, batch, strict=True):
                file.append(values)
