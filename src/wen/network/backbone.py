"""The network: one of timm's with a single output, and files of its weights."""

import difflib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from timm.models.vgg import VGG
from torch import nn

from wen.config.params import Backbone, Params
from wen.errors import WenError
from wen.files import atomic
from wen.network.finite import flaw
from wen.network.weights_file import Weights

LEFT_OUT = "pre_logits."
"""VGG's fully connected layers: see `build`."""


def build(options: Backbone, size: int, pretrained: bool = False) -> nn.Module:
    """Build the network with one output neuron in place of its old head, weights not yet loaded.

    ``backbone.kwargs`` go to timm, but for ``bn_eps``, which every batch normalisation gets, whatever the network.
    ``backbone.mean`` and ``std`` replace those of timm's ``pretrained_cfg``.
    Layers that only a VGG has between its last map and its classifier are left out: as in all other networks, the mean
    of the map enters the new neuron, at any size of image.

    Parameters
    ----------
    options : Backbone
        With timm's name, e.g. ``tf_efficientnetv2_m.in1k``.
    size : int
        Of the images, in px: transformers are built for one.
    pretrained : bool
        With timm's own weights, from its hub.

    Raises
    ------
    WenError
        If timm has no such network, or cannot build it with these options for this size.
    """
    name, kwargs = options.name, dict[str, Any](options.kwargs)
    if not timm.list_models(name.split(".")[0]):
        near = ", ".join(difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=5))
        raise WenError(f"backbone.name: timm has no {name!r}" + (f"; did you mean {near}?" if near else ""))
    eps = kwargs.pop("bn_eps", None)
    try:
        config = timm.get_pretrained_cfg(name)
        if config and config.fixed_input_size:
            kwargs.setdefault("img_size", size)
        network: Any = timm.create_model(name, pretrained=pretrained, num_classes=1, **kwargs)
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        if pretrained:
            raise
        asked = f" and {dict(options.kwargs)}" if options.kwargs else ""
        raise WenError(f"backbone.name: timm cannot build {name} for {size} px{asked}: {error}") from None
    for module in network.modules():
        if eps is not None and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eps = float(eps)
    _give_linear_head(network)
    normalisation = {key: tuple(value) for key in ("mean", "std") if (value := getattr(options, key))}
    network.pretrained_cfg = {**network.pretrained_cfg, "input_size": (3, size, size), **normalisation}
    return network


def head_name(network: nn.Module) -> str:
    """What the layer is called that gives the logit."""
    head = network.get_classifier()  # type: ignore[operator]
    return next((name for name, module in network.named_modules() if module is head), "")


class PooledLinear(nn.Linear):
    """A linear layer in the place of a 1x1 convolution of pooled features, shape (n, channels, 1, 1)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values.flatten(1))


def _give_linear_head(network: nn.Module) -> None:
    if isinstance(network, VGG):
        network.set_submodule("pre_logits", nn.Identity())
    name = head_name(network)
    head = network.get_submodule(name) if name else None
    if not isinstance(head, nn.Linear | nn.Conv2d):
        raise WenError(
            f"backbone.name: {type(network).__name__} has no single linear layer as classifier; choose another network"
        )
    if isinstance(network, VGG):
        network.set_submodule(name, nn.Linear(network.num_features, 1))
    elif isinstance(head, nn.Conv2d):
        network.set_submodule(name, PooledLinear(head.in_channels, 1))


def load(params: Params, path: Path, device: torch.device) -> nn.Module:
    """Build a network with the weights that `save` wrote, ready for inference on ``device``.

    A backbone's file has no head; the network's is then still to be initialised.

    Raises
    ------
    WenError
        If the file is missing, damaged, of another network, or holds numbers that are none.
    """
    network = build(params.backbone, params.images.size)
    try:
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise WenError(f"{path}: not found; run `dvc repro` first") from None
    except safetensors.SafetensorError as error:
        raise WenError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    head, expected = f"{head_name(network)}.", network.state_dict()
    if not any(key.startswith(head) for key in weights):
        expected = without(head, expected)
    differing = difference(weights, expected)
    if differing:
        raise WenError(
            f"{path}: belongs to another network than backbone.name; delete it and run `dvc repro`.\n{differing}"
        )
    if found := flaw(weights):
        raise WenError(f"{path}: {found}, so it changed since it was written; delete it and run `dvc repro`")
    network.load_state_dict(weights, strict=False)
    return network.eval().to(device).to(memory_format=torch.channels_last)


def about(path: Path) -> dict[str, Any]:
    """What `save` wrote besides the weights; a file without it is a `WenError`."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            found: dict[str, Any] = json.loads(file.metadata()["wen"])
    except FileNotFoundError:
        raise WenError(f"{path}: not found; run `dvc repro` first") from None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WenError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    return found


def save(weights: Weights, about: dict[str, object], path: Path) -> None:
    """Write weights as safetensors with ``about`` as JSON in the metadata's ``wen``.

    Raises
    ------
    WenError
        If a weight is infinite or undefined; nothing is written.
    """
    if found := flaw(weights):
        raise WenError(f"{path}: not written, because {found}")
    # safetensors orders several metadata keys at random; one key keeps the bytes equal. Of a weight by two names, as
    # CoaT has some, it takes nothing but copies.
    with atomic(path) as partial:
        content = safetensors.torch.save(
            {key: tensor.contiguous().cpu().clone() for key, tensor in weights.items()},
            metadata={"wen": json.dumps(about, sort_keys=True)},
        )
        partial.write_bytes(content)


def without(prefix: str, weights: Weights) -> Weights:
    """All weights but those of one module, whose name and a point ``prefix`` is."""
    return {key: tensor for key, tensor in weights.items() if not key.startswith(prefix)}


def difference(found: Weights, expected: Weights) -> str:
    """Say which keys are missing, not expected or of another shape; empty if none."""
    wanted = {key: tensor.shape for key, tensor in expected.items()}
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
