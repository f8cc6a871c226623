"""The loop's parts: samplers, views, and a network with its head."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from conftest import untrained
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from wen.errors import WenError
from wen.network import views
from wen.network.backbone import head_name
from wen.network.cut import Convolutions
from wen.systems import training
from wen.systems.blocks import Hybrid, Maximum, attention, dense
from wen.systems.fold import Cells, Source, Training
from wen.systems.published import ullah2021
from wen.systems.samplers import oversample, undersample
from wen.systems.system import Trained
from wen.systems.training import WithHead


@given(st.lists(st.integers(0, 1), min_size=2).filter(lambda label: 0 < sum(label) < len(label)), st.integers(0, 9))
def test_samplers_give_both_classes_as_many_images(labels: list[int], seed: int) -> None:
    label = np.array(labels)
    more, fewer = (sampler(label, np.random.default_rng(seed)) for sampler in (oversample, undersample))
    assert (np.bincount(label[more]) == np.bincount(label).max()).all()
    assert (np.bincount(label[fewer]) == np.bincount(label).min()).all()
    assert set(more) == set(range(len(label)))
    assert len(set(fewer)) == len(fewer)


def test_images_turn_about_their_centre_and_black_comes_in() -> None:
    pixels = torch.rand(4, 3, 9, 9) + 0.1
    found = views.rotate(pixels, torch.tensor([0.0, 0.25, 0.5, 0.1]))
    np.testing.assert_allclose(found[0], pixels[0], atol=1e-5)
    np.testing.assert_allclose(found[1], torch.rot90(pixels[1], 1, (1, 2)), atol=1e-5)
    np.testing.assert_allclose(found[2], pixels[2].flip(1, 2), atol=1e-5)
    turned = rotate(pixels[3], 36, InterpolationMode.BILINEAR)
    np.testing.assert_allclose(found[3][:, 2:-2, 2:-2], turned[:, 2:-2, 2:-2], atol=2e-2)
    assert float(found[3][:, 0, 0].max()) < 0.1


def test_the_gradient_of_a_maximum_does_not_depend_on_which_of_equal_values_is_found_first() -> None:
    maps = torch.tensor([[[[1.0, 3.0], [3.0, 2.0]]]], requires_grad=True)
    found = Maximum()(maps)
    found.sum().backward()
    assert found.tolist() == [[3.0]]
    assert maps.grad is not None
    assert maps.grad.tolist() == [[[[0.0, 0.5], [0.5, 0.0]]]]


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "vgg11", "resnetv2_50", "test_convnext"])
@pytest.mark.parametrize("kind", ["pooled", "maps"])
def test_a_network_with_a_head_computes_the_network_s_maps_and_then_the_head(name: str, kind: str) -> None:
    network = untrained(name)
    images = torch.rand(2, 3, 64, 64)
    config = network.pretrained_cfg
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))  # type: ignore[index]
    torch.manual_seed(0)
    both = WithHead(network, (lambda n: dense(n)) if kind == "pooled" else Hybridised, kind, torch.float32).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        maps = network.forward_features((images - mean) / std)  # type: ignore[operator]
        expected = both.head(network.forward_head(maps, pre_logits=True) if kind == "pooled" else maps)  # type: ignore[operator]
        np.testing.assert_allclose(both(images), expected, atol=1e-5)
    kept = {key.split("network.")[-1] for key in both.state_dict()}
    assert not any(key.startswith(f"{head_name(network)}.") for key in kept if not key.startswith("head."))


class Hybridised(torch.nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(Hybrid(channels, 4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), dense(channels))


def test_attention_is_behind_each_of_the_five_blocks_of_vgg16() -> None:
    network = timm.create_model("vgg16", num_classes=1)
    plain = [type(module).__name__ for module in network.features]
    ullah2021.attach(network)
    at = [k for k, module in enumerate(network.features) if isinstance(module, torch.nn.Sequential)]
    pools = [k for k, kind in enumerate(plain) if kind == "MaxPool2d"]
    assert at == [k - 1 for k in pools]
    kinds = [type(network.features[k][1]) for k in at]
    assert kinds == [type(attention(64))] * 5
    assert network.forward_features(torch.rand(1, 3, 32, 32)).shape == (1, 512, 1, 1)


def test_a_trained_network_with_attention_starts_from_the_same_head_as_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, settings = [], ullah2021.Settings(depth="finetune", networks=["test_efficientnet"], hidden=4)

    def started(module: WithHead, *_: object) -> tuple[list[training.Row], int]:
        heads.append([value.tolist() for value in module.head.parameters()])
        return [], 1

    monkeypatch.setattr(training, "train", started)
    images = images_of(tmp_path)
    for with_attention in (True, False):
        ullah2021.train(settings, with_attention, images)
    assert heads[0] == heads[1] != []


def keras_rates(losses: list[float], rate: float, factor: float, patience: int) -> list[float]:
    """The rate of each epoch by Keras' ReduceLROnPlateau without min_delta."""
    best, waited, rates = np.inf, 0, []
    for loss in losses:
        rates.append(rate)
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= patience:
            rate, waited = rate * factor, 0
    return rates


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_rate_is_lowered_after_so_many_epochs_without_a_lower_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    losses = [1.0, 0.9, 0.9, 0.95, 0.89999, 0.91, 0.92, 0.93, 0.94, 0.8, 0.81]
    left = iter(losses)
    monkeypatch.setattr(training, "_loss", lambda *_: next(left))
    options = Trained(epochs=len(losses), lr=0.5, plateau_patience=patience, plateau_factor=0.5)
    rows, best = training.train(torch.nn.Linear(1, 1), feed_of(1), images_of(tmp_path), options)
    assert [row["lr"] for row in rows] == keras_rates(losses, 0.5, 0.5, patience)
    assert best == 10


def feed_of(*shape: int) -> training.Feed:
    """Give every batch equal random values."""

    def feed(cells: Cells) -> training.Batch:
        return lambda positions, _: torch.rand(len(positions), *shape, generator=torch.Generator().manual_seed(1))

    return feed


def images_of(root: Path) -> Training:
    """Training images on the CPU, each of a person of its own."""
    rows = np.arange(20)
    return Training(Source(*made_up(root), torch.device("cpu")), rows, rows % 2, rows, "system", 0)


class Scaled(torch.nn.Sequential):
    """A convolution that begins with 0, and a linear head with equal weights."""

    def __init__(self, dtype: torch.dtype, weight: float) -> None:
        torch.manual_seed(0)
        convolution, last = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 1)
        torch.nn.init.zeros_(convolution.weight)
        torch.nn.init.constant_(last.weight, weight)
        pool = torch.nn.AdaptiveAvgPool2d(1)
        super().__init__(Convolutions(convolution, dtype=dtype), pool, torch.nn.Flatten(), last)


def test_gradients_too_small_for_float16_train_as_in_float32(tmp_path: Path) -> None:
    options, images, moved = Trained(epochs=1, lr=1.0, optimiser="sgd", batch_size=20), images_of(tmp_path), []
    for dtype in (torch.float32, torch.float16):
        module = Scaled(dtype, 1e-6)
        training.train(module, feed_of(3, 8, 8), images, options)
        moved.append(next(module.parameters()).detach().numpy())
    np.testing.assert_allclose(moved[1], moved[0], atol=0.02 * np.abs(moved[0]).max())


def test_a_training_without_any_finite_gradient_in_float16_gives_no_model(tmp_path: Path) -> None:
    module, options = Scaled(torch.float16, 1e6), Trained(epochs=1, lr=1e-30, optimiser="sgd")
    with pytest.raises(training.Diverged, match="no step has finite gradients in float16"):
        training.train(module, feed_of(3, 8, 8), images_of(tmp_path), options)


def test_a_head_on_maps_of_a_transformer_gets_its_channels_first() -> None:
    network, images = untrained("swin_tiny_patch4_window7_224"), torch.rand(2, 3, 64, 64)
    both = WithHead(network, lambda n: torch.nn.Sequential(torch.nn.Conv2d(n, 1, 1)), "maps", torch.float32).eval()
    with torch.no_grad():
        maps = network.forward_features((images - both.mean) / both.std)  # type: ignore[operator]
        np.testing.assert_allclose(both(images), both.head(maps.permute(0, 3, 1, 2)), atol=1e-5)


def test_a_network_that_cannot_be_traced_is_not_trained_with_frozen_weights() -> None:
    with pytest.raises(WenError, match="cannot trace VisionTransformer, so it cannot be trained here"):
        WithHead(untrained("test_vit"), dense, "pooled", torch.float32)
