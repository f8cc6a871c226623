"""Classical members: what they measure, that they learn from training images alone, and what they leave."""

import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from pages import block
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import prepare, split
from wen.data.table import read_cells
from wen.errors import WenError
from wen.files import read_json, read_npz
from wen.members import classical, fitted
from wen.members.baseline import Batch
from wen.members.baselines import BASELINES, colour
from wen.members.predictions import load
from wen.network import features, pretrained
from wen.network.arrays import array_path

COLOUR, FEATURES = (Member(f"baseline/{name}", 0) for name in ("colour", "features"))


@pytest.fixture
def study(tmp_path: Path, values: dict[str, Any]) -> tuple[Params, Paths]:
    """What the stage reads, made up: random images and features that are a little brighter, or larger, for ALL."""
    params, paths, rng, number = Params.model_validate(values), Paths(tmp_path), np.random.default_rng(0), 90
    cells = pd.DataFrame({
        "id": [f"cell-{k}" for k in range(number)], "path": "", "label": rng.permutation(number) % 3 % 2,
        "subject": np.arange(number) % 15, "source": "fold_0", "width": 32, "height": 32, "sha256": "",
        "pixels": np.arange(number),
    })  # fmt: skip
    kinds = np.arange(number) % 3  # fold 0, fold 1, test
    parts = pd.DataFrame({"id": cells.id, "part": np.where(kinds < 2, "development", "test"), "fold": kinds % 3})
    paths.features.mkdir(parents=True)
    cells.to_csv(paths.index, index=False)
    parts.assign(fold=np.where(kinds < 2, kinds, -1)).to_csv(paths.split, index=False)
    label = cells.label.to_numpy()
    images = rng.integers(0, 200, (number, 32, 32, 3)) + 20 * label[:, None, None, None]
    np.save(array_path(paths.features, "images"), images.astype(np.uint8))
    pooled = rng.normal(size=(number, 1280)) + 0.1 * label[:, None]
    np.save(array_path(paths.features, "pooled"), pooled.astype(np.float32))
    pretrained.run(params, paths)
    return params, paths


def batch(*images: np.ndarray) -> Batch:
    return Batch(lambda: np.stack(images), lambda: pytest.fail("colour needs no network"))


def test_colour_features_are_the_share_of_the_cell_and_the_mean_and_deviation_of_its_channels() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[0, 0], image[0, 1] = (10, 0, 100), (30, 0, 50)  # two of eight pixels; a green of 0 is inside, too
    np.testing.assert_allclose(colour.numbers(batch(image)), [[2 / 8, 20, 0, 75, 10, 0, 25]])


def test_an_image_without_a_cell_has_no_colour_and_leaves_the_other_images_unchanged() -> None:
    white = np.full((2, 2, 3), 255, np.uint8)
    found = colour.numbers(batch(np.zeros_like(white), white))
    np.testing.assert_array_equal(found, [[0] * 7, [1, 255, 255, 255, 0, 0, 0]])


def models(paths: Paths, fold: int) -> list[bytes]:
    return [path.read_bytes() for path in sorted(paths.root.glob(f"models/baseline/*/{fold}.skops"))]


@pytest.mark.parametrize("what", ["images", "pooled", "labels"])
def test_nothing_that_is_fitted_depends_on_validation_or_test_images(study: tuple[Params, Paths], what: str) -> None:
    params, paths = study
    classical.run(params, paths)
    before = {fold: models(paths, fold) for fold in params.folds}
    poisoned = (read_cells(paths).fold != 1).to_numpy()  # fold 0 trains on fold 1 alone
    if what == "labels":
        cells = pd.read_csv(paths.index)
        cells.assign(label=np.where(poisoned, 1 - cells.label, cells.label)).to_csv(paths.index, index=False)
    else:
        path = array_path(paths.features, what)
        values = np.load(path)
        values[poisoned] = values[poisoned][::-1] // 2 + 7
        np.save(path, values)
    classical.run(params, paths)
    assert models(paths, 0) == before[0]
    assert models(paths, 1) != before[1]  # whose training images these are


def test_predictions_are_those_of_a_logistic_regression_by_hand(study: tuple[Params, Paths]) -> None:
    params, paths = study
    classical.run(params, paths)
    cells = read_cells(paths)
    values = np.load(array_path(paths.features, "pooled")).astype(float)
    train = (cells.fold == 1).to_numpy()
    scaled = (values - values[train].mean(0)) / values[train].std(0)
    label = cells.label[train].to_numpy()
    share = np.bincount(label) / len(label)
    model = LogisticRegression(C=0.01, max_iter=10_000).fit(scaled[train], label, sample_weight=0.5 / share[label])
    (found,) = load(paths, [FEATURES])
    for part, rows in (("validation", cells.fold == 0), ("test", cells.part == "test")):
        assert getattr(found, f"{part}_id").tolist() == cells.id[rows].tolist()
        expected = model.predict_proba(scaled[rows])[:, 1]
        np.testing.assert_allclose(getattr(found, f"{part}_probability"), expected, atol=1e-3)
    assert found.test_map.shape == (len(found.test_id), 0, 0)
    rows = [read_json(paths.single_metrics("baseline/features", fold))["kappa"] for fold in params.folds]
    assert rows[0] == found.test_row()["kappa"]
    assert read_json(paths.single_metrics("baseline/features", "mean"))["kappa"] == pytest.approx(np.mean(rows))
    assert read_json(paths.single_metrics("baseline/features", "std"))["kappa"] == pytest.approx(np.std(rows, ddof=1))


def outputs(paths: Paths) -> dict[str, bytes]:
    return {
        path.relative_to(paths.root).as_posix(): path.read_bytes()
        for folder in paths.of_baselines
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_equal_runs_write_equal_bytes_and_remove_other_baselines(study: tuple[Params, Paths]) -> None:
    params, paths = study
    classical.run(params, paths)
    first = outputs(paths)
    assert len(first) == 2 * (2 + 2 + 4)
    classical.run(params, paths)
    assert outputs(paths) == first
    classical.run(params.model_copy(update={"baselines": ["colour"]}), paths)
    assert outputs(paths) == {name: content for name, content in first.items() if "colour" in name}
    classical.run(params.model_copy(update={"baselines": []}), paths)
    assert outputs(paths) == {}
    assert all(folder.is_dir() for folder in paths.of_baselines)


class Fused:
    """What published systems are made of: features and colour side by side, a projection, a vote of three kinds."""

    def numbers(self, batch: Batch) -> np.ndarray:
        return np.hstack([batch.pooled()[:, :40], colour.numbers(batch)])

    def estimator(self, cells: pd.DataFrame, seed: int) -> Any:
        folds = StratifiedGroupKFold(2).split(cells, cells.label, cells.subject)
        kinds = [
            ("forest", RandomForestClassifier(10, random_state=seed)),
            ("svm", CalibratedClassifierCV(SVC(), cv=list(folds))),
            ("regression", LogisticRegression(max_iter=1000)),
        ]
        return make_pipeline(PCA(0.95, random_state=seed), VotingClassifier(kinds, voting="soft"))


def test_a_vote_on_fused_numbers_with_an_inner_split_by_subject_is_a_member_like_any_other(
    study: tuple[Params, Paths], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, paths = study
    monkeypatch.setitem(BASELINES, "fused", Fused())
    params = params.model_copy(update={"baselines": ["fused"]})
    classical.run(params, paths)
    first = outputs(paths)
    member = Member("baseline/fused", 1)
    (found,) = load(paths, [member])
    stored = [np.load(array_path(paths.features, kind)) for kind in ("images", "pooled")]
    numbers = Fused().numbers(Batch(lambda: stored[0], lambda: stored[1])).astype(float)
    tests = (read_cells(paths).part == "test").to_numpy()
    again = fitted.load(paths.model(member)).predict_proba(numbers[tests])[:, 1]
    np.testing.assert_array_equal(found.test_probability, again)
    classical.run(params, paths)
    assert outputs(paths) == first


def test_features_that_are_not_stored_are_computed(tmp_path: Path, values: dict[str, Any]) -> None:
    params, paths = Params.model_validate(values), Paths(tmp_path)
    for stage in (prepare, split, pretrained, features):
        stage.run(params, paths)
    classical.run(params, paths)
    stored = read_npz(paths.predictions(FEATURES))
    plain = params.model_copy(update={"features": params.features.model_copy(update={"pooled": False})})
    array_path(paths.features, "pooled").unlink()
    classical.run(plain, paths)
    np.testing.assert_allclose(
        read_npz(paths.predictions(FEATURES))["test_probability"], stored["test_probability"], atol=1e-4
    )


def test_a_fold_that_trains_on_one_class_is_refused_and_the_last_results_stay(study: tuple[Params, Paths]) -> None:
    params, paths = study
    classical.run(params, paths)
    first = outputs(paths)
    cells = read_cells(paths)
    one = np.where(cells.fold == 1, 1, cells.label)
    pd.read_csv(paths.index).assign(label=one).to_csv(paths.index, index=False)
    with pytest.raises(WenError, match="baseline colour: the training images of fold 0 are all of one class"):
        classical.run(params, paths)
    assert outputs(paths) == first


def test_a_feature_that_is_not_finite_is_refused_with_the_image(
    study: tuple[Params, Paths], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, paths = study
    monkeypatch.setattr(
        colour, "numbers", lambda batch: np.where(np.arange(len(batch.images()))[:, None] == 3, np.nan, 1)
    )
    with pytest.raises(WenError, match="baseline colour: a number of image cell-3 is infinite or undefined"):
        classical.run(params, paths)
    assert outputs(paths) == {}


class Stranger(LogisticRegression):
    """A class that no study writes."""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "damaged"),
        (b"PK\x05\x06" + bytes(18), "damaged"),
        (skops.io.dumps(Stranger()), "not loaded"),
        (None, "not found"),
    ],
)
def test_a_file_that_is_damaged_or_could_run_code_is_refused(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "0.skops"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WenError, match=rf"0\.skops: .*{problem}"):
        fitted.load(path)


def test_the_classical_member_of_the_manual_is_fitted(
    study: tuple[Params, Paths], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("forest")
    exec(block("docs/EXTEND.md", "RandomForestClassifier", language="python"), module.__dict__)
    monkeypatch.setitem(BASELINES, "forest", module)
    params, paths = study
    classical.run(params.model_copy(update={"baselines": ["forest"]}), paths)
    (found,) = load(paths, [Member("baseline/forest", 0)])
    assert len(np.unique(found.test_probability)) > 2
