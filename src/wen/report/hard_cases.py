"""Hard cases for a person to look at: the most confident mistakes and the most disputed cells, with activation maps."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from wen.config.paths import Paths
from wen.data.gallery import png, read
from wen.errors import WenError
from wen.results import Study

SHOWN = 6
PURPLE, GREEN = (123, 45, 139), (27, 158, 119)


def gallery(study: Study, paths: Paths) -> dict[str, list[dict[str, Any]]]:
    """Choose cells and draw them.

    Returns
    -------
    dict
        Under ``fn``, ``fp`` and ``disputed`` up to `SHOWN` cells each: ``id``, ``subject``, ``label``, ``probability``,
        ``members`` (name and probability), and the data URIs ``image`` and ``map``; the latter is None if the members
        have no class-activation map.
    """
    pictures = read(paths.test_cells)
    return {kind: [_cell(study, k, pictures) for k in rows.tolist()] for kind, rows in choose(study).items()}


def choose(study: Study) -> dict[str, np.ndarray]:
    """Positions, in the test set, of the cells to show; none is shown twice."""
    focus = study.focus
    wrong = np.flatnonzero(study.right(focus) == 0)
    confident = wrong[np.argsort(-np.abs(focus.probability[wrong] - 0.5), kind="stable")]
    missed = confident[study.label[confident] == 1][:SHOWN]
    alarms = confident[study.label[confident] == 0][:SHOWN]
    spread = np.stack([member.test_probability for member in focus.members]).std(axis=0)
    disputed = np.argsort(-spread, kind="stable")
    disputed = disputed[(spread[disputed] > 0) & ~np.isin(disputed, [*missed, *alarms])][:SHOWN]
    return {"fn": missed, "fp": alarms, "disputed": disputed}


def overlay(picture: Image.Image, values: np.ndarray) -> Image.Image:
    """Lay a class-activation map over a cell, purple above 0 (ALL) and green below (HEM).

    Parameters
    ----------
    picture : Image
    values : ndarray of shape (height, width)
        Enlarged bicubically; its largest value in either direction is the most opaque.
    """
    smooth = Image.fromarray(values.astype(np.float32)).resize(picture.size, Image.Resampling.BICUBIC)
    strength = np.asarray(smooth) / max(float(np.abs(values).max()), 1e-9)
    colour = np.where(strength[..., None] > 0, PURPLE, GREEN)
    opacity = 0.65 * np.abs(strength).clip(0, 1)[..., None]
    cell = np.asarray(picture, dtype=np.float64)
    return Image.fromarray((cell * (1 - opacity) + colour * opacity).round().astype(np.uint8))


def png_uri(content: bytes) -> str:
    """The bytes of a PNG as a data URI, so that the page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _cell(study: Study, k: int, pictures: Mapping[str, Image.Image]) -> dict[str, Any]:
    focus, cell = study.focus, study.cells.iloc[k]
    if cell.id not in pictures:
        raise WenError(f"data/test-cells.npz: has no picture of {cell.id}; run `dvc repro`")
    maps = np.stack([member.test_map[k].astype(np.float64) for member in focus.members])
    picture = pictures[cell.id]
    return {
        "id": cell.id,
        "subject": cell.subject,
        "label": "ALL" if cell.label else "HEM",
        "probability": float(focus.probability[k]),
        "members": [(member.name, float(member.test_probability[k])) for member in focus.members],
        "image": png_uri(png(picture)),
        "map": png_uri(png(overlay(picture, np.tensordot(focus.weight, maps, axes=1)))) if maps.size else None,
    }
