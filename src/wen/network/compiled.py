"""Run a network on the CPU with OpenVINO, without importing torch or timm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino

from wen.config.params import Compute

Logits = Callable[[np.ndarray], np.ndarray]
"""Maps 8-bit RGB images of shape (n, size, size, 3) to float32 logits of shape (n, networks)."""


def compiled(xml: bytes | Path, constants: bytes | Path, options: Compute) -> Logits:
    """Compile the graph that `wen.network.graph.joined` returns, in float32 on ``compute.threads`` threads.

    Parameters
    ----------
    xml, constants : bytes or Path
        The two parts of the graph, or the files that contain them.
    options : Compute
    """
    core = openvino.Core()
    weights = openvino.Tensor(np.frombuffer(constants, np.uint8)) if isinstance(constants, bytes) else constants
    network = core.compile_model(
        core.read_model(xml, weights),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": options.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # pinned, two processes would compete for one core
        },
    )

    def logits(images: np.ndarray) -> np.ndarray:
        output: np.ndarray = network(images, share_inputs=True)[0].copy()
        if len(output) != len(images):  # OpenVINO does not report that it ran out of memory
            raise MemoryError("OpenVINO")
        return output

    return logits
