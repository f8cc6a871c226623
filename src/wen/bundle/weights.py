"""weights.safetensors: the members' weights, of which those that all share stand once."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

from wen.config.params import Backbone
from wen.network import backbone
from wen.network.weights_file import Weights

CONSTANTS = "openvino.constants"
"""Shapes and the like, which classifier.xml refers to besides the weights."""
PLACE = re.compile(rb'(?<= offset=")(\d+)(" size=")(\d+)(?=")')
"""Where OpenVINO's XML refers to the bytes of a constant."""


def of_members(networks: Sequence[nn.Module], names: Sequence[str]) -> Weights:
    """Name the weights of networks: by timm's names where all have equal ones, else ``MEMBER/NAME``."""
    states = [network.state_dict() for network in networks]
    weights: Weights = {}
    for key, first in states[0].items():
        if all(torch.equal(first, state[key]) for state in states):
            weights[key] = first
        else:
            weights |= {f"{name}/{key}": state[key] for name, state in zip(names, states, strict=True)}
    return weights


def load(path: Path, names: Sequence[str], options: Backbone, size: int, where: torch.device) -> list[nn.Module]:
    """Build the members' networks by timm, for inference on a device."""
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


def write(weights: Weights, xml: bytes, constants: bytes, path: Path) -> bytes:
    """Write weights, and give the XML that refers to this file in place of its own constants.

    Parameters
    ----------
    weights : dict
    xml, constants : bytes
        As `wen.network.assembly.to_openvino` gives them. A constant that is no weight is written besides.
    path : Path
    """
    tensors = {key: tensor.contiguous().cpu() for key, tensor in weights.items()}
    weight_of = {_digest(_bytes(tensor)): key for key, tensor in reversed(tensors.items())}
    others = _others([constants[begin : begin + size] for begin, size in _places(xml)], set(weight_of))
    tensors[CONSTANTS] = torch.from_numpy(np.frombuffer(b"".join(others), np.int64).copy())
    path.write_bytes(safetensors.torch.save(tensors))
    begins = _begins(path)
    place = {digest: begins[key] for digest, key in weight_of.items()}
    at = begins[CONSTANTS]
    for padded, digests in others.items():
        place |= dict.fromkeys(digests, at)
        at += len(padded)

    def referring(match: re.Match[bytes]) -> bytes:
        begin, size = int(match[1]), int(match[3])
        return b"%d" % place[_digest(constants[begin : begin + size])] + match[2] + match[3]

    return PLACE.sub(referring, xml)


def _places(xml: bytes) -> list[tuple[int, int]]:
    return [(int(match[1]), int(match[3])) for match in PLACE.finditer(xml)]


def _others(constants: list[bytes], known: set[str]) -> dict[bytes, list[str]]:
    """Constants that are no weights, each filled up to whole eight bytes, and the digests of what it begins with."""
    others: dict[bytes, list[str]] = {}
    for constant in constants:
        digest = _digest(constant)
        if digest not in known:
            digests = others.setdefault(constant.ljust(-(-len(constant) // 8) * 8, b"\0"), [])
            digests += [digest] * (digest not in digests)
    return others


def _begins(path: Path) -> dict[str, int]:
    """Where in a safetensors file each tensor begins, in bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {key: 8 + length + about["data_offsets"][0] for key, about in header.items() if key != "__metadata__"}


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
