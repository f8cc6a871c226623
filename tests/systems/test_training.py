"""The loop's parts: samplers, views, and a network with its head."""

import numpy as np
import pytest
import timm
import torch
from conftest import untrained
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from wen.network import views
from wen.network.backbone import head_name
from wen.systems.blocks import Hybrid, attention, dense
from wen.systems.published import ullah2021
from wen.systems.samplers import oversample, undersample
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


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "vgg11", "resnetv2_50"])
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
