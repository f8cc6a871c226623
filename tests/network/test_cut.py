"""Any of timm's networks, cut in two: what the parts compute, against timm's own forward pass."""

import copy
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from captum.attr import LayerGradCam
from conftest import SHARED, untrained
from torch import nn

from wen.config.params import Backbone, Compute, Params
from wen.config.paths import Paths
from wen.data.images import central_square, decode
from wen.errors import WenError
from wen.members.predict import TailWithMap
from wen.network import pretrained
from wen.network.backbone import load
from wen.network.cut import Cut, cut
from wen.network.frozen import KINDS, Frozen, runner

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # test workers share the cores


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


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("tf_efficientnet_lite0", {"drop_rate": 0.5, "drop_path_rate": 0.5}),
        ("convnext_tiny", {"drop_rate": 0.5, "drop_path_rate": 0.5}),
        ("densenet121", {"drop_rate": 0.5}),
        ("inception_resnet_v2", {"drop_rate": 0.5}),
    ],
)
def test_training_drops_what_timm_s_own_does_and_inference_nothing(name: str, rates: dict[str, float]) -> None:
    network = untrained(name, SIZES[name], kwargs=rates)
    other = copy.deepcopy(network).train()
    for part in cut(other, "auto").trunk.modules():
        part.eval()
    parts = cut(network, "auto")
    tail = parts.tail
    with torch.no_grad():
        activations = parts.trunk(images(name))
        tail.train()
        torch.manual_seed(3)
        found = [tail(activations) for _ in range(2)]
        torch.manual_seed(3)
        expected = [other(images(name)) for _ in range(2)]
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(*found)
        tail.eval()
        assert torch.equal(tail(activations), tail(activations))


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet26", 64), ("densenet121", 64), ("tf_efficientnet_lite0", 64), ("vit_small_patch14_dinov2", 28)],
)
def test_wherever_the_network_can_be_cut_it_computes_the_same(name: str, size: int) -> None:
    network = untrained(name, size)
    values = torch.rand(2, 3, size, size)
    legal = 0
    with torch.no_grad():
        expected = network(values)
        for path, _ in network.named_modules():
            if not path or path.count(".") > 1:
                continue
            try:
                parts = cut(network, path)
            except WenError:
                continue
            legal += 1
            assert torch.equal(parts.tail(parts.trunk(values)), expected), path
            trunk, tail = ({id(tensor) for tensor in part.parameters()} for part in (parts.trunk, parts.tail))
            assert not trunk & tail
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
    module = TailWithMap(parts).eval()
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
def test_mixed_precision_keeps_different_logits_of_many_images_different(how: str) -> None:
    """In bfloat16 the logits would have 8 bits and take only a few hundred values."""
    parts = cut(untrained("tf_efficientnet_lite0"), "conv_head", dtype=torch.bfloat16)
    activations = torch.rand(1000, 320, 2, 2)
    with torch.inference_mode():
        outputs = parts.tail(activations) if how == "training" else TailWithMap(parts)(activations)
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
        ("resnet50", "layer5", r"no such module; did you mean .*layer4.*trained from conv1, bn1, layer1"),
        ("resnet50", "layer4.0.conv2", r"several tensors pass.* before layer4\.0\.conv1 and before layer4\.1$"),
        ("densenet121", "features.denseblock3.denselayer2", "several tensors pass"),
        ("mobilenetv3_small_100", "classifier", "runs after conv_head, where the head begins; write conv_head"),
        ("tf_efficientnet_lite0", "blocks.7", r"no such module; did you mean blocks\.6"),
    ],
)
def test_a_module_that_cannot_be_cut_is_refused_with_those_that_can(name: str, module: str, message: str) -> None:
    with pytest.raises(WenError, match=message):
        cut(untrained(name), module)


class Reused(nn.Module):
    """One layer that is called twice, and another behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.between, self.last, self.head = *(nn.Conv2d(3, 3, 1) for _ in range(3)), nn.Linear(3, 1)

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward_features(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.again(self.between(self.again(values))))
        return found

    def forward_head(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(values.mean((2, 3)))
        return found


def test_weights_that_are_used_on_both_sides_are_not_cut_between() -> None:
    with pytest.raises(WenError, match="between"):
        cut(Reused(), "between")
    assert len(list(cut(Reused(), "again").tail.parameters())) == 8


class Selecting(Reused):
    """A classifier of every position, as of CLIP's attention pooling, of which the first one counts."""

    def forward_head(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(values.flatten(2).movedim(1, 2))[:, 0]
        return found


def test_a_network_that_selects_from_the_outputs_of_its_classifier_is_refused() -> None:
    with pytest.raises(WenError, match="Selecting selects from the outputs of its classifier, head; choose another"):
        cut(Selecting(), "again")


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("mobilenetv1_100", 128, {"kwargs": {"pad_type": "same", "bn_eps": 1e-3}, "mean": [0.5] * 3, "std": [0.5] * 3}),
        ("legacy_xception", 151, {"kwargs": {"bn_eps": 1e-3}, "mean": [0.5] * 3, "std": [0.5] * 3}),
    ],
)
def test_frozen_features_of_real_cells_with_real_weights_are_a_direct_forward_pass_s(
    tmp_path: Path, real_sample: Path, tiny: Params, name: str, size: int, options: dict[str, Any]
) -> None:
    """Against timm.create_model, its own loading of the file and its own preparation of images."""
    file = SHARED / f"weights/{name}.safetensors"
    if not file.exists():
        pytest.skip(f"the real weights are not at hand: no {file}")
    backbone = Backbone(name=name, weights=str(file), **options)
    params = tiny.model_copy(
        update={"backbone": backbone, "images": tiny.images.model_copy(update={"size": size}),
                "finetune": tiny.finetune.model_copy(update={"unfreeze_from": "auto"})}
    )  # fmt: skip
    pretrained.run(params, Paths(tmp_path))
    network = load(params, Paths(tmp_path).backbone, CPU)
    (pooled,) = runner(Frozen(network, "auto", ("pooled",)), size, CPU, tiny.compute)(cells(real_sample, size))

    same = {"pad_type": "same"} if name == "mobilenetv1_100" else {}
    direct: Any = timm.create_model(name, num_classes=0, **same).eval()
    for module in direct.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    weights = {key: tensor.float() for key, tensor in safetensors.torch.load_file(file).items()}
    missing, unexpected = direct.load_state_dict(weights, strict=False)
    assert all(key.endswith("num_batches_tracked") for key in missing)
    assert {key.split(".")[0] for key in unexpected} <= {"classifier", "fc"}
    with torch.no_grad():
        expected = direct(((cells(real_sample, size) - 0.5) / 0.5).movedim(-1, 1))
    torch.testing.assert_close(pooled, expected, rtol=1e-3, atol=1e-3)


def cells(sample: Path, size: int) -> torch.Tensor:
    """The first cells of the sample, their central 300 px, in [0, 1]."""
    with zipfile.ZipFile(sample) as archive:
        names = [name for name in sorted(archive.namelist()) if name.endswith(".bmp")][:16]
        squares = [central_square(decode(archive.read(name)), 300, size) for name in names]
    return torch.from_numpy(np.stack(squares)) / 255
