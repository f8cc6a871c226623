"""Only decode images and run OpenVINO on them: python openvino_features.py MODEL.xml CROP SIZE THREADS PASSES

Reads the images' paths from standard input. PASSES is the number of forward passes of one image, in batches of 32.
Prints JSON: seconds, and the means of the last maps of the first images.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

BATCH = 32


def main(model: str, crop: int, size: int, threads: int, passes: int) -> None:
    sys.modules["openvino_telemetry"] = None  # sends usage data
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    begin = time.perf_counter()
    compiled = openvino.Core().compile_model(model, "CPU", options)

    def decoded(path: str) -> np.ndarray:
        image = Image.open(path)
        left, top = ((side - crop) // 2 for side in image.size)
        image = image.crop((left, top, left + crop, top + crop))
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))

    with ThreadPoolExecutor(threads) as pool:
        images = np.stack(list(pool.map(decoded, sys.stdin.read().splitlines())))
    output = compiled(images[:BATCH] / np.float32(255))[1].mean(axis=(1, 2))
    for first in range(BATCH, passes, BATCH):
        rows = np.arange(first, min(first + BATCH, passes)) % len(images)
        compiled(images[rows] / np.float32(255))
    print(json.dumps({"seconds": time.perf_counter() - begin, "output": output.tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
