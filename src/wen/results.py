"""All that was trained and combined, gathered from data/predictions/ and metrics/, in the order of the result table."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import TEST, read_cells, read_copies
from wen.ensemble.intra import JUDGED_ON, champions
from wen.ensemble.selection import champion
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.files import read_json, read_npz
from wen.members.predictions import Member, load


@dataclass(frozen=True, eq=False)
class Classifier:
    """A single model or an ensemble, and what it made of the test set.

    What does not apply (the fold of an ensemble, the scheme of a single model) is None.
    """

    kind: str
    """``single``, ``inter`` or ``intra``."""
    probability: np.ndarray
    """Of ALL, of each test image."""
    row: dict[str, float]
    """Its row of the result table, as metrics/ has it."""
    members: list[Member]
    weight: np.ndarray
    score: np.ndarray
    """What each member's weight is made of, M_k."""
    lr: float | None = None
    fold: int | None = None
    scheme: str | None = None
    reading: str | None = None

    @property
    def id(self) -> str:
        """Its name in metrics/evidence.json: kind, then what tells it from others of its kind."""
        what = f"{self.lr}-{self.fold}" if self.kind == "single" else f"{self.lr or self.reading} {self.scheme}"
        return f"{self.kind} {what}"


@dataclass(frozen=True, eq=False)
class Study:
    """The test set and every classifier on it."""

    params: Params
    cells: pd.DataFrame
    """The test images, as data/index.csv has them; ``row`` is their row number there. Images of one ``component`` stand
    or fall together, if the split is by subject."""
    models: dict[float, list[Member]]
    """The fold models of each LR."""
    classifiers: list[Classifier]
    averages: dict[float, dict[str, dict[str, float]]] = field(default_factory=dict)
    """``mean`` and ``std`` over the folds of each LR."""

    @property
    def label(self) -> np.ndarray:
        return self.cells.label.to_numpy()

    @property
    def unit(self) -> np.ndarray:
        """What stands or falls together, numbered from 0: each image alone, or each subject if the split is by subject.

        Subjects whom copies join count as one, as they do to the split: also by way of a third outside the test set.
        """
        if self.params.split.unit == "subject":
            return pd.factorize(self.cells.component)[0]
        return np.arange(len(self.cells))

    def right(self, classifier: Classifier) -> np.ndarray:
        """1 where the classifier's decision is right, else 0."""
        return (decide(classifier.probability) == self.label).astype(np.int64)

    def single(self, member: Member) -> Classifier:
        """The classifier that is one model alone."""
        return next(own for own in self.classifiers if own.kind == "single" and own.members[0].name == member.name)

    def inter(self, lr: float, scheme: str) -> Classifier:
        return next(own for own in self.classifiers if (own.kind, own.lr, own.scheme) == ("inter", lr, scheme))

    def intra(self, reading: str, scheme: str) -> Classifier:
        return next(
            own for own in self.classifiers if (own.kind, own.reading, own.scheme) == ("intra", reading, scheme)
        )  # fmt: skip

    def champions(self, reading: str) -> list[Classifier]:
        """The champion of each LR of the grid, by a reading of the protocol."""
        models = [self.models[lr] for lr in self.params.lr_grid]
        return [self.single(member) for member in champions(models, reading)]

    def best_single(self, reading: str) -> Classifier:
        """The champion of the champions."""
        candidates = self.champions(reading)
        return candidates[champion([JUDGED_ON[reading](own.members[0]) for own in candidates])]

    @property
    def focus(self) -> Classifier:
        """What metrics/headline.json is about: ``ensemble``, ``lr``, ``weighting``, ``reading``."""
        params = self.params
        if params.ensemble == "inter":
            return self.inter(params.lr, params.weighting)
        if params.ensemble == "intra":
            return self.intra(params.reading, params.weighting)
        return self.single(champions([self.models[params.lr]], params.reading)[0])


def gather(params: Params, paths: Paths) -> Study:
    """Read the study.

    Raises
    ------
    WenError
        If an earlier stage's output is missing, or was made for another test set or with another params.yaml.
    """
    cells = read_cells(paths)
    cells = cells.assign(row=np.arange(len(cells)), component=_components(params, paths, cells))
    cells = cells[cells.part == TEST].reset_index(drop=True)
    models = {lr: load(paths, lr, params.folds) for lr in params.learning_rates}
    for lr, members in models.items():  # `load` has compared each with the first
        _check_test_set(paths.predictions(lr, members[0].fold), members[0].test_id, cells, paths)
    study = Study(params, cells, models, [*_singles(models, paths), *_ensembles(params, paths, models, cells)])
    for lr in params.learning_rates:
        study.averages[lr] = {kind: _row(paths.single_metrics(lr, kind)) for kind in ("mean", "std")}
    return study


def curves(params: Params, paths: Paths) -> pd.DataFrame:
    """Gather the learning curves: ``lr``, ``fold``, ``step`` (epoch over both stages), ``stage``, and measures."""
    tables = []
    for lr in params.learning_rates:
        for fold in params.folds:
            folder = paths.training(lr, fold) / "plots/metrics"
            table = pd.read_csv(folder / "stage.tsv", sep="\t").assign(lr=lr, fold=fold)
            for measure in ("loss", "accuracy"):
                for part in ("train", "validation"):
                    table[f"{part}_{measure}"] = pd.read_csv(folder / measure / f"{part}.tsv", sep="\t")[part]
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _components(params: Params, paths: Paths, cells: pd.DataFrame) -> np.ndarray:
    if params.split.unit == "image":
        return np.arange(len(cells))
    from wen.data.split import components  # only the report needs it, and it takes a second to import

    return components(cells, read_copies(paths))


def _singles(models: dict[float, list[Member]], paths: Paths) -> Iterator[Classifier]:
    for lr, members in models.items():
        for own in members:
            row = _row(paths.single_metrics(lr, own.fold))
            yield Classifier("single", own.test_probability, row, [own], np.ones(1), np.ones(1), lr, own.fold)


def _ensembles(
    params: Params, paths: Paths, models: dict[float, list[Member]], cells: pd.DataFrame
) -> Iterator[Classifier]:
    for lr in params.learning_rates:
        path = paths.inter_predictions(lr)
        arrays = read_npz(path)
        _check_test_set(path, arrays["test_id"], cells, paths)
        members = _members(path, arrays["members"].tolist(), [[own] for own in models[lr]])
        for scheme in params.schemes:
            row = _row(paths.inter_metrics(lr) / f"{scheme}.json")
            yield _ensemble("inter", arrays, scheme, row, members, lr=lr, scheme=scheme)
    path = paths.intra_predictions
    arrays = read_npz(path)
    _check_test_set(path, arrays["test_id"], cells, paths)
    for reading in JUDGED_ON:
        members = _members(path, arrays[f"{reading}_members"].tolist(), [models[lr] for lr in params.lr_grid])
        for scheme in params.schemes:
            row = _row(paths.intra_metrics / f"{reading}-{scheme}.json")
            yield _ensemble("intra", arrays, f"{reading}_{scheme}", row, members, reading=reading, scheme=scheme)


def _ensemble(
    kind: str, arrays: dict[str, np.ndarray], key: str, row: dict[str, float], members: list[Member],
    lr: float | None = None, scheme: str | None = None, reading: str | None = None,
) -> Classifier:  # fmt: skip
    probability, weight, score = (arrays[f"{key}_{name}"] for name in ("probability", "weight", "score"))
    return Classifier(kind, probability, row, members, weight, score, lr, None, scheme, reading)


def _check_test_set(path: Path, test_id: np.ndarray, cells: pd.DataFrame, paths: Paths) -> None:
    """Compare ids, in their order: labels alone are alike by chance."""
    if not np.array_equal(test_id, cells.id.to_numpy().astype(str)):
        raise WenError(f"{path}: of another test set than {paths.split}; run `dvc repro`")


def _members(path: Path, names: list[str], candidates: list[list[Member]]) -> list[Member]:
    """Find an ensemble's members by their names, one among each of the candidates."""
    found = [own for name, among in zip(names, candidates, strict=False) for own in among if own.name == name]
    if not len(found) == len(names) == len(candidates):
        raise WenError(f"{path}: holds members that params.yaml does not, or lacks some; run `dvc repro`")
    return found


def _row(path: Path) -> dict[str, float]:
    row: dict[str, float] = read_json(path)
    return row
