"""Build an OpenVINO graph of a classifier's networks from their weights, without torch or timm.

The architecture is the same for all models of a study, so the stage ``features`` writes it once, without weights, to
models/graph.json.
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
"""Weights by their names in timm."""
PLACE = re.compile(rb'(?<= offset=")(\d+)(" size=")(\d+)(?=")')
"""Matches the offset and the size of a constant, in bytes, in OpenVINO's XML."""


@dataclass(frozen=True)
class Part:
    """Part of a network, without its weights. The field names are keys of models/graph.json."""

    xml: str
    """The graph in OpenVINO's XML, which refers to constants by their byte offsets."""
    length: int
    """Total size of the constants, in bytes."""
    weights: list[tuple[int, str]]
    """Offset and name of each weight."""
    others: list[tuple[int, str]]
    """Offset and bytes (hexadecimal) of each constant that is not a weight."""

    def model(self, weights: Arrays) -> Any:
        """Return an ``openvino.Model`` of the part with the given weights."""
        import openvino

        constants = np.zeros(self.length, np.uint8)
        contents = [(begin, weights[name].tobytes()) for begin, name in self.weights]
        contents += [(begin, bytes.fromhex(text)) for begin, text in self.others]
        for begin, content in contents:
            constants[begin : begin + len(content)] = np.frombuffer(content, np.uint8)
        return openvino.Core().read_model(self.xml.encode(), openvino.Tensor(constants))


@dataclass(frozen=True)
class Graph:
    """A network in two parts: 8-bit RGB images to activations at the cut, and activations to a logit."""

    trunk: Part
    tail: Part


def write(graph: Graph | None, path: Path) -> None:
    """Write models/graph.json; None stands for a network that cannot be traced."""
    write_json(path, asdict(graph) if graph else {})


def read(path: Path) -> Graph | None:
    """Read models/graph.json; None if the network cannot be traced.

    Raises
    ------
    WenError
        If the file is missing or damaged.
    """
    content = read_json(path)
    return Graph(**{name: Part(**part) for name, part in content.items()}) if content else None


def joined(graph: Graph, networks: Sequence[Arrays]) -> tuple[bytes, bytes]:
    """Join several networks into one graph: the shared trunk, followed by the tail of each network.

    The graph maps 8-bit RGB images of shape (n, size, size, 3) to logits of shape (n, networks). Equal weights give
    equal bytes. A model read back from these bytes differs from the joined model in the last digits of its logits, so
    both the study and its bundle run the model that was read back.

    Parameters
    ----------
    graph : Graph
    networks : sequence of mappings
        The weights of each network; those before the cut must be equal.

    Returns
    -------
    tuple of bytes
        OpenVINO's XML, and the constants that it refers to.
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
    logits.output(0).set_names({"logits"})  # the default name depends on earlier conversions
    return serialize(openvino.Model([opset13.result(logits)], trunk.get_parameters()))


def places(xml: bytes) -> list[tuple[int, int]]:
    """Return the offset and the size, in bytes, of each constant that OpenVINO's XML refers to."""
    return [(int(match[1]), int(match[3])) for match in PLACE.finditer(xml)]


def serialize(model: Any) -> tuple[bytes, bytes]:
    """Serialise an OpenVINO model to XML and constants, with layers named by their number.

    OpenVINO's own layer names depend on how many models the process has converted before.
    """
    import openvino

    with tempfile.TemporaryDirectory() as name:
        path, constants = Path(name, "model.xml"), Path(name, "model.bin")
        openvino.serialize(model, path, constants)
        xml = path.read_bytes()
        xml = re.sub(rb'<net name="[^"]*"', b'<net name="classifier"', xml)
        xml = re.sub(rb'<attribute name="fused_names"[^>]*/>', b"", xml)
        return re.sub(rb'<layer id="(\d+)" name="[^"]*"', rb'<layer id="\1" name="\1"', xml), constants.read_bytes()
