"""A network that OpenVINO compiled for the CPU, which needs neither torch nor timm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino

from wen.config.params import Compute

Logits = Callable[[np.ndarray], np.ndarray]
"""From 8-bit RGB images of shape (n, size, size, 3) to logits of shape (n, networks), float32."""


def compiled(xml: bytes | Path, constants: bytes | Path, options: Compute) -> Logits:
    """Compile what `wen.network.graph.joined` wrote, for float32 and ``compute.threads``.

    Parameters
    ----------
    xml, constants : bytes or Path
        Or the files that hold them.
    options : Compute
    """
    core = openvino.Core()
    held = openvino.Tensor(np.frombuffer(constants, np.uint8)) if isinstance(constants, bytes) else constants
    network = core.compile_model(
        core.read_model(xml, held),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": options.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # or two processes share one core
        },
    )

    def logits(images: np.ndarray) -> np.ndarray:
        found: np.ndarray = network(images, share_inputs=True)[0].copy()
        if len(found) != len(images):  # which OpenVINO does not say
            raise MemoryError("OpenVINO")
        return found

    return logits
