"""Run a network on the CPU with OpenVINO, without importing torch or timm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino

from wen.config.params import Compute

Logits = Callable[[np.ndarray], np.ndarray]
"""Maps 8-bit RGB images of shape (n, size, size, 3) to float32 logits of shape (n, networks)."""
Run = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""Maps the input of a model to its outputs."""


def compiled(xml: bytes | Path, constants: bytes | Path, options: Compute) -> Logits:
    """Compile the graph that `wen.network.graph.joined` returns, in float32 on ``compute.threads`` threads.

    Parameters
    ----------
    xml, constants : bytes or Path
        The two parts of the graph, or the files that contain them.
    options : Compute
    """
    weights = openvino.Tensor(np.frombuffer(constants, np.uint8)) if isinstance(constants, bytes) else constants
    network = on_cpu(openvino.Core().read_model(xml, weights), options.threads)
    return lambda images: network(images)[0]


def on_cpu(model: openvino.Model, threads: int, precision: str = "f32") -> Run:
    """Compile a model, and return a function that computes its outputs for a batch of images."""
    network = openvino.Core().compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "ENABLE_CPU_PINNING": False,  # pinned, two processes would compete for one core
        },
    )

    def run(images: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = tuple(output.copy() for output in network(images, share_inputs=True).values())
        if any(len(output) != len(images) for output in outputs):  # OpenVINO does not report that it ran out of memory
            raise MemoryError("OpenVINO")
        return outputs

    return run
