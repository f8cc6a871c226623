"""Draw pairs of copies side by side, for a visual check."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from wen.data import images
from wen.data.copies import most_doubtful
from wen.data.symmetry import turned
from wen.data.thumbnails import inside
from wen.files import write_json

SHOWN = 40  # pairs
SIDE = 96  # px of a cell
GAP = 4  # px
MARGIN = 1.1  # times the larger cell
BILINEAR = Image.Resampling.BILINEAR
PAIRS = "pairs.json"


def draw(index: pd.DataFrame, copies: pd.DataFrame, root: Path, folder: Path) -> None:
    """Draw the pairs that most need a visual check, and list them in pairs.json.

    Parameters
    ----------
    index, copies : DataFrame
        data/index.csv and data/copies.csv.
    root : Path
        Folder that the paths in the index are relative to.
    folder : Path
        Is created, with 0.png, 1.png, ... and pairs.json: one row per picture, and ``rest``, the number of pairs
        without one.
    """
    folder.mkdir()
    shown = most_doubtful(index, copies, SHOWN)
    path, subject, label = (dict(zip(index.id, index[name], strict=True)) for name in ("path", "subject", "label"))
    rows: list[dict[Hashable, Any]] = []
    for number, pair in enumerate(shown.to_dict("records")):
        ids = (pair["one"], pair["other"])
        one, other = (np.asarray(images.read(root / path[id])) for id in ids)
        picture = _side_by_side(one, turned(other, pair["turn"]))
        Image.fromarray(picture).save(folder / f"{number}.png")
        subjects, labels = ([column[id] for id in ids] for column in (subject, label))
        rows.append({**pair, "subjects": subjects, "labels": labels, "picture": f"{number}.png"})
    write_json(folder / PAIRS, {"pairs": rows, "rest": len(copies) - len(shown)})


def _side_by_side(*frames: np.ndarray) -> np.ndarray:
    """Crop both cells at the same scale; an array of shape (SIDE, 2 SIDE + GAP, 3)."""
    boxes = [_box(frame) for frame in frames]
    half = max(end - start for box in boxes for start, end in box) * MARGIN / 2
    picture = np.full((SIDE, 2 * SIDE + GAP, 3), 255, dtype=np.uint8)
    for k, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
        y, x = (sum(side) / 2 for side in box)
        area = (x - half, y - half, x + half, y + half)
        cell = Image.fromarray(frame).transform((2 * SIDE, 2 * SIDE), Image.Transform.EXTENT, area, BILINEAR)
        picture[:, k * (SIDE + GAP) :][:, :SIDE] = np.asarray(cell.reduce(2))
    return picture


def _box(frame: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of rows and of columns (end exclusive) of the cell in a frame; all of the frame if it shows no cell."""
    cell = inside(np.asarray(Image.fromarray(frame).convert("L")))
    cell = cell if cell.any() else ~cell
    filled = (np.flatnonzero(cell.any(axis=axis)) for axis in (1, 0))
    return [(int(places[0]), int(places[-1]) + 1) for places in filled]
