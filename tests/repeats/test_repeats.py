"""The study over many splits: who is on which side, what is written, and what happens where a draw gives no split."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from wen.config.params import Params, Predict, Repeats
from wen.config.paths import Paths
from wen.data.table import COPIES, read_copies, read_index
from wen.members import classical
from wen.network.arrays import Turned, array_path
from wen.repeats import heads, stage, table
from wen.repeats.one_split import Material, draw_split, params_of_repeat, run_split

IMAGES, PEOPLE = 180, 18


def made_up(root: Path, values: dict[str, Any], **changes: Any) -> tuple[Params, Paths]:
    """What the stage reads: features and images that tell ALL from HEM a little, and some copies between people."""
    params, paths, rng = Params.model_validate(values | changes), Paths(root), np.random.default_rng(3)
    subject = np.arange(IMAGES) % PEOPLE
    label = (subject % 3 > 0).astype(int)
    pixels = np.arange(IMAGES)
    pixels[1] = pixels[2] = 900  # an exact copy: two people's
    ids = [f"cell-{k:03}" for k in range(IMAGES)]
    cells = pd.DataFrame({
        "id": ids, "path": "", "label": label, "subject": subject, "source": "fold_0", "width": 32, "height": 32,
        "sha256": "", "pixels": pixels,
    })  # fmt: skip
    pairs = [(1, 2, "exact"), *((k, k + 4, "near") for k in range(40, 70, 9))]
    copies = pd.DataFrame([(ids[a], ids[b], kind, 0, 1.0, 0.0, 1.0) for a, b, kind in pairs], columns=list(COPIES))
    paths.features.mkdir(parents=True, exist_ok=True)
    cells.to_csv(paths.index, index=False)
    copies.to_csv(paths.copies, index=False)
    images = rng.integers(0, 200, (IMAGES, 32, 32, 3)) + 15 * label[:, None, None, None]
    np.save(array_path(paths.features, "images"), images.astype(np.uint8))
    pooled = rng.normal(size=(IMAGES, 20)) + 0.4 * label[:, None]
    np.save(array_path(paths.features, "pooled"), pooled.astype(np.float32))
    paths.turned.mkdir(exist_ok=True)
    for turn in (2, 4, 6):
        turned = pooled + rng.normal(size=pooled.shape)
        np.save(array_path(paths.turned, "pooled", Turned(turn)), turned.astype(np.float32))
    return params, paths


@pytest.fixture
def study(tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Params, Paths]:
    monkeypatch.setattr(classical.backbone, "load", lambda *_: None)  # stored features need no network
    return made_up(tmp_path, values, repeats={"image": 3, "subject": 3})


def material(params: Params, paths: Paths) -> Material:
    return stage._material(params, paths, "cpu")


def test_no_person_and_no_copy_is_on_both_sides_of_any_boundary_of_a_split_by_subject(
    study: tuple[Params, Paths],
) -> None:
    found = material(*study)
    tests = set()
    for repeat in range(10):
        cells = draw_split(found, "subject", repeat).set_index("id")
        side = cells.part + cells.fold.astype(str)
        assert cells.groupby("subject").apply(lambda group, side=side: side[group.index].nunique()).max() == 1
        assert (side[found.copies.one].to_numpy() == side[found.copies.other].to_numpy()).all()
        tests.add(tuple(cells.index[cells.part == "test"]))
    assert len(tests) > 5


def test_every_repeat_draws_another_split_and_the_same_one_again(study: tuple[Params, Paths]) -> None:
    found = material(*study)
    for unit in ("subject", "image"):
        assert draw_split(found, unit, 1).equals(draw_split(found, unit, 1))
        assert not draw_split(found, unit, 1).equals(draw_split(found, unit, 2))
    assert params_of_repeat(found.params, "subject", 1).seed != found.params.seed


def test_equal_studies_give_equal_bytes_however_many_splits_are_studied_at_once(study: tuple[Params, Paths]) -> None:
    params, paths = study
    params = params.model_copy(update={"repeats": Repeats(image=1, subject=2)})
    stage.run(params, paths, "cpu")
    serial = paths.repeats.read_bytes()
    several = params.model_copy(update={"compute": params.compute.model_copy(update={"threads": 2})})
    stage.run(several, paths, "cpu")
    assert paths.repeats.read_bytes() == serial


def test_the_table_has_a_row_for_each_classifier_on_each_split(study: tuple[Params, Paths]) -> None:
    params, paths = study
    stage.run(params, paths, "cpu")
    rows = table.read(paths.repeats)
    assert rows.groupby("split").repeat.nunique().to_dict() == dict.fromkeys(table.SPLITS, 3)
    assert not rows.duplicated(["split", "repeat", "classifier"]).any()
    wanted = {f"average {lr}" for lr in params.grid} | {"average baseline/colour", "average baseline/features"}
    wanted |= {f"inter {lr} {scheme}" for lr in params.grid for scheme in params.schemes} | {"majority"}
    for reading in ("as_written", "leak_free"):
        wanted |= {f"best_single {reading}", *(f"intra {reading} {scheme}" for scheme in params.schemes)}
    for _, split in rows.groupby(["split", "repeat"]):
        assert wanted <= set(split.classifier)
    assert (rows[rows.classifier.str.startswith("best_single")].lr.isin(params.grid)).all()


@pytest.mark.parametrize(("tta", "views"), [("none", 1), ("flips", 4)])
def test_measures_are_scikit_learns_of_a_plain_average_by_hand(
    study: tuple[Params, Paths], tta: Literal["none", "flips"], views: int
) -> None:
    params, paths = study
    params = params.model_copy(update={"predict": Predict(tta=tta)})
    stage.run(params, paths, "cpu")
    rows, found = table.read(paths.repeats), material(params, paths)
    cells, repeat_params = draw_split(found, "image", 0), params_of_repeat(found.params, "image", 0)
    tests, label = np.flatnonzero(cells.part == "test"), cells.label.to_numpy()
    of_folds = []
    for fold in params.folds:
        parts = (np.flatnonzero((cells.fold >= 0) & (cells.fold != fold)), np.flatnonzero(cells.fold == fold))
        weight = heads.train(repeat_params, fold, found.values[0], label, parts)
        assert len(found.values) == views
        of_folds += [heads.probability(weight, values[tests])[:, 1] for values in found.values]
    copied = set(found.copies.one) | set(found.copies.other)
    partner = dict(zip(found.copies.one, found.copies.other, strict=True))
    partner |= {other: one for one, other in partner.items()}
    development = set(cells.id[cells.part == "development"])
    kept = [id not in copied or partner[id] not in development for id in cells.id.iloc[tests]]
    assert not all(kept)
    for split, inside in (("image", np.ones(len(tests), bool)), ("image_without_copies", np.array(kept))):
        probability, truth = np.mean(of_folds, axis=0)[inside], label[tests][inside]
        called, person = probability >= 0.5, cells.subject.to_numpy()[tests][inside]
        row = rows[(rows.split == split) & (rows.repeat == 0)].set_index("classifier").loc["inter 0.0001 uniform"]
        expected = [
            sk.accuracy_score(truth, called), sk.balanced_accuracy_score(truth, called),
            sk.cohen_kappa_score(truth, called), sk.roc_auc_score(truth, probability),
            np.mean([(called == truth)[person == name].mean() for name in np.unique(person)]),
        ]  # fmt: skip
        assert [row.images, row.people] == [inside.sum(), len(np.unique(person))]
        np.testing.assert_allclose(row[list(table.MEASURES)].astype(float), expected, atol=1e-6)


def test_zero_repeats_switch_a_kind_of_split_off_and_two_zeros_read_no_features(
    tmp_path: Path, study: tuple[Params, Paths], values: dict[str, Any]
) -> None:
    params, paths = study
    by_subject = params.model_copy(update={"repeats": Repeats(image=0, subject=1)})
    stage.run(by_subject, paths, "cpu")
    assert set(table.read(paths.repeats).split) == {"subject"}
    nothing = Params.model_validate(values | {"repeats": {"image": 0, "subject": 0}})
    elsewhere = Paths(tmp_path / "elsewhere")
    stage.run(nothing, elsewhere, "cpu")
    assert table.read(elsewhere.repeats).empty


def test_draws_that_give_no_split_are_left_out_and_counted(
    study: tuple[Params, Paths], capsys: pytest.CaptureFixture[str]
) -> None:
    params, paths = study
    cells = pd.read_csv(paths.index)
    few = np.where(cells.label == 0, 0, cells.subject)  # all HEM cells are one person's
    cells.assign(subject=few).to_csv(paths.index, index=False)
    stage.run(params, paths, "cpu")
    assert set(table.read(paths.repeats).split) == {"image", "image_without_copies"}
    printed = capsys.readouterr().out
    assert "repeats: 3 of 6 draws gave no valid split and are left out" in printed
    assert "too few independent groups of negative images for" in printed


def test_a_test_set_of_copies_alone_has_no_row_without_copies(study: tuple[Params, Paths]) -> None:
    params, paths = study
    cells = read_index(paths)
    cells.assign(pixels=cells.label).to_csv(paths.index, index=False)  # two cells, over and over
    rows = run_split(material(params, paths), "image", 0)
    assert {row["split"] for row in rows if isinstance(row, dict)} == {"image"}
    assert len(read_copies(paths)) > 0


def test_if_the_people_are_unknown_the_table_has_no_people(study: tuple[Params, Paths]) -> None:
    params, paths = study
    read_index(paths).assign(subject="").to_csv(paths.index, index=False)
    stage.run(params.model_copy(update={"repeats": Repeats(image=1, subject=0)}), paths, "cpu")
    written = pd.read_csv(paths.repeats, dtype=str, keep_default_na=False)
    assert (written[["people", "person_accuracy"]] == "").all(axis=None)
    rows = table.read(paths.repeats)
    assert rows[["people", "person_accuracy"]].isna().all(axis=None)
    assert rows.accuracy.notna().all()
