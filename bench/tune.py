"""Choose settings of a profile by validation alone, on frozen features: python bench/tune.py STUDY [--images N]

STUDY is a folder in which `wen study` and `dvc repro split backbone` have run. Only images that neither the study's
split by subject nor its split by image tests on are looked at. Five folds keep people, and whoever shares a copy with
them, together: three train heads, the fourth chooses each one's epoch, the fifth is what the table is of; and that for
several draws of the folds, the same for every setting. The images'
crop and size are chosen first, by AUC; then each other setting is tried by itself.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.config.seeds import seed_for
from wen.data.components import components
from wen.data.images import network_input
from wen.data.split import assign
from wen.data.symmetry import TURNS
from wen.data.table import DEVELOPMENT, read_copies, read_index
from wen.errors import WenError
from wen.network import backbone, device
from wen.network.frozen import Frozen, runner
from wen.network.views import turned
from wen.repeats import heads

BATCH = 32
FOLDS, DRAWS = 5, 6
"""And how often people are dealt into folds: one draw tells little of so few people."""
CROPS, SIZES = (450, 300, 240), (96, 128, 160, 192)
RATES = [0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00001]
"""Learning rates whose heads are tried, each table's best of them by AUC."""
SETTINGS: dict[str, list[object]] = {
    "batch_size": [32, 64],
    "schedule": ["cosine"],
    "weight_decay": [1.0, 10.0],
    "label_smoothing": [0.1],
    "ema": [0.9, 0.99],
}
Features = list[np.ndarray]
"""Of each turn, the pooled features and a last column of 1."""


def main() -> None:
    """Print the search as a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--images", type=int, help="as many of the images at most, drawn at random")
    options = parser.parse_args()
    params, paths = load(options.study / "params.yaml"), Paths(options.study)
    device.settle(params.compute)
    cells = searched(params, paths, options.images)
    people = cells.component.nunique()
    print(f"{len(cells):,} images ({int(cells.label.sum()):,} ALL) of {people} people or groups of them\n")
    print("| setting | learning rate | AUC (sd over draws) | accuracy | kappa | seconds |\n|---|---|---|---|---|---|")
    tried = {}
    for crop in CROPS:
        for size in SIZES:
            chosen = with_images(params, crop, size)
            tried[crop, size] = row(f"crop {crop}, size {size}", chosen, cells, pooled(chosen, paths, cells))
    crop, size = max(tried, key=lambda key: tried[key])
    params = with_images(params, crop, size)
    turns = pooled(params, paths, cells, TURNS)
    for tta, views in (("none", [0]), ("flips", [0, 4, 6, 2]), ("dihedral", list(TURNS))):
        row(f"predict.tta {tta}", params, cells, [turns[turn] for turn in views])
    for key, values in SETTINGS.items():
        for value in values:
            train = params.train.model_copy(update={key: value})
            row(f"train.{key} {value}", params.model_copy(update={"train": train}), cells, turns[:1])


def searched(params: Params, paths: Paths, most: int | None) -> pd.DataFrame:
    """The images that are searched on, with the ``component`` of each: none that either split of the study tests on."""
    index, copies = read_index(paths), read_copies(paths)
    seen = np.ones(len(index), bool)
    for unit in ("image", "subject"):
        split = params.split.model_copy(update={"unit": unit})
        seen &= (assign(index, copies, split, len(params.folds), params.seed).part == DEVELOPMENT).to_numpy()
    cells = index.assign(component=components(index, copies))[seen]
    if most is not None and most < len(cells):
        cells = cells.sample(most, random_state=seed_for(params.seed, what="tune"))
    if cells.empty:
        raise WenError(f"{paths.root}: no image is in development by both splits")
    return cells.reset_index(drop=True)


def with_images(params: Params, crop: int, size: int) -> Params:
    """The same parameters with other images, and the rates of the search."""
    images = params.images.model_copy(update={"crop": crop, "size": size})
    return params.model_copy(update={"images": images, "lr_grid": RATES})


def pooled(
    params: Params, paths: Paths, cells: pd.DataFrame, turns: Sequence[int] = (0,), weights: Path | None = None
) -> Features:
    """The frozen network's features of images turned by each turn; its weights are the study's, or those of a file."""
    where = torch.device("cpu")
    network = backbone.load(params, weights or paths.backbone, where)
    frozen = Frozen(network, params.finetune.unfreeze_from, ("pooled",))
    run = runner(frozen, params.images.size, where, params.compute)
    found: list[list[np.ndarray]] = [[] for _ in turns]
    for batch in decoded(params, paths, cells):
        pixels = torch.from_numpy(batch).float() / 255
        for own, turn in zip(found, turns, strict=True):
            own.append(run(turned(pixels, turn).contiguous())[0].numpy())
    return [np.column_stack([np.concatenate(own), np.ones(len(cells), np.float32)]) for own in found]


def decoded(params: Params, paths: Paths, cells: pd.DataFrame) -> Iterator[np.ndarray]:
    """Batches of images as they enter the network."""
    files = [(paths.image(path), digest) for path, digest in zip(cells.path, cells.sha256, strict=True)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for begin in range(0, len(files), BATCH):
            part = files[begin : begin + BATCH]
            yield np.stack(
                list(pool.map(lambda file: network_input(*file, params.images.crop, params.images.size), part))
            )


def row(name: str, params: Params, cells: pd.DataFrame, features: Features) -> float:
    """Print how heads do on folds that neither trained them nor chose their epochs, at the rate of the highest AUC.

    Returns
    -------
    float
        The mean AUC over the folds.
    """
    begin = time.process_time()
    label = cells.label.to_numpy()
    scores = []
    for draw in range(DRAWS):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed_for(params.seed, draw, what="tune"))
        parts = [test for _, test in folds.split(label, label, cells.component)]
        for k, judge in enumerate(parts):
            chooses = parts[(k + 1) % FOLDS]
            trains = np.setdiff1d(np.arange(len(label)), np.concatenate([judge, chooses]))
            weight = heads.train(params, k, features[0], label, (trains, chooses))
            probability = np.mean([heads.probability(weight, values[judge]) for values in features], axis=0)
            scores.append([measured(label[judge], own) for own in probability.T])
    mean = np.mean(scores, axis=0)
    spread = np.reshape(scores, (DRAWS, FOLDS, len(params.lr_grid), 3)).mean(axis=1).std(axis=0, ddof=1)
    best = int(mean[:, 0].argmax())
    auc, accuracy, kappa = mean[best]
    seconds = time.process_time() - begin
    print(
        f"| {name} | {params.lr_grid[best]:g} | {auc:.3f} ({spread[best, 0]:.3f}) | {accuracy:.3f} | {kappa:.3f} "
        f"| {seconds:.0f} |",
        flush=True,
    )
    return float(auc)


def measured(label: np.ndarray, probability: np.ndarray) -> list[float]:
    """AUC, accuracy and kappa."""
    called = (probability >= 0.5).astype(int)
    return [roc_auc_score(label, probability), accuracy_score(label, called), cohen_kappa_score(label, called)]


if __name__ == "__main__":
    main()
