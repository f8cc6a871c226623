"""Training and prediction on a tiny study, without DVC."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from dvc.repo import Repo
from dvclive import Live
from safetensors import safe_open
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from wen.config.member import Member
from wen.config.params import Compute, Head, Params
from wen.config.paths import Paths
from wen.data.table import read_cells
from wen.errors import WenError
from wen.files import read_json, read_npz
from wen.members import finetune, predict
from wen.members.apply import predictor_of
from wen.network import backbone, device, features, frozen
from wen.network.arrays import array_path
from wen.network.cut import Convolutions
from wen.network.fit import Curves, Stage, fit
from wen.network.inputs import StoredInputs, batches
from wen.network.steps import Task, class_weights

MEMBER = Member("0.001", 0)


def run_study(values: dict[str, Any], featured: Path, root: Path, **features_options: Any) -> dict[str, np.ndarray]:
    """Train and predict in a copy of the tiny study, on features of other values than its own."""
    values["features"] |= features_options
    params, paths = Params.model_validate(values), Paths(root)
    shutil.copytree(featured, root, dirs_exist_ok=True)
    shutil.rmtree(paths.features)
    features.run(params, paths)
    finetune.run(params, paths, MEMBER, "cpu")
    predict.run(params, paths, MEMBER, "cpu")
    return read_npz(paths.predictions(MEMBER))


@pytest.fixture
def values(values: dict[str, Any]) -> dict[str, Any]:
    """With OpenVINO, whose features of an image depend on no other image of its batch."""
    values["compute"]["cpu_engine"] = "openvino"
    return values


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture
def predictions(study: Path, featured: Path, values: dict[str, Any]) -> dict[str, np.ndarray]:
    """Of the tiny study; run once for the module."""
    path = Paths(study).predictions(MEMBER)
    return read_npz(path) if path.exists() else run_study(values, featured, study)


def test_predictions_are_of_the_member_s_validation_fold_and_of_the_test_set(
    study: Path, predictions: dict[str, np.ndarray]
) -> None:
    cells = read_cells(Paths(study))
    for name, mask in (("validation", cells.fold == MEMBER.fold), ("test", cells.part == "test")):
        assert predictions[f"{name}_id"].tolist() == cells.id[mask].tolist()
        assert predictions[f"{name}_label"].tolist() == cells.label[mask].tolist()
        assert ((predictions[f"{name}_probability"] > 0) & (predictions[f"{name}_probability"] < 1)).all()


def test_the_saved_model_is_a_complete_timm_network(study: Path, predictions: dict[str, np.ndarray]) -> None:
    """Loaded without the project and fed with plain images, it predicts what predict-fold wrote."""
    import timm
    from PIL import Image
    from safetensors.torch import load_file

    model = timm.create_model("tf_efficientnet_lite0", num_classes=1).eval()
    model.load_state_dict(load_file(Paths(study).model(MEMBER)))
    cells = read_cells(Paths(study)).set_index("id")
    pixels = [
        np.asarray(Image.open(study / cells.path[name]).resize((32, 32), Image.Resampling.BICUBIC))
        for name in predictions["test_id"]
    ]
    images = (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        probability = torch.sigmoid(model(images)[:, 0])
    np.testing.assert_allclose(predictions["test_probability"], probability.numpy(), atol=1e-5)


@pytest.mark.parametrize("activations", [True, False])
def test_a_prediction_over_flips_is_the_mean_of_the_saved_model_s_outputs(
    tmp_path: Path, study: Path, featured: Path, values: dict[str, Any], predictions: dict[str, np.ndarray],
    activations: bool,
) -> None:  # fmt: skip
    """Stored in data/turned or computed again; `wen classify` predicts in the same way. Training uses none of it."""
    values["predict"] = {"tta": "flips"}
    found = run_study(values, featured, tmp_path, activations=activations)
    params, paths = Params.model_validate(values), Paths(tmp_path)
    where = {path.name for path in paths.turned.iterdir()}
    kept = {f"{kind}-turned-{turn}.npy" for kind in ("pooled", "activations") for turn in (2, 4, 6)}
    assert where == {"turns.json"} | {name for name in kept if activations or name.startswith("pooled")}
    cells = read_cells(paths)
    pixels = np.load(array_path(paths.features, "images"))
    network = backbone.load(params, paths.model(MEMBER), torch.device("cpu"))
    for name, rows in (("validation", cells.fold == MEMBER.fold), ("test", cells.part == "test")):
        images = (torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        with torch.inference_mode():
            logits = [network(images.flip(axes))[:, 0] for axes in ([], [2], [3], [2, 3])]
        expected = torch.stack(logits).sigmoid().mean(0).numpy()
        np.testing.assert_allclose(found[f"{name}_probability"], expected, atol=1e-5)
        by_classify = predictor_of([MEMBER], params, paths, torch.device("cpu"))(pixels[rows])[:, 0]
        np.testing.assert_allclose(by_classify, expected, atol=1e-5)
        assert np.abs(expected - logits[0].sigmoid().numpy()).max() > 1e-3
    if activations:
        for path in paths.features.iterdir():
            assert path.read_bytes() == (Paths(study).features / path.name).read_bytes()
        assert paths.model(MEMBER).read_bytes() == Paths(study).model(MEMBER).read_bytes()


@pytest.mark.parametrize("switched_off", [["pooled"], ["activations"], ["pooled", "activations"]])
def test_the_shared_frozen_network_gives_the_results_of_the_plain_path(
    tmp_path: Path, featured: Path, values: dict[str, Any], predictions: dict[str, np.ndarray],
    switched_off: list[str],
) -> None:  # fmt: skip
    plain = run_study(values, featured, tmp_path, **dict.fromkeys(switched_off, False))
    for kind in switched_off:
        assert not list(Paths(tmp_path).features.glob(f"{kind}-*"))
    for key, value in predictions.items():
        if key.endswith("probability"):
            np.testing.assert_allclose(plain[key], value, atol=1e-4)
        else:
            assert (plain[key] == value).all()


def test_openvino_gives_what_torch_gives(
    tmp_path: Path, study: Path, featured: Path, values: dict[str, Any], predictions: dict[str, np.ndarray]
) -> None:
    """The features to float tolerance, of which training, by Adam's first steps above all, makes more."""
    values["compute"]["cpu_engine"] = "torch"
    torch_only = run_study(values, featured, tmp_path)
    for kind in ("pooled", "activations"):
        with_openvino, without = (np.load(Paths(root).features / f"{kind}-0.npy") for root in (study, tmp_path))
        np.testing.assert_allclose(without, with_openvino, rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(torch_only["test_probability"], predictions["test_probability"], atol=1e-2)


def test_features_are_float32_where_training_is_mixed(
    tmp_path: Path, study: Path, values: dict[str, Any], predictions: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As on a GPU, where ``auto`` is a half type."""

    def as_on_a_gpu(_: torch.device, options: Compute) -> torch.dtype:
        return torch.bfloat16 if options.precision == "auto" else getattr(torch, options.precision)

    values["compute"]["cpu_engine"] = "torch"
    again = Paths(tmp_path)
    shutil.copytree(study / "data", again.root / "data")
    shutil.copytree(study / "models", again.root / "models")
    written = {}
    for precision in ("float32", "auto", "bfloat16"):
        values["compute"]["precision"] = precision
        monkeypatch.setattr(frozen, "precision", as_on_a_gpu)
        features.run(Params.model_validate(values), again, "cpu")
        written[precision] = [np.load(again.features / f"{kind}-0.npy") for kind in ("pooled", "activations")]
    for exact, auto, half in zip(*written.values(), strict=True):
        assert (auto == exact).all()
        assert (half != exact).any()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_that_decode_changes_no_byte(
    tmp_path: Path, study: Path, values: dict[str, Any], predictions: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch, workers: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(features, "cpu_count", lambda: workers)
    again = Paths(tmp_path)
    shutil.copytree(study / "data", again.root / "data")
    shutil.copytree(study / "models", again.root / "models")
    shutil.rmtree(again.features)
    features.run(Params.model_validate(values), again)
    for path in Paths(study).features.iterdir():
        assert (again.features / path.name).read_bytes() == path.read_bytes()


def test_no_random_view_of_a_test_image_is_ever_computed(study: Path, predictions: dict[str, np.ndarray]) -> None:
    cells, folder = read_cells(Paths(study)), Paths(study).features
    learns = (cells.part == "development").to_numpy()
    rows = np.load(folder / "rows-of-views.npy")
    assert rows[learns].tolist() == list(range(learns.sum()))
    assert (rows[~learns] == -1).all()
    for kind in ("pooled", "activations"):
        assert len(np.load(folder / f"{kind}-0.npy")) == learns.sum()
        assert len(np.load(folder / f"{kind}-clean.npy")) == len(cells)


def test_features_of_another_split_are_refused(
    tmp_path: Path, study: Path, values: dict[str, Any], predictions: dict[str, np.ndarray]
) -> None:
    paths, params = Paths(tmp_path), Params.model_validate(values)
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    table = pd.read_csv(paths.split)
    test = table.part == "test"
    table.loc[test, ["part", "fold"]] = ["development", 1]
    table.to_csv(paths.split, index=False)
    with pytest.raises(WenError, match=r"made for another data/split\.csv"):
        finetune.run(params, paths, MEMBER, "cpu")


def test_training_in_a_repository_without_a_commit_says_what_to_do(
    tmp_path: Path, study: Path, values: dict[str, Any], predictions: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    Repo.init(str(tmp_path)).close()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WenError, match="git add --all && git commit"):
        finetune.run(Params.model_validate(values), Paths(), MEMBER, "cpu")
    assert not list(tmp_path.glob("plots/training/*/*.partial"))


def test_half_precision_storage_stays_close(
    tmp_path: Path, featured: Path, values: dict[str, Any], predictions: dict[str, np.ndarray]
) -> None:
    half = run_study(values, featured, tmp_path, dtype="float16")
    assert np.load(Paths(tmp_path).features / "activations-0.npy").dtype == np.float16
    np.testing.assert_allclose(half["test_probability"], predictions["test_probability"], atol=0.02)


def test_only_the_rate_differs_between_two_rates(
    tmp_path: Path, study: Path, values: dict[str, Any], predictions: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The head's start and every epoch's batches, in order, of both stages."""
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    initialise, passed_on = finetune.initialise, StoredInputs.batches
    seen: list[Any] = []

    def recorded_start(head: nn.Linear, *drawn: Any) -> None:
        initialise(head, *drawn)
        seen.append(head.weight.detach().clone().numpy())

    def recorded_batches(self: StoredInputs, rows: list[np.ndarray], view: int | None) -> Any:
        seen.append((self.kind, view, [batch.tolist() for batch in rows]))
        return passed_on(self, rows, view)

    monkeypatch.setattr(finetune, "initialise", recorded_start)
    monkeypatch.setattr(StoredInputs, "batches", recorded_batches)
    runs = []
    for lr, fold in ((0.001, 0), (0.0001, 0), (0.001, 1)):
        seen.clear()
        finetune.run(Params.model_validate(values), Paths(tmp_path), Member(str(lr), fold), "cpu")
        runs.append(list(seen))
    one, other, of_another_fold = runs
    assert len(one) == 1 + 2 * (2 + 1)  # the start; training and validation of each epoch
    assert (one[0] == other[0]).all()
    assert one[1:] == other[1:]
    assert one[1] != one[3]  # another epoch, another order
    assert (one[0] != of_another_fold[0]).any()


def test_predictions_and_metrics_have_the_stage_and_epoch_of_the_weights(
    study: Path, predictions: dict[str, np.ndarray]
) -> None:
    """The most accurate epoch of the curves; of equal ones, that of the lower loss."""
    paths = Paths(study)
    curves = paths.training(MEMBER) / "plots/metrics"
    stage = pd.read_csv(curves / "stage.tsv", sep="\t").stage
    accuracy, loss = (pd.read_csv(curves / f"{m}/validation.tsv", sep="\t").validation for m in ("accuracy", "loss"))
    best = max(stage.index, key=lambda step: (accuracy[step], -loss[step]))
    expected = int(stage[best]), 1 + best - int((stage < stage[best]).sum())
    row = read_json(paths.single_metrics(MEMBER.recipe, MEMBER.fold))
    assert (row["stage"], row["epoch"]) == expected
    assert ({"head": 1, "finetune": 2}[str(predictions["stage"])], predictions["epoch"]) == expected


def test_only_the_tail_is_trained(study: Path, predictions: dict[str, np.ndarray]) -> None:
    with (
        safe_open(Paths(study).backbone, "pt") as before,
        safe_open(Paths(study).model(MEMBER), "pt") as after,
    ):
        changed = {key for key in before.keys() if not torch.equal(before.get_tensor(key), after.get_tensor(key))}  # noqa: SIM118
    assert all(key.startswith(("blocks.5", "blocks.6", "conv_head", "bn2")) for key in changed)


def test_curves_have_a_step_for_each_epoch_of_both_stages(study: Path, predictions: dict[str, np.ndarray]) -> None:
    rows = (Paths(study).training(MEMBER) / "plots/metrics/stage.tsv").read_text().split()
    assert rows == ["step", "stage", "0", "1", "1", "1", "2", "2"]
    assert "accuracy" in read_json(Paths(study).training(MEMBER) / "metrics.json")


def test_a_rate_or_fold_outside_the_study_is_refused(
    study: Path, tiny: Params, predictions: dict[str, np.ndarray]
) -> None:
    for lr, fold in ((0.5, 0), (MEMBER.lr, 7)):
        with pytest.raises(WenError, match="not in this study"):
            finetune.run(tiny, Paths(study), Member(str(lr), fold))


def test_missing_features_are_reported_with_the_command_that_makes_them(
    study: Path, tiny: Params, predictions: dict[str, np.ndarray], tmp_path: Path
) -> None:
    paths = Paths(study)
    hidden = paths.features.rename(tmp_path / "hidden")
    try:
        with pytest.raises(WenError, match="`dvc repro`"):
            predict.run(tiny, paths, MEMBER)
    finally:
        hidden.rename(paths.features)


def test_class_weights_are_scikit_learns_balanced_ones() -> None:
    label = np.array([1] * 7 + [0] * 3)
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=label)
    np.testing.assert_allclose(class_weights(label), expected)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_mixed_precision_learns_as_full_precision_does(
    tmp_path: Path, values: dict[str, Any], half: torch.dtype
) -> None:
    losses = []
    for chosen in (torch.float32, half):
        values["augment"]["views"] = 8
        torch.manual_seed(1)
        module = nn.Sequential(Convolutions(nn.Conv2d(3, 4, 3), dtype=chosen), nn.Flatten(), nn.Linear(64, 1))
        task = Task(
            params=Params.model_validate(values), member=Member("0.01", 0), tail=module, label=np.arange(40) % 2,
            train_rows=np.arange(30), validation_rows=np.arange(30, 40), device=torch.device("cpu"),
        )  # fmt: skip
        with Live(str(tmp_path / str(chosen)), dvcyaml=None, save_dvc_exp=False) as live:
            best = fit(task, Stage("head", module, Noisy(), Head(epochs=8, patience=8)), Curves(live))
        losses.append(best.loss)
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert losses[1] < 0.6  # below ln 2, what guessing gives


class Noisy:
    """Inputs that are brighter for odd rows, in noise."""

    def batches(self, rows: list[np.ndarray], view: int | None) -> Any:
        for batch in rows:
            noise = torch.randn(len(batch), 3, 6, 6, generator=torch.Generator().manual_seed(int(batch[0])))
            yield noise + torch.from_numpy(batch % 2)[:, None, None, None]


@pytest.mark.parametrize(("images", "size"), [(65, 64), (64, 64), (1, 64), (130, 64), (17, 16)])
def test_batches_are_even_and_hold_every_image_once(images: int, size: int) -> None:
    rows = batches(np.arange(images), size)
    assert np.concatenate(rows).tolist() == list(range(images))
    assert max(map(len, rows)) <= size
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_an_absent_device_is_refused(tiny: Params, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WenError, match="--device tpu: not available here"):
        device.choose("tpu", tiny.compute)
    assert device.choose("cpu", tiny.compute).type == "cpu"
    assert capsys.readouterr().err == "on cpu: 1 thread(s), float32\n"
    assert device.choose("auto", tiny.compute).type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["cuda:99", "cuda:x", "cuda:"])
def test_a_gpu_that_does_not_work_is_refused_in_one_line(
    tiny: Params, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(WenError, match=f"--device {name}: ") as raised:
        device.choose(name, tiny.compute)
    assert "\n" not in str(raised.value)


def test_a_gpu_computes_in_half_precision_unless_set_otherwise() -> None:
    cpu = torch.device("cpu")
    auto = Compute(threads=1, cpu_engine="torch", precision="auto")
    assert device.precision(cpu, auto) == torch.float32
    assert device.precision(torch.device("cuda"), auto) in (torch.bfloat16, torch.float16)
    assert device.precision(torch.device("cuda"), auto.model_copy(update={"precision": "float32"})) == torch.float32
