"""Choose settings of a profile only by validation, on frozen features: python bench/tune.py STUDY [--images N]

STUDY is a folder in which `wen study` and `dvc repro split backbone` have run. Only images are used that are in no
test set of the study's splits by subject and by image. Five folds keep people, and those who share a copy with them,
together: three train heads, the fourth chooses the epoch of each, and the fifth is evaluated, for several draws of the
folds, the same for every setting. Crop and size of the images are chosen first, by AUC; then each other setting is
tried separately.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pooled import Features, pooled, with_images
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.config.seeds import seed_for
from wen.data.components import components
from wen.data.split import assign
from wen.data.symmetry import TURNS
from wen.data.table import DEVELOPMENT, read_copies, read_index
from wen.errors import WenError
from wen.network import device
from wen.repeats import heads

FOLDS, DRAWS = 5, 6
"""Folds of people, and how often people are dealt into them: one draw tells little of so few people."""
CROPS, SIZES = (450, 300, 240), (96, 128, 160, 192)
SETTINGS: dict[str, list[object]] = {
    "batch_size": [32, 64],
    "schedule": ["cosine"],
    "weight_decay": [1.0, 10.0],
    "label_smoothing": [0.1],
    "ema": [0.9, 0.99],
}


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
    """Return the images of the search, with the ``component`` of each: those that no split of the study tests on."""
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


def row(name: str, params: Params, cells: pd.DataFrame, features: Features) -> float:
    """Print the results of heads on folds that did not train them or choose their epochs, at the rate of highest AUC.

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
            scores.append([measured(label[judge], column) for column in probability.T])
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
    """Return AUC, accuracy and kappa."""
    called = (probability >= 0.5).astype(int)
    return [roc_auc_score(label, probability), accuracy_score(label, called), cohen_kappa_score(label, called)]


if __name__ == "__main__":
    main()
