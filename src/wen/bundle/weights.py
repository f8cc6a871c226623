"""weights.safetensors: the members' weights; weights that all members share are stored once."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.numpy

from wen.config.member import Member
from wen.config.params import Backbone, Params
from wen.config.paths import Paths
from wen.files import readable, sha256
from wen.network.graph import PLACE, Arrays, Graph, places

if TYPE_CHECKING:
    import torch
    from torch import nn

CONSTANTS = "openvino.constants"
"""Constants of classifier.xml that are not weights, such as shapes."""

AS_HEAD = "features"
"""The baseline that is a network: the frozen network, with a logistic regression as its last layer."""


def are_networks(members: Sequence[Member], params: Params) -> bool:
    """Return whether all members of a classifier are networks that a bundle can hold.

    A baseline predicts the original images even if ``predict.tta`` averages over turned copies, which a bundle then
    does for all members, so it can be exported only without ``predict.tta``.
    """
    return all(
        not member.baseline or (member.baseline == AS_HEAD and len(params.predict.turns) == 1) for member in members
    )


def read(members: Sequence[Member], paths: Paths, graph: Graph) -> list[Arrays]:
    """Read the weights of a study's networks; raise `WenError` if a file is missing or damaged."""
    return [_with_head(member, paths, graph) if member.baseline else _read(paths.model(member)) for member in members]


def _read(path: Path) -> Arrays:
    with readable(path, (safetensors.SafetensorError,)):
        found: Arrays = safetensors.numpy.load_file(path)
    return found


def _with_head(member: Member, paths: Paths, graph: Graph) -> Arrays:
    """Return the frozen network with a last layer that standardises the pooled features and applies the regression."""
    from wen.members import fitted

    frozen = _read(paths.backbone)
    scaler, regression = (step for _, step in fitted.load(paths.model(member)).steps)
    weight = regression.coef_ / scaler.scale_
    head = {"weight": weight, "bias": regression.intercept_ - weight @ scaler.mean_}
    names = {name.rpartition(".")[2]: name for _, name in graph.tail.weights if name not in frozen}
    return {**frozen, **{names[kind]: values.astype(np.float32) for kind, values in head.items()}}


def of_members(networks: Sequence[Arrays], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Name the weights of networks: by timm's name if they are equal in all members, otherwise ``MEMBER/NAME``."""
    weights = {}
    for key, first in networks[0].items():
        if all(np.array_equal(first, network[key]) for network in networks):
            weights[key] = first
        else:
            weights |= {f"{name}/{key}": network[key] for name, network in zip(names, networks, strict=True)}
    return weights


def load(path: Path, names: Sequence[str], options: Backbone, size: int, where: "torch.device") -> "list[nn.Module]":
    """Build the members' networks with timm, for inference on a device."""
    import safetensors.torch
    import torch

    from wen.network import backbone

    weights = safetensors.torch.load_file(path)
    weights.pop(CONSTANTS, None)
    shared = {key: tensor for key, tensor in weights.items() if "/" not in key}
    networks = []
    for name in names:
        network = backbone.build(options, size)
        prefix = f"{name}/"
        apart = {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}
        network.load_state_dict(shared | apart)
        networks.append(network.eval().to(where).to(memory_format=torch.channels_last))
    return networks


def write(weights: Arrays, xml: bytes, constants: bytes, path: Path) -> bytes:
    """Write the weights, and return the XML with references to this file instead of its own constants.

    Parameters
    ----------
    weights : dict
    xml, constants : bytes
        As returned by `wen.network.graph.joined`. Constants that are not weights are written to the same file.
    path : Path
    """
    arrays = dict(weights)
    weight_of = {sha256(array.tobytes()): key for key, array in reversed(arrays.items())}
    others = _others([constants[begin : begin + size] for begin, size in places(xml)], set(weight_of))
    arrays[CONSTANTS] = np.frombuffer(b"".join(others), np.int64)
    path.write_bytes(safetensors.numpy.save(arrays))
    begins = _begins(path)
    place = {digest: begins[key] for digest, key in weight_of.items()}
    at = begins[CONSTANTS]
    for padded, digests in others.items():
        place |= dict.fromkeys(digests, at)
        at += len(padded)

    def referring(match: re.Match[bytes]) -> bytes:
        begin, size = int(match[1]), int(match[3])
        return b"%d" % place[sha256(constants[begin : begin + size])] + match[2] + match[3]

    return PLACE.sub(referring, xml)


def _others(constants: list[bytes], known: set[str]) -> dict[bytes, list[str]]:
    """Return the constants that are not weights, padded to multiples of 8 bytes, with the digests of their contents."""
    others: dict[bytes, list[str]] = {}
    for constant in constants:
        digest = sha256(constant)
        if digest not in known:
            digests = others.setdefault(constant.ljust(-(-len(constant) // 8) * 8, b"\0"), [])
            digests += [digest] * (digest not in digests)
    return others


def _begins(path: Path) -> dict[str, int]:
    """Return the offset of each tensor in a safetensors file, in bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {key: 8 + length + about["data_offsets"][0] for key, about in header.items() if key != "__metadata__"}
