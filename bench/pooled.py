"""Features of the frozen network for images of any crop and size, on which tune.py and ablation.py train heads."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.images import network_input
from wen.network import backbone
from wen.network.frozen import Frozen, runner
from wen.network.views import turned

BATCH = 32
RATES = [0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00001]
"""Learning rates whose heads are tried, each table's best of them by AUC."""
Features = list[np.ndarray]
"""Of each turn, the pooled features and a last column of 1."""


def with_images(params: Params, crop: int, size: int) -> Params:
    """Return the same parameters with other images, and the rates of the search."""
    images = params.images.model_copy(update={"crop": crop, "size": size})
    return params.model_copy(update={"images": images, "lr_grid": RATES})


def pooled(
    params: Params, paths: Paths, cells: pd.DataFrame, turns: Sequence[int] = (0,), weights: Path | None = None
) -> Features:
    """Compute the frozen network's features of images under each turn, with the study's weights or those of a file."""
    where = torch.device("cpu")
    network = backbone.load(params, weights or paths.backbone, where)
    frozen = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
    run = runner(frozen, params.images.size, where, params.compute)
    found: list[list[np.ndarray]] = [[] for _ in turns]
    for batch in decoded(params, paths, cells):
        pixels = torch.from_numpy(batch).float() / 255
        for batches, turn in zip(found, turns, strict=True):
            batches.append(run(turned(pixels, turn).contiguous())[0].numpy())
    return [np.column_stack([np.concatenate(batches), np.ones(len(cells), np.float32)]) for batches in found]


def decoded(params: Params, paths: Paths, cells: pd.DataFrame) -> Iterator[np.ndarray]:
    """Yield batches of images as they enter the network."""
    files = [(paths.image(path), digest) for path, digest in zip(cells.path, cells.sha256, strict=True)]
    with ThreadPoolExecutor(cpu_count()) as pool:
        for begin in range(0, len(files), BATCH):
            part = files[begin : begin + BATCH]
            yield np.stack(
                list(pool.map(lambda file: network_input(*file, params.images.crop, params.images.size), part))
            )
