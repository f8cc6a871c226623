"""What improves accuracy on new people: python bench/ablation.py STUDY [--splits N]

STUDY is a folder in which `wen study` and `dvc repro prepare backbone` have run; the further networks are those under
its ``pretrained``. Each of N splits by subject holds out other people. The heads of five folds train on frozen
features, validation chooses the learning rate, and the plain average of the five predicts the test people. A
configuration averages over turned copies, over a second crop, over further networks, or all of these. The last row
takes, in each split, the configuration with the highest AUC on validation images, so that no test image influences a
choice.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pooled import RATES, Features, pooled, with_images
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.data.components import components
from wen.data.split import assign
from wen.data.symmetry import TURNS
from wen.data.table import DEVELOPMENT, TEST, read_copies, read_index
from wen.errors import WenError
from wen.network import device, pretrained
from wen.repeats import heads
from wen.repeats.one_split import params_of_repeat

FLIPS, CLOSER = [0, 4, 6, 2], 300
"""Turns of predict.tta's flips, and the side of a second, closer crop, px."""
MEASURES = ("accuracy", "AUC")
PLAIN, CLOSE, CHOSEN = "the study's network", f"crop {CLOSER}", "chosen on validation images"
Part = tuple[str, Sequence[int]]
"""A source of features by its name, and the turns that are averaged over."""


def main() -> None:
    """Print the mean of each measure over the splits, and the paired difference from the original images."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    params, paths = load(options.study / "params.yaml"), Paths(options.study)
    device.settle(params.compute)
    params = params.model_copy(update={"lr_grid": RATES})
    index, copies = read_index(paths), read_copies(paths)
    sources = features(params, paths, index)
    tried = configurations([name for name in sources if name not in (PLAIN, CLOSE)])
    label, found, shares = index.label.to_numpy(), [], []
    for repeat in range(options.splits):
        repeat_params = params_of_repeat(params, "subject", repeat)
        try:
            cells = assign(index, copies, repeat_params.split, len(repeat_params.folds), repeat_params.seed)
        except WenError as error:
            print(f"split {repeat} left out: {error}")
            continue
        test, development = (np.flatnonzero(cells.part == part) for part in (TEST, DEVELOPMENT))
        shares.append(len(test) / len(development))
        found.append(scores(Split(repeat_params, cells.fold.to_numpy(), label, test), sources, tried))
    people = len(np.unique(components(index, copies)))
    print(f"{len(index):,} images of {people} people or groups of them, {len(found)} splits by subject\n")
    print("| configuration | " + " | ".join(f"{name} | difference [95%]" for name in MEASURES) + " |")
    print("|---" * (1 + 2 * len(MEASURES)) + "|")
    values = np.array(found)  # (splits, configurations, measures)
    for k, name in enumerate([*tried, CHOSEN]):
        parts = []
        for m in range(len(MEASURES)):
            difference, low, high = corrected(values[:, k, m] - values[:, 0, m], float(np.mean(shares)))
            parts += [f"{values[:, k, m].mean():.3f}", f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]" if k else ""]
        print(f"| {name} | {' | '.join(parts)} |")


def features(params: Params, paths: Paths, cells: pd.DataFrame) -> dict[str, Features]:
    """Return the features of all turned copies for each source."""
    found = {PLAIN: pooled(params, paths, cells, TURNS)}
    found[CLOSE] = pooled(with_images(params, CLOSER, params.images.size), paths, cells, TURNS)
    for name, options in params.pretrained.items():
        if name == params.backbone.name:
            continue
        finetune = params.finetune.model_copy(update={"unfreeze_from": "auto"})
        backbone = Backbone(name=name, **options.model_dump())
        other = params.model_copy(update={"backbone": backbone, "finetune": finetune})
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "backbone.safetensors"
            pretrained.fetch(other, paths, weights)
            found[name] = pooled(other, paths, cells, TURNS, weights)
    return found


def configurations(others: Sequence[str]) -> dict[str, list[Part]]:
    """Return what each configuration averages over, by its name; the others are compared with the first one."""
    tried: dict[str, list[Part]] = {
        "original images": [(PLAIN, [0])],
        "predict.tta: flips": [(PLAIN, FLIPS)],
        "quarter turns": [(PLAIN, [0, 1, 2, 3])],
        "predict.tta: dihedral": [(PLAIN, list(TURNS))],
        f"crop {CLOSER} in place of it": [(CLOSE, [0])],
        "both crops": [(PLAIN, [0]), (CLOSE, [0])],
    }
    for name in others:
        tried |= {f"{name} in place of it": [(name, [0])], f"and {name}": [(PLAIN, [0]), (name, [0])]}
    networks = [PLAIN, *others]
    if others:
        tried["all networks, flips"] = [(name, FLIPS) for name in networks]
    tried["all networks, both crops, flips"] = [(name, FLIPS) for name in [*networks, CLOSE]]
    return tried


@dataclass(frozen=True)
class Split:
    """One split by subject."""

    params: Params
    fold: np.ndarray
    """Of each image, its fold; -1 of those in the test set."""
    label: np.ndarray
    test: np.ndarray
    """Rows of the test images."""


def scores(split: Split, sources: dict[str, Features], tried: dict[str, list[Part]]) -> list[list[float]]:
    """Return accuracy and AUC on the test people of each configuration, and of the one that validation chooses."""
    predicted = {name: predictions(split, values) for name, values in sources.items()}
    rows, validated = [], []
    for parts in tried.values():
        validation, test = (
            np.mean([predicted[name][which][turn] for name, turns in parts for turn in turns], axis=0)
            for which in (0, 1)
        )
        truth = split.label[split.test]
        rows.append([float(accuracy_score(truth, test >= 0.5)), float(roc_auc_score(truth, test))])
        validated.append(roc_auc_score(split.label[split.fold >= 0], validation))
    return [*rows, rows[int(np.argmax(validated))]]


def predictions(split: Split, values: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return, by turn, probabilities of development images by the head that they validate, and of test images.

    Each fold's head has the learning rate with the highest mean AUC over the folds on validation images.
    """
    development = np.flatnonzero(split.fold >= 0)
    validated, tested, areas = [], [], []
    for k in split.params.folds:
        validates, trains = np.flatnonzero(split.fold == k), np.flatnonzero((split.fold >= 0) & (split.fold != k))
        weight = heads.train(split.params, k, values[0], split.label, (trains, validates))
        validated.append((validates, np.stack([heads.probability(weight, turned[validates]) for turned in values])))
        tested.append(np.stack([heads.probability(weight, turned[split.test]) for turned in values]))
        areas.append([roc_auc_score(split.label[validates], each) for each in validated[-1][1][0].T])
    rate = int(np.mean(areas, axis=0).argmax())
    every = np.zeros((len(values), len(split.fold)))
    for validates, probability in validated:
        every[:, validates] = probability[:, :, rate]
    return every[:, development], np.mean(tested, axis=0)[:, :, rate]


def corrected(differences: np.ndarray, share: float) -> tuple[float, float, float]:
    """Mean of differences over splits, and its 95% interval by the corrected t of Nadeau & Bengio (2003).

    Parameters
    ----------
    differences : ndarray of shape (splits,)
    share : float
        Test images over development images: splits share most of these, so their differences are not independent.
    """
    n, mean = len(differences), float(differences.mean())
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((1 / n + share) * differences.var(ddof=1))
    return mean, mean - float(half), mean + float(half)


if __name__ == "__main__":
    main()
