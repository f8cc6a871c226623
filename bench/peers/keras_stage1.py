"""Stage 1 of one model in Keras 3: EfficientNetV2M with a frozen base, and fit.

    python keras_stage1.py FOLDER

FOLDER contains weights.npz (the base's tensors in order, in PyTorch's layout), head.npy, views.npy (epochs, images,
height, width, 3; normalised, in the order of training), labels.npy (epochs, images), class_weights.npy,
validation.npy, validation_labels.npy, and task.json (lr, batch_size, threads). The images are already decoded and
augmented, which this peer would also have to do. Prints JSON: seconds and validation loss of each epoch.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import keras
import tensorflow as tf


def main(folder: Path) -> None:
    task = json.loads((folder / "task.json").read_text())
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    size = arrays["views"].shape[2]
    base = keras.applications.EfficientNetV2M(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg", include_preprocessing=False
    )
    _take(base, dict(np.load(folder / "weights.npz")))
    base.trainable = False
    for layer in base.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # fit also drops blocks of a frozen base, whatever training= is
    inputs = keras.Input((size, size, 3))
    head = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(inputs, head(base(inputs, training=False)))
    head.set_weights([arrays["head"].T, np.zeros(1, "float32")])
    model.compile(keras.optimizers.Adam(task["lr"], epsilon=1e-8), "binary_crossentropy")
    validation = (arrays["validation"], arrays["validation_labels"])
    weights = dict(enumerate(arrays["class_weights"].tolist()))
    seconds, losses = [], []
    for images, labels in zip(arrays["views"], arrays["labels"], strict=True):
        begin = time.perf_counter()
        history = model.fit(
            images, labels, task["batch_size"], shuffle=False, class_weight=weights, verbose=0,
            validation_data=validation, validation_batch_size=task["batch_size"],
        )  # fmt: skip
        seconds.append(time.perf_counter() - begin)
        losses.append(history.history["val_loss"][0])
    print(json.dumps({"seconds": seconds, "losses": losses}))


def _take(base: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Give each Keras layer PyTorch's tensors; both networks list them in the order of the forward pass."""
    tensors = list(weights.values())
    for layer in base.layers:
        current = layer.get_weights()
        taken, tensors = tensors[: len(current)], tensors[len(current) :]
        layer.set_weights([_as_keras(value, layer) if value.ndim == 4 else value for value in taken])
    if tensors:
        raise ValueError(f"{len(tensors)} tensors are left over")


def _as_keras(kernel: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    return kernel.transpose((2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
