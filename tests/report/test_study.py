"""Outputs that an earlier stage made for other data or parameters are never reported as this study's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_study import MakeStudy, section

from wen.config.params import Params
from wen.data import describe, leaks
from wen.ensemble import inter
from wen.errors import WenError
from wen.files import read_json, read_npz, write_json, write_npz
from wen.report import statements
from wen.report.language import Text
from wen.results import gather


def of_another_test_set(path: Path) -> None:
    """The same labels, of images with other names."""
    arrays = read_npz(path)
    write_npz(path, **arrays | {"test_id": np.strings.add("other-", arrays["test_id"])})


@pytest.mark.parametrize(
    "name",
    [
        "data/predictions/0.0001",
        "data/predictions/baseline/colour",
        "data/predictions/inter/0.0001.npz",
        "data/predictions/intra.npz",
    ],
)
def test_predictions_for_another_test_set_are_refused(make_study: MakeStudy, name: str) -> None:
    params, paths = make_study()
    gather(params, paths)
    changed = paths.root / name
    for path in changed.glob("*.npz") if changed.is_dir() else [changed]:
        of_another_test_set(path)
    with pytest.raises(WenError, match=rf"{name}.*: made for another test set than .*data/split\.csv; run `dvc repro`"):
        gather(params, paths)


def test_predictions_for_the_same_images_in_another_order_are_refused(make_study: MakeStudy) -> None:
    params, paths = make_study()
    arrays = read_npz(paths.intra_predictions)
    write_npz(paths.intra_predictions, **arrays | {"test_id": arrays["test_id"][::-1]})
    with pytest.raises(WenError, match=r"intra\.npz: made for another test set"):
        gather(params, paths)


OTHER: dict[str, tuple[Callable[[Params], dict[str, Any]], str]] = {
    "fewer folds": (lambda params: {"folds": params.folds[:2]}, r"inter/0\.001\.npz"),
    "a learning rate less": (lambda params: {"lr_grid": params.lr_grid[:2]}, r"intra\.npz"),
    "learning rates in another order": (lambda params: {"lr_grid": params.lr_grid[::-1]}, r"intra\.npz"),
}


@pytest.mark.parametrize("name", OTHER)
def test_ensembles_of_other_members_than_params_has_are_refused(make_study: MakeStudy, name: str) -> None:
    params, paths = make_study(folds=[0, 1, 2])
    changed, named = OTHER[name]
    with pytest.raises(WenError, match=rf"{named}: its members are not those of params\.yaml.*`dvc repro`"):
        gather(params.model_copy(update=changed(params)), paths)


def test_champions_of_folds_that_params_no_longer_has_are_refused(make_study: MakeStudy) -> None:
    params, paths = make_study(folds=[0, 1, 2, 3, 4])
    members = read_npz(paths.intra_predictions)["leak_free_members"].tolist()
    fold = int(members[0].rsplit("-", 1)[1])
    fewer = params.model_copy(update={"folds": [other for other in params.folds if other != fold]})
    for recipe in params.grid:
        inter.run(fewer, paths, recipe)
    with pytest.raises(WenError, match=r"intra\.npz: its members are not those of params\.yaml"):
        gather(fewer, paths)


def test_baselines_stand_after_the_networks_and_are_in_no_ensemble_and_no_champion(make_study: MakeStudy) -> None:
    params, paths = make_study()
    study = gather(params, paths)
    singles = [classifier.recipe for classifier in study.classifiers if classifier.kind == "single"]
    assert singles == [recipe for recipe in (*params.rates, *params.baseline_recipes) for _ in params.folds]
    assert list(study.averages) == [*params.rates, "baseline/colour", "baseline/features"]
    chosen = [classifier for reading in ("as_written", "leak_free") for classifier in study.champions(reading)]
    ensembles = [classifier for classifier in study.classifiers if classifier.kind != "single"]
    members = [found.member for classifier in (*chosen, *ensembles) for found in classifier.members]
    assert set(members) <= set(params.networks)


def test_a_study_without_baselines_has_none(make_study: MakeStudy) -> None:
    params, paths = make_study(baselines=[])
    assert gather(params, paths).baselines == {}


def test_ensembles_of_another_calibration_than_params_are_refused(make_study: MakeStudy) -> None:
    params, paths = make_study()
    other = params.model_copy(update={"calibration": "temperature"})
    problem = r"inter/0\.001\.npz: made with calibration none, but params\.yaml has temperature; run `dvc repro`"
    with pytest.raises(WenError, match=problem):
        gather(other, paths)
    arrays = read_npz(paths.intra_predictions)
    write_npz(paths.intra_predictions, **{key: value for key, value in arrays.items() if key != "calibration"})
    with pytest.raises(WenError, match=r"intra\.npz: made with calibration unknown"):
        gather(params, paths)


def test_ensembles_without_a_weighting_of_params_are_refused(make_study: MakeStudy) -> None:
    params, paths = make_study(schemes=["kappa", "f1"])
    other = params.model_copy(update={"schemes": ["kappa", "f1", "uniform"]})
    with pytest.raises(
        WenError, match=r"inter/0\.001\.npz: made without the weighting uniform, which params\.yaml has;"
    ):
        gather(other, paths)


def test_the_leaks_are_those_of_the_split_in_use_even_if_it_was_edited(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    params, paths = make_study()
    audit = read_json(paths.split_metrics)
    assert leaks.of_study(paths) == audit
    assert not capsys.readouterr().err
    without = audit["test_and_development"] | {"shared_subjects": 0, "images_of_shared_subjects": 0}
    write_json(paths.split_metrics, audit | {"test_and_development": without})
    assert leaks.of_study(paths) == audit
    assert "data/split.csv: edited since `wen split` wrote it" in capsys.readouterr().err
    assert statements.leaks(audit, Text("en")) in section(params, paths, "leaks")


def test_the_images_are_counted_in_the_table_in_use_even_if_it_was_edited(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    _, paths = make_study()
    recorded = read_json(paths.dataset_metrics)
    assert describe.of_study(paths) == recorded
    assert not capsys.readouterr().err
    for key in ("images", "positive", "subjects"):
        write_json(paths.dataset_metrics, recorded | {key: recorded[key] + 1})
        found = describe.of_study(paths)
        assert {name: found[name] for name in recorded if name != "copies"} == {
            name: recorded[name] for name in recorded if name != "copies"
        }
        assert found["copies"]["near"]["pairs_across_subjects"] == 0
        assert capsys.readouterr().err.endswith(f"the report has the edited table's {key}\n")
