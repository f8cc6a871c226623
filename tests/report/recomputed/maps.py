"""How much of the class-activation maps lies on the cell."""

import io
from typing import Any

import numpy as np
from PIL import Image

from recomputed.source import Source


def maps(source: Source) -> dict[str, Any]:
    """Where the weight of every test image's map lies."""
    focus, shown = source.focus, pictures(source)
    total = sum(
        weight * model["test_map"].astype(float)
        for weight, model in zip(focus.about.get("weight", [1.0]), focus.members, strict=True)
    )
    inside, size = [], []
    for id, values, called in zip(source.cells.id, np.asarray(total), focus.probability >= 0.5, strict=True):
        cell = (shown[id] > 16).any(axis=2)
        size.append(cell.mean())
        signed = (values if called else -values).astype(np.float32)
        large = np.asarray(Image.fromarray(signed).resize(cell.shape[::-1], Image.Resampling.BICUBIC), float)
        positive = np.maximum(large, 0)
        if positive.sum() > 0:
            inside.append(positive[cell].sum() / positive.sum())
    return {
        "images": len(size), "weighted": len(inside), "on_black": int((np.array(inside) < 0.5).sum()),
        "inside": np.median(inside), "cell": np.median(size),
    }  # fmt: skip


def pictures(source: Source) -> dict[str, np.ndarray]:
    """Each test image's thumbnail; a pixel of which no colour is above 16 is background."""
    with np.load(source.root / "data/test-cells.npz") as arrays:
        ends = arrays["end"].tolist()
        content, ids = arrays["content"].tobytes(), arrays["id"].tolist()
    return {
        id: np.asarray(Image.open(io.BytesIO(content[begin:end])).convert("RGB"))
        for id, begin, end in zip(ids, [0, *ends], ends, strict=False)
    }
