"""Build a timm network with a single output, and save and load its weights."""

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
from wen.files import atomic, readable
from wen.network.finite import flaw
from wen.network.weights_file import Weights

LEFT_OUT = "pre_logits."
"""Prefix of VGG's fully connected layers, which `build` removes."""
SIMILAR = 5
"""Maximum number of names that a message suggests."""


def build(options: Backbone, size: int, pretrained: bool = False) -> nn.Module:
    """Build a timm network whose classifier has one output, with untrained weights.

    ``backbone.kwargs`` are passed to timm, except ``bn_eps``, which is set on every batch normalisation layer of any
    network. ``backbone.mean`` and ``std`` replace those of timm's ``pretrained_cfg``. The fully connected layers of a
    VGG are removed: as in the other networks, the classifier takes the globally averaged feature map, so that any image
    size works.

    Parameters
    ----------
    options : Backbone
        Holds timm's name of the network, e.g. ``tf_efficientnetv2_m.in1k``.
    size : int
        Side of the images, in px. Transformers accept only the size that they are built for.
    pretrained : bool
        Whether to load timm's pretrained weights from its hub.

    Raises
    ------
    WenError
        If timm has no network of this name, or cannot build it with these options for this size.
    """
    name, kwargs = options.name, dict[str, Any](options.kwargs)
    if not timm.list_models(name.split(".")[0]):
        similar = ", ".join(_similar(name))
        raise WenError(f"backbone.name: timm has no {name!r}" + (f"; did you mean {similar}?" if similar else ""))
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


def _similar(name: str) -> list[str]:
    """Names of timm's that are spelt almost like this one, or else begin with it."""
    models, spelt = timm.list_models(), name.split(".")[0].lower().replace("-", "_")
    return (
        difflib.get_close_matches(spelt, models, n=SIMILAR)
        or [model for model in models if model.startswith(spelt)][:SIMILAR]
    )


def head_name(network: nn.Module) -> str:
    """Return the name of the classifier layer, whose output is the logit."""
    head = network.get_classifier()  # type: ignore[operator]
    return next((name for name, module in network.named_modules() if module is head), "")


class PooledLinear(nn.Linear):
    """Linear layer that replaces a 1x1 convolution on pooled features of shape (n, channels, 1, 1)."""

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
    """Build a network and load the weights that `save` wrote, in inference mode on ``device``.

    The backbone's file holds no head; the head must then be initialised by the caller.

    Raises
    ------
    WenError
        If the file is missing, damaged or of another network, or contains infinite or NaN weights.
    """
    network = build(params.backbone, params.images.size)
    with readable(path, (safetensors.SafetensorError,)):
        weights = safetensors.torch.load_file(path)
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
    """Read the metadata that `save` wrote next to the weights.

    Raises
    ------
    WenError
        If the file is missing or damaged, or has no such metadata.
    """
    damage = (safetensors.SafetensorError, KeyError, TypeError, ValueError)
    with readable(path, damage), safetensors.safe_open(path, "pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["wen"])
    return found


def save(weights: Weights, about: dict[str, object], path: Path) -> None:
    """Write weights as safetensors, with ``about`` as JSON under the metadata key ``wen``.

    Raises
    ------
    WenError
        If a weight is infinite or NaN; nothing is written.
    """
    if found := flaw(weights):
        raise WenError(f"{path}: not written, because {found}")
    # A single metadata key keeps the bytes reproducible: safetensors writes several in random order. The tensors are
    # cloned because safetensors refuses tensors that share memory (CoaT has weights with two names).
    with atomic(path) as partial:
        content = safetensors.torch.save(
            {key: tensor.contiguous().cpu().clone() for key, tensor in weights.items()},
            metadata={"wen": json.dumps(about, sort_keys=True)},
        )
        partial.write_bytes(content)


def without(prefix: str, weights: Weights) -> Weights:
    """Return the weights whose names do not start with ``prefix``, the name of a module and a dot."""
    return {key: tensor for key, tensor in weights.items() if not key.startswith(prefix)}


def difference(found: Weights, expected: Weights) -> str:
    """List the missing keys, the unexpected keys and those of another shape; empty if there are none."""
    shapes = {key: tensor.shape for key, tensor in expected.items()}
    groups = {
        "missing": [key for key in shapes if key not in found],
        "unexpected": [key for key in found if key not in shapes],
        "of another shape": [
            f"{key} {tuple(found[key].shape)} instead of {tuple(shape)}"
            for key, shape in shapes.items()
            if key in found and found[key].shape != shape
        ],
    }
    return "\n".join(
        f"{len(keys)} {what}: {', '.join(keys[:8])}{', ...' if len(keys) > 8 else ''}"
        for what, keys in groups.items()
        if keys
    )
