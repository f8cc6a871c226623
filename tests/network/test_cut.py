"""Any of timm's networks, cut in two: what the parts compute, against timm's own forward pass."""

import copy
from typing import Any

import pytest
import torch
from captum.attr import LayerGradCam
from conftest import untrained
from torch import nn

from wen.config.params import Compute
from wen.errors import WenError
from wen.members.predict import Located
from wen.network.cut import Cut, cut
from wen.network.frozen import KINDS, Frozen, runner

CPU = torch.device("cpu")
SIZES = {
    "vgg16": 32,
    "densenet121": 64,
    "resnet50": 64,
    "resnetv2_50": 64,
    "mobilenetv1_100": 64,
    "mobilenetv2_100": 64,
    "mobilenetv3_small_100": 64,
    "legacy_xception": 96,
    "inception_resnet_v2": 96,
    "convnext_tiny": 64,
    "swin_tiny_patch4_window7_224": 64,
    "vit_small_patch14_dinov2": 56,
    "tf_efficientnetv2_s": 64,
    "tf_efficientnet_lite0": 64,
    "regnety_002": 64,
}
STAGES = {
    "vgg16": "features.24",
    "densenet121": "features.transition3",
    "resnet50": "layer4",
    "resnetv2_50": "stages.3",
    "mobilenetv1_100": "blocks.4",
    "mobilenetv2_100": "blocks.5",
    "mobilenetv3_small_100": "blocks.4",
    "legacy_xception": "conv3",
    "inception_resnet_v2": "mixed_7a",
    "convnext_tiny": "stages.3",
    "swin_tiny_patch4_window7_224": "layers.3",
    "vit_small_patch14_dinov2": "blocks.11",
    "tf_efficientnetv2_s": "blocks.5",
    "tf_efficientnet_lite0": "blocks.5",
    "regnety_002": "s4",
}
"""Where the last stage begins."""
LAST = [
    "vgg16", "densenet121", "resnet50", "resnetv2_50", "mobilenetv1_100", "mobilenetv2_100", "legacy_xception",
    "inception_resnet_v2", "tf_efficientnetv2_s", "tf_efficientnet_lite0", "regnety_002",
]  # fmt: skip
"""Networks whose head is a mean and one linear layer."""


def images(name: str) -> torch.Tensor:
    return torch.rand(4, 3, SIZES[name], SIZES[name], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SIZES)
def test_the_cut_network_infers_trains_and_pools_as_timm_s_own(name: str) -> None:
    network = untrained(name, SIZES[name])
    parts = cut(network, "auto")
    assert parts.unfreeze_from == STAGES[name]
    with torch.no_grad():
        activations = parts.trunk(images(name))
        pooled = parts.pool(parts.top(activations))
        assert torch.equal(parts.head(pooled), network(images(name)))
        features: Any = network
        expected = features.forward_head(features.forward_features(images(name)), pre_logits=True)
        assert torch.equal(pooled, expected.flatten(1))
    other: Any = copy.deepcopy(network)
    reference, train = cut(other, "auto"), parts.tail.train()
    reference.trunk.eval()
    other.train()
    for part in reference.trunk.modules():
        part.eval()  # the frozen part stays in inference mode
    torch.manual_seed(3)
    loss = train(activations).square().sum()
    loss.backward()
    torch.manual_seed(3)
    expected_loss = other(images(name)).square().sum()
    expected_loss.backward()
    torch.testing.assert_close(loss, expected_loss, rtol=1e-4, atol=1e-6)
    found, wanted = dict(network.named_parameters()), dict(other.named_parameters())
    trained = {id(weight) for weight in train.parameters()}
    scale = max(weight.grad.abs().max() for weight in found.values() if weight.grad is not None)
    for key, weight in found.items():
        assert (weight.grad is not None) == (id(weight) in trained and wanted[key].grad is not None), key
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad / scale, wanted[key].grad / scale, rtol=1e-3, atol=1e-5)
    for (key, buffer), after in zip(network.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(buffer, after, msg=key, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kwargs", [{"drop_rate": 0.5, "drop_path_rate": 0.5}])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "densenet121", "inception_resnet_v2", "convnext_tiny"])
def test_dropout_is_random_in_training_and_off_in_inference(name: str, kwargs: dict[str, float]) -> None:
    if name in ("densenet121", "inception_resnet_v2"):
        kwargs = {"drop_rate": 0.5}
    network = untrained(name, SIZES[name], kwargs=kwargs)
    parts = cut(network, "auto")
    with torch.no_grad():
        activations = parts.trunk(images(name))
        calm = [parts.tail.eval()(activations) for _ in range(2)]
        assert torch.equal(*calm)
        tail = parts.tail.train()
        assert not torch.equal(tail(activations), tail(activations))
        assert torch.equal(tail.eval()(activations), calm[0])


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet50", 64), ("densenet121", 64), ("tf_efficientnet_lite0", 64), ("vit_small_patch14_dinov2", 28)],
)
def test_wherever_the_network_can_be_cut_it_computes_the_same(name: str, size: int) -> None:
    network = untrained(name, size)
    values = torch.rand(2, 3, size, size)
    legal = 0
    with torch.no_grad():
        expected = network(values)
        for path, _ in network.named_modules():
            if not path or path.count(".") > 2:
                continue
            try:
                parts = cut(network, path)
            except WenError:
                continue
            legal += 1
            assert torch.equal(parts.tail(parts.trunk(values)), expected), path
            shared = {id(own) for own in parts.trunk.parameters()} & {id(own) for own in parts.tail.parameters()}
            assert not shared
    assert legal > 10


@pytest.mark.parametrize("name", ["vgg16", "resnetv2_50", "convnext_tiny", "swin_tiny_patch4_window7_224",
                                  "vit_small_patch14_dinov2"])  # fmt: skip
def test_openvino_computes_what_torch_does(name: str) -> None:
    frozen = Frozen(untrained(name, SIZES[name]), "auto", KINDS)
    pixels = images(name).movedim(1, -1).contiguous()
    both = [
        runner(frozen, SIZES[name], CPU, Compute(threads=1, cpu_engine=engine, precision="float32"))(pixels)  # type: ignore[arg-type]
        for engine in ("torch", "openvino")
    ]
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * one.abs().max().item())


def test_the_thesis_unfreezes_43_of_53_million_parameters() -> None:
    parts = cut(untrained("tf_efficientnetv2_m.in1k"), "blocks.5")
    trained = sum(p.numel() for p in parts.top.parameters())
    every = trained + sum(p.numel() for p in parts.trunk.parameters())
    assert round(trained / 1e6, 1) == 43.0
    assert round(every / 1e6, 1) == 52.9


def located(parts: Cut, activations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and maps."""
    module = Located(parts).eval()
    outputs = module(activations).detach()
    return outputs[:, 0], outputs[:, 1:].reshape(len(outputs), *module.shape)


@pytest.mark.parametrize("name", LAST)
def test_where_the_head_is_linear_the_logit_is_the_mean_of_its_map(name: str) -> None:
    parts = cut(untrained(name, 96), "auto")
    activations = parts.trunk(torch.rand(2, 3, 96, 96)).detach()
    logit, maps = located(parts, activations)
    assert maps[0].numel() > 1 or name == "inception_resnet_v2"
    torch.testing.assert_close(maps.mean((1, 2)), logit, rtol=1e-4, atol=1e-5)


def test_the_map_says_where_the_logit_comes_from_as_grad_cam_does() -> None:
    parts = cut(untrained("tf_efficientnet_lite0"), "blocks.5")
    activations = parts.trunk(torch.rand(2, 3, 96, 96)).detach()
    logit, maps = located(parts, activations)
    torch.testing.assert_close(logit[:, None], parts.tail(activations))
    reference = LayerGradCam(parts.tail, parts.top).attribute(activations, target=0).squeeze(1)
    positions = maps[0].numel()
    torch.testing.assert_close((maps - parts.head.bias) / positions, reference, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["convnext_tiny", "swin_tiny_patch4_window7_224", "mobilenetv3_small_100"])
def test_a_map_s_value_is_the_logit_of_an_image_that_is_everywhere_like_that_position(name: str) -> None:
    parts = cut(untrained(name, SIZES[name]), "auto")
    activations = parts.trunk(images(name)).detach()
    _, maps = located(parts, activations)
    features = parts.top(activations).movedim(parts.channels, -1)
    there = features[:, :1, 1:2].expand_as(features).movedim(-1, parts.channels)
    torch.testing.assert_close(maps[:, 0, 1], parts.head(parts.pool(there))[:, 0], rtol=1e-4, atol=1e-5)


def test_a_transformer_of_tokens_has_no_map() -> None:
    parts = cut(untrained("vit_small_patch14_dinov2", 56), "auto")
    logit, maps = located(parts, parts.trunk(images("vit_small_patch14_dinov2")).detach())
    assert (logit.shape, maps.shape) == ((4,), (4, 0, 0))


@pytest.mark.parametrize("how", ["training", "prediction"])
def test_a_thousand_images_have_a_thousand_logits_in_mixed_precision_too(how: str) -> None:
    """Of bfloat16 the logits would have 8 bits, and keep a few hundred values."""
    parts = cut(untrained("tf_efficientnet_lite0"), "conv_head", dtype=torch.bfloat16)
    activations = torch.rand(1000, 320, 2, 2)
    with torch.inference_mode():
        outputs = parts.tail(activations) if how == "training" else Located(parts)(activations)
        maps = parts.top(activations)
        exact = parts.head.double()(maps.double().mean((2, 3)))[:, 0]
    assert torch.equal(maps.bfloat16().float(), maps)  # the convolutions were in bfloat16
    assert len(outputs[:, 0].unique()) > 990
    torch.testing.assert_close(outputs[:, 0].double(), exact, rtol=1e-5, atol=1e-6)


def test_the_convolutions_alone_compute_in_a_half_type() -> None:
    half = cut(untrained("tf_efficientnet_lite0"), "blocks.5", dtype=torch.bfloat16)
    with torch.inference_mode():
        activations = half.trunk(torch.rand(2, 3, 64, 64))
        maps = half.top(activations)
    for values in (activations, maps):
        assert values.dtype == torch.float32
        assert torch.equal(values.bfloat16().float(), values)


def test_the_head_alone_can_be_trained() -> None:
    parts = cut(untrained("resnet50"), "fc")
    assert list(parts.top.parameters()) == []
    assert len(list(parts.tail.parameters())) == 2


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("resnet50", "layer5", r"no such module; did you mean layer4.*cut before conv1, bn1, layer1"),
        ("resnet50", "layer4.0.conv2", r"several tensors cross.* before layer4\.0\.conv1 and before layer4\.1$"),
        ("densenet121", "features.denseblock3.denselayer2", "several tensors cross"),
        ("mobilenetv3_small_100", "classifier", "runs behind conv_head, with which the head begins: write that"),
        ("tf_efficientnet_lite0", "blocks.7", r"no such module; did you mean blocks\.6"),
    ],
)
def test_a_place_that_cannot_be_cut_names_those_that_can(name: str, module: str, message: str) -> None:
    with pytest.raises(WenError, match=message):
        cut(untrained(name), module)


class Reused(nn.Module):
    """One layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.between, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(3, 1)

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward_features(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.again(self.between(self.again(values)))
        return found

    def forward_head(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(values.mean((2, 3)))
        return found


def test_weights_that_are_used_on_both_sides_are_not_cut_between() -> None:
    with pytest.raises(WenError, match="between"):
        cut(Reused(), "between")
    assert len(list(cut(Reused(), "again").tail.parameters())) == 6
