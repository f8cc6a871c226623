"""Hard test cells for a visual check, and where the class-activation maps of all test cells have their weight."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from wen.config.paths import Paths
from wen.data.gallery import png, read
from wen.data.outliers import not_black
from wen.ensemble.temperature import scale
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.study import Classifier, Study

SHOWN = 6
FULL = 0.95  # share of the frame; cells that fill more have no black background, so nothing can be measured
PURPLE, GREEN = (123, 45, 139), (27, 158, 119)


def gallery(study: Study, paths: Paths) -> dict[str, list[dict[str, Any]]]:
    """Select hard cells and draw them with their class-activation maps.

    Returns
    -------
    dict
        Under ``fn``, ``fp`` and ``disputed`` up to `SHOWN` cells each: ``id``, ``subject``, ``label``, ``probability``,
        ``members`` (name, and probability as it is averaged), and the data URIs ``image`` and ``map``; the latter is
        None if the members have no class-activation map.
    """
    pictures = read(paths.test_cells)
    return {kind: [_cell(study, k, pictures) for k in rows.tolist()] for kind, rows in choose(study).items()}


def choose(study: Study) -> dict[str, np.ndarray]:
    """Select the cells to show, each once; returns their positions in the test set.

    ``fn`` and ``fp`` are the most confident errors, ``disputed`` the cells on which the members differ most.
    """
    focus = study.focus
    wrong = np.flatnonzero(study.right(focus) == 0)
    confident = wrong[np.argsort(-np.abs(focus.probability[wrong] - 0.5), kind="stable")]
    missed = confident[study.label[confident] == 1][:SHOWN]
    alarms = confident[study.label[confident] == 0][:SHOWN]
    spread = _averaged(focus).std(axis=0)
    disputed = np.argsort(-spread, kind="stable")
    disputed = disputed[(spread[disputed] > 0) & ~np.isin(disputed, [*missed, *alarms])][:SHOWN]
    return {"fn": missed, "fp": alarms, "disputed": disputed}


def on_cells(study: Study, paths: Paths) -> dict[str, Any] | None:
    """Measure the share of each class-activation map that lies on the cell rather than on the black background.

    Returns
    -------
    dict or None
        ``images``, their number; ``weighted``, the number whose map has positive weight for the predicted class; among
        these, ``on_black``, the number with less than half of the weight inside the cell, and ``inside``, the median
        share inside the cell (None if there are none); ``cell``, the median share of the frame that the cell fills.
        None if the members have no maps, or the images no black background.
    """
    focus = study.focus
    maps = np.stack([member.test_map for member in focus.members]).astype(np.float64)
    if not maps.size:
        return None
    combined = (focus.weight[:, None, None, None] * maps).sum(axis=0)
    signs = np.where(decide(focus.probability) == 1, 1.0, -1.0)
    pictures, rows = read(paths.test_cells), []
    for id, values, sign in zip(study.cells.id, combined, signs, strict=True):
        cell = not_black(np.asarray(_picture(pictures, id)))
        rows.append((inside(sign * values, cell), cell.mean()))
    shares, sizes = np.array(rows).T
    if np.median(sizes) > FULL:
        return None
    shares = shares[~np.isnan(shares)]
    return {
        "images": len(sizes),
        "weighted": len(shares),
        "on_black": int((shares < 0.5).sum()),
        "inside": float(np.median(shares)) if len(shares) else None,
        "cell": float(np.median(sizes)),
    }


def inside(values: np.ndarray, cell: np.ndarray) -> float:
    """Return the share of a map's weight above 0 that is inside the cell, after enlarging the map as `overlay` does.

    Parameters
    ----------
    values : ndarray of shape (h, w)
        A class-activation map; positive values are evidence for the class in question.
    cell : ndarray of shape (height, width)
        Whether a pixel shows the cell.

    Returns
    -------
    float
        NaN if no weight is above 0.
    """
    weight = _enlarged(values, (cell.shape[1], cell.shape[0])).astype(np.float64).clip(min=0)
    total = float(weight.sum())
    return float(weight[cell].sum() / total) if total > 0 else float("nan")


def overlay(picture: Image.Image, values: np.ndarray) -> Image.Image:
    """Lay a class-activation map over a cell, purple above 0 (the positive class) and green below.

    Parameters
    ----------
    picture : Image
    values : ndarray of shape (height, width)
        Enlarged bicubically. The largest absolute value is the most opaque.
    """
    strength = _enlarged(values, picture.size) / max(float(np.abs(values).max()), 1e-9)
    colour = np.where(strength[..., None] > 0, PURPLE, GREEN)
    opacity = 0.65 * np.abs(strength).clip(0, 1)[..., None]
    cell = np.asarray(picture, dtype=np.float64)
    return Image.fromarray((cell * (1 - opacity) + colour * opacity).round().astype(np.uint8))


def png_uri(content: bytes) -> str:
    """Return the bytes of a PNG as a data URI, so that the page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge a map bicubically to a width and height in px."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))


def _picture(pictures: Mapping[str, Image.Image], id: str) -> Image.Image:
    if id not in pictures:
        raise WenError(f"data/test-cells.npz: contains no image of {id}; run `dvc repro`")
    return pictures[id]


def _averaged(focus: Classifier) -> np.ndarray:
    """Return the probabilities that a classifier averages, its members' after temperature scaling: (members, n)."""
    return scale(np.stack([member.test_probability for member in focus.members]), focus.temperature[:, None])


def _cell(study: Study, k: int, pictures: Mapping[str, Image.Image]) -> dict[str, Any]:
    focus, cell = study.focus, study.cells.iloc[k]
    maps = np.stack([member.test_map[k].astype(np.float64) for member in focus.members])
    picture = _picture(pictures, cell.id)
    return {
        "id": cell.id,
        "subject": cell.subject,
        "label": study.params.dataset.classes[cell.label],
        "probability": float(focus.probability[k]),
        "members": [
            (member.name, float(value)) for member, value in zip(focus.members, _averaged(focus)[:, k], strict=True)
        ],
        "image": png_uri(png(picture)),
        "map": png_uri(png(overlay(picture, np.tensordot(focus.weight, maps, axes=1)))) if maps.size else None,
    }
