"""Run only OpenVINO on the frozen network: python openvino_forward.py MODEL.xml BATCH SIZE THREADS SECONDS

Prints JSON: seconds of each batch of images, and the means of the maps for a batch that counts up from 0.
"""

import json
import sys
import time

import numpy as np


def main(model: str, batch: int, size: int, threads: int, enough: float) -> None:
    sys.modules["openvino_telemetry"] = None  # sends usage data
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    count = batch * size * size * 3
    images = (np.arange(count, dtype=np.float32) % 251 / 250).reshape(batch, size, size, 3)
    output = compiled(images)[0]
    compiled(images)
    seconds, start = [], time.perf_counter()
    while len(seconds) < 3 or time.perf_counter() - start < enough:
        begin = time.perf_counter()
        compiled(images)
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"seconds": seconds, "output": output.mean(axis=(1, 2))[:, :8].tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]))
