"""Stage ``features``: run the frozen network once for all models, over every image and every view."""

from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import nn

from wen.data.table import read_index
from wen.files import whole
from wen.network import backbone, device
from wen.network.cut import cut
from wen.network.inputs import FromImages, array_path, batches, from_images
from wen.params import Params
from wen.paths import Paths

KINDS = ("activations", "pooled")


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Write data/features/: the outputs of the frozen network.

    ``pooled-V.npy``, (images, channels), is what stage 1 learns from; ``activations-V.npy``,
    (images, height, width, channels) at the cut, is what stage 2 learns from. V is ``clean`` or a view's
    number; rows are those of data/index.csv. Nothing here depends on the split. A kind that
    params.yaml's ``features`` switches off is not written: training computes it anew each time.
    """
    device.settle(params.compute)
    where = device.choose(device_name)
    kinds = [kind for kind in KINDS if getattr(params.features, kind)]
    with whole(paths.features) as partial:
        partial.mkdir()
        if kinds:
            network = backbone.load(params.backbone.name, paths.backbone, where)
            parts = cut(network, params.finetune.unfreeze_from)
            both = _TrunkThenTop(parts.trunk, parts.top)
            inputs = from_images(params, paths, read_index(paths), both, network, where)
            _write(partial, kinds, inputs, params)


class _TrunkThenTop(nn.Module):
    """Both outputs of the frozen network at once: activations at the cut, and pooled features."""

    def __init__(self, trunk: nn.Module, top: nn.Module) -> None:
        super().__init__()
        self.trunk, self.top = trunk, top

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        activations = self.trunk(images)
        return activations, self.top(activations)


def _write(folder: Path, kinds: list[str], inputs: FromImages, params: Params) -> None:
    n = len(inputs.images)
    rows = batches(np.arange(n), params.train.batch_size)
    arrays: dict[tuple[str, int | None], np.memmap] = {}
    pixels = track(inputs.pixels(rows), "frozen network", total=len(rows), transient=True)
    for batch, images in pixels:
        for view in (None, *range(params.augment.views)):
            outputs = dict(zip(KINDS, inputs.compute(images, batch, view), strict=True))
            for kind in kinds:
                values = outputs[kind].movedim(1, -1).float().cpu().numpy()
                if (kind, view) not in arrays:
                    arrays[kind, view] = np.lib.format.open_memmap(
                        array_path(folder, kind, view),
                        mode="w+",
                        dtype=params.features.dtype,
                        shape=(n, *values.shape[1:]),
                    )
                arrays[kind, view][batch] = values
    for array in arrays.values():
        array.flush()
