"""A network that torch.fx cannot trace: what it learns and predicts, against timm's own forward pass."""

import copy
import io
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from conftest import study_values, untrained
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import prepare, split
from wen.data.table import read_cells
from wen.errors import WenError
from wen.files import read_npz
from wen.integrity import check
from wen.members import finetune, predict
from wen.members.apply import predictor_of
from wen.members.predict import TailWithMap
from wen.network import features, pretrained
from wen.network.backbone import load, save
from wen.network.cost import count
from wen.network.cut import cut, is_traceable
from wen.network.inputs import batches
from wen.network.steps import class_weights, initialise, shuffled
from wen.network.views import augment, draw
from wen.selftest.trial import stopped_after

CPU = torch.device("cpu")
MEMBER = Member("0.01", 0)
NOTICE = "features.activations: not stored, because torch.fx cannot trace looped_resnet: stage 2 and prediction run"


class Looped(ResNet):
    """Goes over the images of a batch one by one, which no trace can follow."""

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = super().forward_features(torch.stack(list(x)))
        return found


@register_model
def looped_resnet(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    kwargs = {key: value for key, value in kwargs.items() if key in ("num_classes", "drop_rate", "drop_path_rate")}
    network: Any = Looped(BasicBlock, (1, 1, 1, 1), channels=(8, 16, 24, 32), zero_init_last=False, **kwargs)
    network.pretrained_cfg = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25)}
    return network  # type: ignore[no-any-return]


def params_of(values: dict[str, Any], folder: Path) -> Params:
    """Two epochs of each stage; the model is of stage 2."""
    torch.manual_seed(0)
    weights = timm.create_model("looped_resnet", num_classes=1).state_dict()
    safetensors.torch.save_file(weights, folder / "weights.safetensors")
    values["lr_grid"] = [0.01, 0.001]
    values["lr"] = 0.01
    values["backbone"] = {"name": "looped_resnet", "weights": str(folder / "weights.safetensors")}
    values["head"]["epochs"] = values["finetune"]["epochs"] = 2
    values["finetune"] |= {"unfreeze_from": "auto", "keep": "always"}
    return Params.model_validate(values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Paths, str]:
    """A study with one model, and the messages of its features stage."""
    root = tmp_path_factory.mktemp("untraced")
    params, paths = params_of(study_values(), root), Paths(root)
    for stage in (prepare, split, pretrained):
        stage.run(params, paths)
    with redirect_stderr(io.StringIO()) as printed:
        features.run(params, paths)
    finetune.run(params, paths, MEMBER, "cpu")
    predict.run(params, paths, MEMBER, "cpu")
    return params, paths, printed.getvalue()


Trained = tuple[Params, Paths, str]


def test_only_pooled_features_are_stored_with_a_notice_of_the_reason(trained: Trained) -> None:
    _, paths, printed = trained
    assert NOTICE in printed
    assert not list(paths.features.glob("activations*"))
    assert len(list(paths.features.glob("pooled-*"))) == 3


def test_check_prints_the_notice_each_time_unless_activations_are_off(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params, *_ = trained
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    for _ in range(2):
        check.check(params, Paths(tmp_path))
        assert capsys.readouterr().err.startswith(NOTICE)
    without = params.features.model_copy(update={"activations": False})
    check.check(params.model_copy(update={"features": without}), Paths(tmp_path))
    assert capsys.readouterr().err == ""


def images_of(params: Params, paths: Paths) -> torch.Tensor:
    """In [0, 1], channels first."""
    return torch.from_numpy(np.load(paths.features / "images-clean.npy")).movedim(-1, 1).float() / 255


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(value)[:, None, None] for value in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)))
    return (images - mean) / std


def test_pooled_features_are_timm_s(trained: Trained) -> None:
    params, paths, _ = trained
    network: Any = load(params, paths.backbone, CPU)
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(normalised(images_of(params, paths))), pre_logits=True)
    np.testing.assert_allclose(np.load(paths.features / "pooled-clean.npy"), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_both_stages_train_and_predict_as_a_loop_over_timm_s_network_does(trained: Trained) -> None:
    params, paths, _ = trained
    cells, images = read_cells(paths), images_of(params, paths)
    learns, validates = (
        np.flatnonzero((cells.part == "development") & mask)
        for mask in (cells.fold != MEMBER.fold, cells.fold == MEMBER.fold)
    )
    label = torch.tensor(cells.label.to_numpy()).float()
    weight = torch.from_numpy(class_weights(cells.label.to_numpy()[learns])).float()
    network: Any = load(params, paths.backbone, CPU)
    initialise(network.fc, params.seed, MEMBER.fold)

    def logit(rows: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            return network.eval()(normalised(images[rows]))[:, 0]

    def best_of(stage: str, epochs: int, parts: list[nn.Module]) -> dict[str, torch.Tensor]:
        optimizer = torch.optim.Adam([one for part in parts for one in part.parameters()], lr=MEMBER.lr)
        found = []
        for epoch in range(epochs):
            network.eval()
            for part in parts:
                part.train()
            for rows in batches(shuffled(learns, params.seed, MEMBER.fold, stage, epoch), params.train.batch_size):
                views = augment(images[rows], draw(params.augment, params.seed, epoch % params.augment.views, rows))
                loss = binary_cross_entropy_with_logits(
                    network(normalised(views))[:, 0], label[rows], weight=weight[label[rows].long()]
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            validated, truth = logit(validates), label[validates]
            accuracy = ((validated >= 0) == (truth == 1)).float().mean().item()
            loss = binary_cross_entropy_with_logits(validated, truth).item()
            found.append(((accuracy, -loss), copy.deepcopy(network.state_dict())))
        return max(found, key=lambda one: one[0])[1]

    network.load_state_dict(best_of("head", 2, [network.fc]))
    network.load_state_dict(best_of("finetune", 2, [network.layer4, network.fc]))
    predictions = read_npz(paths.predictions(MEMBER))
    tests = np.flatnonzero(cells.part == "test")
    np.testing.assert_allclose(predictions["test_probability"], torch.sigmoid(logit(tests)).numpy(), atol=1e-4)
    np.testing.assert_allclose(
        predictions["validation_probability"], torch.sigmoid(logit(validates)).numpy(), atol=1e-4
    )
    assert predictions["stage"] == "finetune"
    saved = safetensors.torch.load_file(paths.model(MEMBER))
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(saved[key], tensor, rtol=1e-3, atol=1e-4, msg=key)


def test_what_lies_before_the_named_module_keeps_every_bit(trained: Trained) -> None:
    _, paths, _ = trained
    before, after = (safetensors.torch.load_file(file) for file in (paths.backbone, paths.model(MEMBER)))
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if key.startswith("layer4.")}
    assert {"layer4.0.bn1.running_mean", "layer4.0.conv1.weight"} < changed


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_stopped_training_resumes_to_the_same_bytes(trained: Trained, tmp_path: Path, epochs: int) -> None:
    params, paths, _ = trained
    again = Paths(tmp_path / "again")
    shutil.copytree(paths.root, again.root)
    again.model(MEMBER).unlink()
    with stopped_after(epochs):
        finetune.run(params, again, MEMBER, "cpu")
    assert not again.model(MEMBER).exists()
    finetune.run(params, again, MEMBER, "cpu")
    assert again.model(MEMBER).read_bytes() == paths.model(MEMBER).read_bytes()


def test_images_of_the_test_set_are_classified_with_the_recorded_probabilities(trained: Trained) -> None:
    params, paths, _ = trained
    tests = np.flatnonzero(read_cells(paths).part == "test")
    found = predictor_of([MEMBER], params, paths, CPU)(np.load(paths.features / "images-clean.npy")[tests])
    np.testing.assert_allclose(found[:, 0], read_npz(paths.predictions(MEMBER))["test_probability"], atol=1e-6)


def test_the_map_of_an_untraced_network_shows_where_the_logit_comes_from(trained: Trained) -> None:
    params, paths, _ = trained
    parts = cut(load(params, paths.model(MEMBER), CPU), "auto")
    located = TailWithMap(parts).eval()
    with torch.no_grad():
        found = located(normalised(torch.rand(3, 3, 64, 64)))
    assert located.shape == (2, 2)
    torch.testing.assert_close(found[:, 1:].mean(1), found[:, 0], rtol=1e-4, atol=1e-5)


def test_the_plan_counts_the_complete_network_and_no_activations(trained: Trained) -> None:
    params, *_ = trained
    network: Any = timm.create_model("looped_resnet", num_classes=1)
    trained_ones = [*network.layer4.parameters(), *network.fc.parameters()]
    cost = count(params)
    assert (cost.is_traced, cost.activations, cost.trunk, cost.unfreeze_from) == (False, 0, 0, "layer4")
    assert cost.trainable == sum(one.numel() for one in trained_ones)
    assert cost.parameters == sum(one.numel() for one in network.parameters())


def test_frozen_modules_drop_nothing_and_the_others_what_timm_s_own_do() -> None:
    network = untrained("looped_resnet", kwargs={"drop_rate": 0.5, "drop_path_rate": 0.5})
    other: Any = copy.deepcopy(network).train()
    for part in (other.bn1, other.layer1, other.layer2, other.layer3):
        part.eval()
    tail, images = cut(network, "layer4").tail.train(), torch.rand(4, 3, 64, 64)
    torch.manual_seed(3)
    found = tail(images)
    torch.manual_seed(3)
    torch.testing.assert_close(found, other(images))
    tail.eval()
    assert torch.equal(tail(images), tail(images))


def test_what_is_trained_follows_the_order_of_calls_not_of_registration() -> None:
    """Twins registers all its patch embeddings first, and calls each before the blocks of its stage."""
    network = untrained("twins_pcpvt_small")
    assert not is_traceable(network)
    parts = cut(network, "patch_embeds.3")
    trained_ones = {key.rsplit(".", 1)[0] for key, weight in network.named_parameters() if weight.requires_grad}
    stage = ("patch_embeds.3", "blocks.3", "pos_block.3", "norm", "head")
    assert all(name.startswith(stage) for name in trained_ones)
    assert all(any(name.startswith(part) for name in trained_ones) for part in stage)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(parts.tail.eval()(parts.trunk(images)), network(images))


def test_a_network_with_a_weight_by_two_names_is_saved(tmp_path: Path) -> None:
    network = untrained("coat_lite_tiny")
    assert network.cpe1.proj.weight is network.serial_blocks1[0].cpe.proj.weight  # type: ignore[union-attr, index]
    save(network.state_dict(), {}, tmp_path / "weights.safetensors")
    found = safetensors.torch.load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(found[key], tensor) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("looped_resnet", "layer5", r"unfreeze_from: layer5: no such module with weights; choose one of layer4"),
        ("twins_pcpvt_small", "auto", r"auto: timm names no stages of Twins; choose one of patch_embeds.*blocks\.3"),
        ("coat_tiny", "auto", r"backbone\.name: CoaT's forward_features gives several tensors"),
        ("volo_d1_224", "auto", r"backbone\.name: VOLO has other classifiers than head"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(name: str, module: str, message: str) -> None:
    with pytest.raises(WenError, match=message):
        cut(untrained(name), module)
