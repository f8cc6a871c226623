"""The networks of a classifier as a graph of OpenVINO's, made of their weights without torch and timm.

What torch knows of a network besides its weights, which layers it has and how they follow each other, is the same for
all models of a study: stage ``features`` writes it once.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wen.files import read_json, write_json

Arrays = Mapping[str, np.ndarray]
"""Weights by timm's names."""
PLACE = re.compile(rb'(?<= offset=")(\d+)(" size=")(\d+)(?=")')
"""Where OpenVINO's XML refers to the bytes of a constant."""


@dataclass(frozen=True)
class Part:
    """A part of a network, whose weights are still to come."""

    xml: str
    """As OpenVINO writes it; constants are named by their place, in bytes."""
    length: int
    """Of all constants, in bytes."""
    weights: list[tuple[int, str]]
    """The place and the name of each weight."""
    others: list[tuple[int, str]]
    """The place and the bytes, in hexadecimal, of each other constant."""

    def model(self, weights: Arrays) -> Any:
        """Give the part its weights: an ``openvino.Model``."""
        import openvino

        constants = np.zeros(self.length, np.uint8)
        known = [(begin, weights[name].tobytes()) for begin, name in self.weights]
        for begin, content in [*known, *((begin, bytes.fromhex(text)) for begin, text in self.others)]:
            constants[begin : begin + len(content)] = np.frombuffer(content, np.uint8)
        return openvino.Core().read_model(self.xml.encode(), openvino.Tensor(constants))


@dataclass(frozen=True)
class Graph:
    """A network in two parts: 8-bit RGB images to activations at the cut, and these to a logit; see `Assembly`."""

    trunk: Part
    tail: Part


def write(graph: Graph | None, path: Path) -> None:
    """Write models/graph.json; None is a network that cannot be traced."""
    write_json(path, asdict(graph) if graph else {})


def read(path: Path) -> Graph | None:
    """Read models/graph.json; None if the network cannot be traced.

    Raises
    ------
    WenError
        If there is no such file, or it is damaged.
    """
    content = read_json(path)
    return Graph(**{name: Part(**part) for name, part in content.items()}) if content else None


def joined(graph: Graph, networks: Sequence[Arrays]) -> tuple[bytes, bytes]:
    """Join the trunk that networks share and the tail of each: in XML, and the constants that it refers to.

    It takes 8-bit RGB images of shape (n, size, size, 3), and gives logits of shape (n, networks). Equal weights give
    equal bytes. A model that is read from this computes other last digits than the one that was joined, so a study and
    a bundle of it both read it.

    Parameters
    ----------
    graph : Graph
    networks : sequence of mappings
        The weights of each, which are equal before the cut.
    """
    import openvino
    from openvino import opset13

    trunk = graph.trunk.model(networks[0])
    activations = trunk.get_results()[0].input_value(0)
    tails = [graph.tail.model(weights) for weights in networks]
    for tail in tails:
        for entry in tail.get_parameters()[0].output(0).get_target_inputs():
            entry.replace_source_output(activations)
    logits = opset13.concat([tail.get_results()[0].input_value(0) for tail in tails], 1)
    logits.output(0).set_names({"logits"})  # or it is called after what the process has made before
    return written(openvino.Model([opset13.result(logits)], trunk.get_parameters()))


def places(xml: bytes) -> list[tuple[int, int]]:
    """Where the constants are that OpenVINO's XML refers to, and how long they are, in bytes."""
    return [(int(match[1]), int(match[3])) for match in PLACE.finditer(xml)]


def written(model: Any) -> tuple[bytes, bytes]:
    """What OpenVINO writes of a model, XML and constants, with layers called by their number.

    Its own names count what the process has converted before.
    """
    import openvino

    with tempfile.TemporaryDirectory() as name:
        path, constants = Path(name, "model.xml"), Path(name, "model.bin")
        openvino.serialize(model, path, constants)
        xml = path.read_bytes()
        xml = re.sub(rb'<net name="[^"]*"', b'<net name="classifier"', xml)
        xml = re.sub(rb'<attribute name="fused_names"[^>]*/>', b"", xml)
        return re.sub(rb'<layer id="(\d+)" name="[^"]*"', rb'<layer id="\1" name="\1"', xml), constants.read_bytes()
