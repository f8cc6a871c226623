"""bench/tune.py searches settings without test images and reports folds that chose nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tune

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.split import assign
from wen.data.table import read_copies, read_index
from wen.repeats import heads


def test_tuning_reads_no_test_image_of_any_split_of_the_study(featured: Path, tiny: Params) -> None:
    paths = Paths(featured)
    index, copies = read_index(paths), read_copies(paths)
    found = tune.searched(tiny, paths, None)
    for unit in ("image", "subject"):
        split = tiny.split.model_copy(update={"unit": unit})
        cells = assign(index, copies, split, len(tiny.folds), tiny.seed).set_index("id")
        assert (cells.part[found.id] == "development").all()
    assert len(tune.searched(tiny, paths, 20)) == 20


def test_a_row_is_of_people_who_neither_trained_nor_chose_an_epoch(
    tiny: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A feature that gives away the class of everyone but the judged people is worth nothing."""
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 5)
    cells = pd.DataFrame({"label": person % 2, "component": person})
    judged: list[np.ndarray] = []
    train = heads.train

    def seen(params: Params, fold: int, values: np.ndarray, label: np.ndarray, parts: tuple[Any, Any]) -> np.ndarray:
        used = np.concatenate(parts)
        judged.append(np.setdiff1d(np.arange(len(label)), used))
        sides = [set(person[rows]) for rows in (*parts, judged[-1])]
        assert sum(map(len, sides)) == len(set.union(*sides))
        values[:, 0] = 0
        values[used, 0] = label[used] - 0.5
        return train(params, fold, values, label, parts)

    monkeypatch.setattr(heads, "train", seen)
    values = np.column_stack([rng.normal(size=(200, 4)), np.ones(200)]).astype(np.float32)
    params = tiny.model_copy(update={"lr_grid": [0.1, 0.01]})
    auc = tune.row("a setting", params, cells, [values])
    assert sorted(np.concatenate(judged)) == sorted([*range(200)] * tune.DRAWS)  # each once in every draw
    assert abs(auc - 0.5) < 0.2
    assert capsys.readouterr().out.startswith("| a setting | ")


def test_features_are_those_that_the_study_keeps(featured: Path, tiny: Params) -> None:
    paths = Paths(featured)
    cells = read_index(paths).head(10)
    plain, mirrored = tune.pooled(tiny, paths, cells, [0, 4])
    stored = np.load(paths.features / "pooled-clean.npy")[:10]
    np.testing.assert_allclose(plain[:, :-1], stored, atol=1e-4)
    assert (plain[:, -1] == 1).all()
    assert np.abs(mirrored - plain).max() > 1e-2
