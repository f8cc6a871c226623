"""NaN and infinite numbers are reported where they arise, and no model with them is saved."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import read_cells
from wen.errors import WenError
from wen.members import finetune, predict
from wen.members.apply import predictor_of
from wen.network import backbone, features, inputs, pretrained
from wen.network.finite import flaw, overflow
from wen.network.inputs import ComputedInputs
from wen.network.steps import class_weights

MEMBER = Member("0.001", 0)
LITE0 = "tf_efficientnet_lite0"
KEY = "blocks.3.0.conv_pw.weight"


@pytest.fixture
def paths(featured: Path, tmp_path: Path) -> Paths:
    shutil.copytree(featured, tmp_path / "study")
    return Paths(tmp_path / "study")


def with_nan(weights: dict[str, torch.Tensor]) -> None:
    weights[KEY].view(-1)[3] = torch.nan


def with_infinity(weights: dict[str, torch.Tensor]) -> None:
    weights[KEY].view(-1)[3] = -torch.inf


def with_a_negative_variance(weights: dict[str, torch.Tensor]) -> None:
    weights["bn1.running_var"][0] = -1


def beyond_float32(weights: dict[str, torch.Tensor]) -> None:
    weights[KEY] = weights[KEY].double() + 1e300


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (with_nan, f"{KEY} holds NaN"),
        (with_infinity, f"{KEY} holds infinite numbers"),
        (with_a_negative_variance, r"bn1\.running_var holds a negative variance"),
        (beyond_float32, f"{KEY} holds infinite numbers"),
    ],
)
def test_a_checkpoint_with_nonfinite_numbers_is_refused_with_its_file_and_key(
    tmp_path: Path, values: dict[str, Any], spoil: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    weights = timm.create_model(LITE0).state_dict()
    spoil(weights)
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(weights, file)
    values["backbone"]["weights"] = str(file)
    with pytest.raises(WenError, match=rf"weights\.safetensors: {message}; the checkpoint is damaged"):
        pretrained.run(Params.model_validate(values), Paths(tmp_path))
    assert not Paths(tmp_path).backbone.exists()


def test_further_tensors_with_the_same_flaw_are_counted() -> None:
    weights = {"a": torch.ones(2), "b": torch.full((2,), torch.nan), "c": torch.full((2,), torch.inf)}
    assert flaw(weights) == "b holds NaN, and 1 more of its 3 tensors have the same problem"
    assert flaw({"a": torch.ones(2), "counter": torch.tensor(3)}) == ""


def test_weights_with_nonfinite_numbers_are_refused_when_loaded(paths: Paths, tiny: Params) -> None:
    weights = safetensors.torch.load_file(paths.backbone)
    with_nan(weights)
    safetensors.torch.save_file(weights, paths.backbone, {"wen": "{}"})
    for run in (lambda: features.run(tiny, paths, "cpu"), lambda: finetune.run(tiny, paths, MEMBER, "cpu")):
        with pytest.raises(WenError, match=rf"backbone\.safetensors: {KEY} holds NaN"):
            run()


def test_weights_with_nonfinite_numbers_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(WenError, match="not written, because a holds infinite numbers"):
        backbone.save({"a": torch.tensor([1, torch.inf])}, {}, tmp_path / "0.safetensors")
    assert not list(tmp_path.iterdir())


def outputs_with(value: float, row: int, kind: int) -> Any:
    """Outputs of the frozen network in which one number of one image is ``value``, in every view."""
    computed = ComputedInputs.outputs

    def outputs(self: ComputedInputs, rows: Any, view: int | None) -> Iterator[tuple[torch.Tensor, ...]]:
        for batch, values in zip(rows, computed(self, rows, view), strict=True):
            of_kind = values[min(kind, len(values) - 1)]
            of_kind[torch.from_numpy(batch == row)] = value
            yield values

    return outputs


@pytest.mark.parametrize("kind", ["activations", "pooled"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nonfinite_features_are_refused_with_image_and_kind_and_none_are_written(
    paths: Paths, tiny: Params, monkeypatch: pytest.MonkeyPatch, kind: str, value: float
) -> None:
    shutil.rmtree(paths.features)
    monkeypatch.setattr(ComputedInputs, "outputs", outputs_with(value, 7, ["activations", "pooled"].index(kind)))
    image = read_cells(paths).id[7]
    found = "NaN" if np.isnan(value) else "infinite numbers"
    with pytest.raises(WenError, match=f"^{kind} of image {image}: {found}; computed in float32") as caught:
        features.run(tiny, paths, "cpu")
    assert "precision" not in str(caught.value)  # float32 is in use already
    assert not paths.features.exists()


def test_features_too_large_for_float16_on_disk_are_refused_with_the_type_that_holds_them(
    paths: Paths, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(paths.features)
    values["features"]["dtype"] = "float16"
    monkeypatch.setattr(ComputedInputs, "outputs", outputs_with(70_000, 3, 0))
    message = r"70000, but the largest number in float16 is 65504; set features\.dtype: float32"
    with pytest.raises(WenError, match=rf"^activations of image {read_cells(paths).id[3]}: {message}"):
        features.run(Params.model_validate(values), paths, "cpu")
    assert not paths.features.exists()


def test_the_advice_on_overflow_is_never_the_present_setting() -> None:
    assert "float32" in overflow(torch.float16, "retrain")
    for dtype in (torch.float32, torch.bfloat16):  # of the same range
        assert overflow(dtype, "retrain").endswith("too large; retrain")
        assert "set compute.precision" not in overflow(dtype, "retrain")


def test_weights_of_zero_give_features_that_nothing_can_be_learnt_from(paths: Paths, tiny: Params) -> None:
    weights = safetensors.torch.load_file(paths.backbone)
    zeros = {key: torch.zeros_like(tensor) for key, tensor in weights.items()}
    safetensors.torch.save_file(zeros, paths.backbone, {"wen": "{}"})
    with pytest.raises(
        WenError, match=r"pooled: the same for every image; models/backbone\.safetensors contains no trained"
    ):
        features.run(tiny, paths, "cpu")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["pooled", "activations"])
@pytest.mark.parametrize("which", ["train", "validation"])
def test_a_nonfinite_stored_feature_ends_training_and_names_the_image(
    paths: Paths, tiny: Params, kind: str, value: float, which: str
) -> None:
    """One alone: behind a ReLU6 an infinite activation is a 6, and no loss would show it."""
    cells = read_cells(paths)
    learnt = (cells.part == "development") & ((cells.fold == MEMBER.fold) == (which == "validation"))
    row = int(np.flatnonzero(learnt)[4])
    file = paths.features / f"{kind}-{'clean' if which == 'validation' else 0}.npy"
    at = row if which == "validation" else np.load(paths.features / "rows-of-views.npy")[row]
    array = np.load(file)
    array[at].reshape(-1)[5] = value
    np.save(file, array)
    message = (
        rf"data/features: {kind} of image {cells.id[row]}( \(random view 0\))?: (NaN|infinite numbers); changed since"
    )
    with pytest.raises(WenError, match=message):
        finetune.run(tiny, paths, MEMBER, "cpu")
    assert not paths.model(MEMBER).exists()
    assert not paths.training(MEMBER).exists()


def test_a_nonfinite_stored_feature_of_a_turned_image_ends_prediction_and_names_it(
    paths: Paths, values: dict[str, Any]
) -> None:
    values["predict"] = {"tta": "flips"}
    params = Params.model_validate(values)
    features.run(params, paths, "cpu")
    finetune.run(params, paths, MEMBER, "cpu")
    cells = read_cells(paths)
    row = int(np.flatnonzero(cells.part == "test")[0])
    file = paths.turned / "activations-turned-4.npy"
    array = np.load(file)
    array[row].reshape(-1)[5] = np.nan
    np.save(file, array)
    with pytest.raises(WenError, match=rf"activations of image {cells.id[row]} \(turned-4\): NaN"):
        predict.run(params, paths, MEMBER, "cpu")
    assert not paths.predictions(MEMBER).exists()


def test_a_nonfinite_computed_feature_ends_training_and_prediction(
    paths: Paths, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values["features"]["activations"] = False
    params = Params.model_validate(values)
    cells = read_cells(paths)
    row = int(np.flatnonzero(cells.part == "test")[0])
    finetune.run(params, paths, MEMBER, "cpu")
    monkeypatch.setattr(ComputedInputs, "outputs", outputs_with(np.inf, row, 0))
    with pytest.raises(WenError, match=f"^activations of image {cells.id[row]}: infinite numbers; computed in float32"):
        predict.run(params, paths, MEMBER, "cpu")
    learnt = int(np.flatnonzero((cells.part == "development") & (cells.fold != MEMBER.fold))[0])
    paths.checkpoint(MEMBER).unlink()
    paths.model(MEMBER).unlink()
    monkeypatch.setattr(inputs, "precision", lambda *_: torch.float16)
    monkeypatch.setattr(ComputedInputs, "outputs", outputs_with(np.inf, learnt, 0))
    message = rf"{cells.id[learnt]} \(random view 0\).*computed in float16.*set compute\.precision: float32"
    with pytest.raises(WenError, match=message):
        finetune.run(params, paths, MEMBER, "cpu")
    assert not paths.model(MEMBER).exists()


def noise(images: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)


def test_a_nonfinite_logit_is_reported_with_model_and_image(paths: Paths, tiny: Params) -> None:
    finetune.run(tiny, paths, MEMBER, "cpu")
    weights = safetensors.torch.load_file(paths.model(MEMBER))
    weights["classifier.weight"][:] = 3e38
    about = backbone.about(paths.model(MEMBER))
    backbone.save(weights, about, paths.model(MEMBER))
    with pytest.raises(
        WenError, match=r"0\.safetensors: logit of image UID.*from weights that are finite.*lower learning rate"
    ) as got:
        predict.run(tiny, paths, MEMBER, "cpu")
    assert "precision" not in str(got.value)
    assert not paths.predictions(MEMBER).exists()
    predictor = predictor_of([MEMBER], tiny, paths, torch.device("cpu"))
    assert np.isnan(predictor(noise(2))).all()


def test_a_fold_without_a_class_to_train_on_is_refused() -> None:
    with pytest.raises(WenError, match=r"data/split\.csv: no negative image to train on"):
        class_weights(np.array([1, 1]))
    with pytest.raises(WenError, match=r"data/split\.csv: no positive image to train on"):
        class_weights(np.array([0, 0]))
