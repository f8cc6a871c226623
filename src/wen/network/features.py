"""Stage ``features``: decode the images and run the frozen network once for all models.

The frozen network runs on every image, on its turned views (`predict.tta`), and on random views of the development
images. Test images have no random views.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count
from torch import nn

from wen.bar import track
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import gallery
from wen.data.images import network_input
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.errors import WenError
from wen.files import atomic, write_json
from wen.network import backbone, device, graph
from wen.network.arrays import Turned, View, array_path, rows_of_views_path, writers
from wen.network.assembly import to_graph
from wen.network.finite import kind_of, nonfinite_error, overflow
from wen.network.frozen import KINDS
from wen.network.inputs import UNTRAINED, Rows, batches, computed_inputs, is_stored, views_of
from wen.network.untraced import notice

BATCH = 32
"""Images per batch: enough to use a GPU, and few enough for the caches of a CPU."""
Outputs = tuple[torch.Tensor, ...]
Arrays = tuple[np.ndarray, ...]


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Write data/features/, data/turned/ and models/graph.json.

    data/features/ holds the decoded images and the outputs of the frozen network. V is ``clean`` (all images, in the
    order of data/index.csv) or the number of a random view (development images only):

    - ``images-clean.npy``, shape (images, size, size, 3), uint8: the input of the network.
    - ``pooled-V.npy``, shape (images, channels): the input of stage 1.
    - ``activations-V.npy``, shape (images, height, width, channels): the activations at the cut, the input of stage 2.
    - ``rows-of-views.npy``, shape (images,): the row of each image in the arrays of random views.

    A kind that params.yaml's ``features`` switches off is not written; training computes it on the fly. Activations
    are not written for a network that torch.fx cannot trace; the stage prints a notice.

    data/turned/ holds ``pooled-turned-T.npy`` and ``activations-turned-T.npy``, all images under each symmetry T of
    `predict.tta`, and turns.json, the list of symmetries. It is separate so that a change of ``tta`` retrains nothing.

    models/graph.json describes the network without its weights. With it, `wen classify` runs without torch.

    With ``compute.precision: auto`` everything is computed in float32, also on a GPU, and stored as
    ``features.dtype``. With bfloat16 or float16 the convolutions run in that type; pooled features are always float32.

    Raises
    ------
    WenError
        If an output is infinite or NaN, also after conversion to ``features.dtype``. The message names the image.
    """
    params = params.model_copy(update={"compute": device.for_storage(params.compute)})
    cells = read_cells(paths)
    device.settle(params.compute)
    where = device.choose(device_name, params.compute)
    in_development = (cells.part == DEVELOPMENT).to_numpy()
    all_batches = batches(np.arange(len(cells)), BATCH)
    development_batches = batches(np.flatnonzero(in_development), BATCH)
    needs_network = any(getattr(params.features, kind) for kind in KINDS)
    with atomic(paths.features) as partial, atomic(paths.turned) as turned_folder:
        partial.mkdir()
        turned_folder.mkdir()
        write_json(turned_folder / "turns.json", {"turns": params.predict.turns})
        thumbnails: dict[str, bytes] = {}
        decoded = _with_thumbnails(_decoded(cells, all_batches, params, paths), cells, all_batches, thumbnails)
        _write(partial, ("images",), None, ((images,) for images in decoded), len(cells))
        gallery.write(paths.test_cells, thumbnails)
        network = backbone.load(params, paths.backbone, where) if needs_network else None
        if network and (kinds := _stored_kinds(params, network)):
            frozen = computed_inputs(kinds, params, partial, network, where)
            reason = overflow(device.precision(where, params.compute), UNTRAINED)
            np.save(rows_of_views_path(partial), np.where(in_development, in_development.cumsum() - 1, -1))
            views = [*views_of(params.predict), *range(params.augment.views)]
            for view in track(views, "frozen network, views"):
                rows = development_batches if isinstance(view, int) else all_batches
                outputs = _on_cpu(_prefetch(frozen.outputs(rows, view)))
                images = [cells.id.to_numpy()[batch] for batch in rows]
                stored = _as_stored(outputs, kinds, params.features.dtype, images, view, reason)
                folder = turned_folder if isinstance(view, Turned) else partial
                _write(folder, kinds, view, _checked_to_vary(stored, kinds[-1]), sum(map(len, rows)))
    untrained = backbone.build(params.backbone, params.images.size).eval()
    graph.write(
        to_graph(untrained, params.finetune.unfreeze_from, params.images.size, params.predict.turns), paths.graph
    )


def _stored_kinds(params: Params, network: nn.Module) -> tuple[str, ...]:
    """Return the kinds of outputs to store; print a notice if activations are requested but cannot be stored."""
    kinds = tuple(kind for kind in KINDS if is_stored(kind, params.features, network))
    if params.features.activations and "activations" not in kinds:
        print(notice(params.backbone.name), file=sys.stderr)
    return kinds


def _decoded(cells: pd.DataFrame, rows: Rows, params: Params, paths: Paths) -> Iterator[np.ndarray]:
    """Decode, crop and resize the images; yield batches of shape (n, size, size, 3), uint8."""
    crop, size = params.images.crop, params.images.size
    with ThreadPoolExecutor(cpu_count()) as pool:
        for batch in track(rows, "decoding images"):
            files = zip(cells.path.iloc[batch], cells.sha256.iloc[batch], strict=True)
            yield np.stack(list(pool.map(lambda file: network_input(paths.image(file[0]), file[1], crop, size), files)))


def _with_thumbnails(
    batches: Iterator[np.ndarray], cells: pd.DataFrame, rows: Rows, thumbnails: dict[str, bytes]
) -> Iterator[np.ndarray]:
    """Pass on batches of images, and add a PNG thumbnail of each test image to ``thumbnails``, by image id."""
    is_test, ids = (cells.part == TEST).to_numpy(), cells.id.to_numpy()
    for batch, images in zip(rows, batches, strict=True):
        for row, image in zip(batch, images, strict=True):
            if is_test[row]:
                thumbnails[ids[row]] = gallery.png(gallery.thumbnail(image))
        yield images


def _prefetch(batches: Iterator[Outputs]) -> Iterator[Outputs]:
    """Request each batch before the previous one is consumed, so that a GPU computes while the CPU writes."""
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
    """Convert outputs to the stored type; raise if any number is not finite before or after the conversion."""
    for names, batch in zip(images, outputs, strict=True):
        with np.errstate(over="ignore"):
            stored = tuple(values.astype(dtype, copy=False) for values in batch)
        for kind, exact, values in zip(kinds, batch, stored, strict=True):
            bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
            if bad.any():
                raise nonfinite_error(kind, names[bad], view, *_cause(torch.from_numpy(exact[bad]), dtype, reason))
        yield stored


def _cause(values: torch.Tensor, dtype: str, reason: str) -> tuple[str, str]:
    """Return the problem with the values and its reason, for the error message."""
    if not values.isfinite().all():
        return kind_of(values), reason
    limit = np.finfo(dtype).max
    return f"{values.abs().max():.6g}, but the largest number in {dtype} is {limit:g}", "set features.dtype: float32"


def _checked_to_vary(outputs: Iterator[Arrays], kind: str) -> Iterator[Arrays]:
    """Pass on outputs; raise at the end if they are the same for all images, as with weights that are all zero."""
    first, is_constant = None, True
    for batch in outputs:
        first = batch[-1][:1] if first is None else first
        is_constant = is_constant and bool((batch[-1] == first).all())
        yield batch
    if is_constant:
        raise WenError(f"{kind}: the same for every image; {UNTRAINED}")


def _write(folder: Path, kinds: tuple[str, ...], view: View, outputs: Iterator[Arrays], rows: int) -> None:
    with writers([array_path(folder, kind, view) for kind in kinds], rows) as files:
        for batch in outputs:
            for file, values in zip(files, batch, strict=True):
                file.append(values)
