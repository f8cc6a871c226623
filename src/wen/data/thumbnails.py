"""Small grey thumbnails of cells, of which the search for near-copies compares all pairs.

A thumbnail is centred on its cell, wherever that is in the frame. What all cells share, a dark disc on black, is
subtracted. A cell that was cropped again has another centre, but mostly still shares a corner of its bounding box.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

SIDE = 24  # px
FINER = 4  # times, before the mean over squares is taken
WINDOW = 0.75  # of the frame
CORNER = 0.27  # of the frame: how far the corner of the cell's bounding box is from the middle of its thumbnail
LOCAL = 5  # px of a thumbnail, over which a texture's mean is 0
BACKGROUND = 16  # grey levels; nearer to the border's grey level is no cell, as are the specks that JPEG leaves there


@dataclass(frozen=True)
class Thumbnails:
    """A frame's five thumbnails, the middle's and the corners': shape (5, SIDE, SIDE)."""

    texture: np.ndarray
    """Grey levels of the cell less their local mean, in sixteenths, int16."""
    cover: np.ndarray
    """How much of the pixel is cell, of 255, uint8."""


def inside(grey: np.ndarray) -> np.ndarray:
    """Where a frame shows its cell: unlike the grey level of its border; everywhere if the border is not uniform."""
    background = int(np.median(_border(grey)))
    cell = np.abs(grey.astype(np.int16) - background) > BACKGROUND
    return cell if _border(cell).mean() < 0.25 else np.ones(grey.shape, dtype=bool)


def _border(frame: np.ndarray) -> np.ndarray:
    return np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])


def thumbnails(grey: np.ndarray, side: int) -> Thumbnails:
    """Draw the thumbnails of a frame, of shape (height, width), uint8.

    ``side`` is that of the data set's frames, px: of it the window and the corners are shares, so that all thumbnails
    have one scale.
    """
    cell = inside(grey)
    counts = [cell.sum(axis=axis, dtype=np.uint32) for axis in (1, 0)]
    rows, columns = (np.flatnonzero(count) for count in counts)
    if not len(rows):
        return Thumbnails(*(np.zeros((5, SIDE, SIDE), dtype) for dtype in (np.int16, np.uint8)))
    y, x = (np.average(np.arange(len(count)) + 0.5, weights=count) for count in counts)
    ys, xs = ((places[0] + CORNER * side, places[-1] + 1 - CORNER * side) for places in (rows, columns))
    middles = [(y, x), *((y, x) for y in ys for x in xs)]
    scale = max(side // (6 * SIDE), 1)
    planes = grey * cell, 255 * cell.astype(np.uint8)
    frames = [Image.fromarray(plane).reduce(scale).convert("F") for plane in planes]
    levels, cover = (
        np.stack([_small(frame, y / scale, x / scale, WINDOW * side / 2 / scale) for y, x in middles])
        for frame in frames
    )
    local, local_cover = (uniform_filter(stack, (0, LOCAL, LOCAL), mode="constant") for stack in (levels, cover))
    texture = 255 * (levels / np.maximum(cover, 2) - local / np.maximum(local_cover, 2)) * (cover > 2)
    return Thumbnails(np.rint(16 * texture).astype(np.int16), np.rint(cover).astype(np.uint8))


def _small(frame: Image.Image, y: float, x: float, reach: float) -> np.ndarray:
    """Scale the square around a point to SIDE px; black outside the frame."""
    fine = FINER * SIDE
    box = (x - reach, y - reach, x + reach, y + reach)
    drawn = frame.transform((fine, fine), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return np.asarray(drawn).reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3))
