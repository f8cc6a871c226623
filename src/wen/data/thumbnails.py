"""The first, cheap step of the search for near-copies: compare small grey thumbnails of all pairs of cells.

A thumbnail is centred on its cell, wherever that is in the frame. What all cells share, a dark disc on black, is
subtracted before the comparison: unlike cells hardly correlate, and copies do in spite of brightness, noise or
compression. A cell that was cropped again has another centre, but mostly still shares a corner of its bounding box.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from wen.data.symmetry import TURNS, turned

SIDE = 24  # px
FINER = 4  # times, before the mean over squares is taken
WINDOW = 0.75  # of the frame
CORNER = 0.27  # of the frame: how far the corner of the cell's bounding box is from the middle of its thumbnail
LOCAL = 5  # px of a thumbnail, over which a texture's mean is 0
ALIKE = 0.6  # least correlation of two textures; of copies cut smaller by a tenth of their radius, 19 in 20 have more
ALIKE_INSIDE = 0.8  # the same well inside both; of C-NMC's copies all have more, of unlike cells 1 pair in 100,000
FLAT = 0.25  # grey levels of standard deviation; a cell with less has no texture to tell it by
NEIGHBOURS = 50  # proposals an image and turn, the most alike; bounds the work where all images are alike
BACKGROUND = 16  # grey levels; nearer to the border's grey level is no cell, as are the specks that JPEG leaves there
WELL_INSIDE = 230  # of 255: cover of a pixel away from the rim, which JPEG and another cut change
CLIP = 1.5  # standard deviations; a dark rim, which another cut takes away, is not to outweigh the texture
LENGTH = 4000  # of a texture as a vector; products are below 2**24, so float32 adds them up exactly, in any order
ROWS = 512  # compared with all others at once

_dot = partial(np.einsum, "kp,kp->k")


@dataclass(frozen=True)
class Thumbnails:
    """A frame's five thumbnails, the middle's and the corners': shape (5, SIDE, SIDE)."""

    texture: np.ndarray
    """Grey levels of the cell less their local mean, in sixteenths, int16."""
    cover: np.ndarray
    """How much of the pixel is cell, of 255, uint8."""


def inside(grey: np.ndarray) -> np.ndarray:
    """Where a frame shows its cell: unlike the grey level of its border; everywhere if the border is not uniform."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    off = np.abs(np.arange(256) - int(np.median(border))) > BACKGROUND
    return off[grey] if off[border].mean() < 0.25 else np.ones(grey.shape, dtype=bool)


def thumbnails(grey: np.ndarray, side: int) -> Thumbnails:
    """Draw the thumbnails of a frame, of shape (height, width), uint8.

    ``side`` is that of the data set's frames, px: of it the window and the corners are shares, so that all thumbnails
    have one scale.
    """
    cell = inside(grey)
    rows, columns = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
    if not len(rows):
        return Thumbnails(*(np.zeros((5, SIDE, SIDE), dtype) for dtype in (np.int16, np.uint8)))
    y, x = (np.average(np.arange(len(count)) + 0.5, weights=count) for count in (cell.sum(axis=1), cell.sum(axis=0)))
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


def proposals(drawn: Sequence[Thumbnails]) -> Iterator[tuple[int, int, int]]:
    """Propose pairs that may be copies.

    Parameters
    ----------
    drawn : sequence of Thumbnails

    Yields
    ------
    one, other, turn : int
        Positions in the sequence, one < other, and the turn that maps the other's cell onto the one's. A triple may be
        yielded repeatedly.
    """
    if len(drawn) < 2:
        return
    texture = np.stack([thumbnail.texture for thumbnail in drawn], axis=1)
    cover = np.stack([thumbnail.cover for thumbnail in drawn], axis=1)
    vectors = np.stack([_vectors(*place) for place in zip(texture, cover, strict=True)])
    for turn in TURNS:
        corners = turned(np.arange(1, 5).reshape(2, 2), turn).ravel()
        for place, source in enumerate([0, *corners]):
            sides = (texture[place], cover[place]), (texture[source], cover[source])
            others = _turned(vectors[source], turn).reshape(len(drawn), -1).astype(np.float32)
            for start in range(0, len(drawn), ROWS):
                ones = vectors[place, start : start + ROWS].reshape(-1, SIDE * SIDE).astype(np.float32)
                alike = ones @ others[start:].T >= ALIKE * LENGTH**2
                one, other = (k + start for k in np.divmod(np.flatnonzero(alike), alike.shape[1]))
                one, other = one[one < other], other[one < other]
                for k in _most_alike(one, _alike_inside(*sides, one, other, turn)):
                    yield int(one[k]), int(other[k]), turn


def _small(frame: Image.Image, y: float, x: float, reach: float) -> np.ndarray:
    """Scale the square around a point to SIDE px; black outside the frame."""
    fine = FINER * SIDE
    box = (x - reach, y - reach, x + reach, y + reach)
    drawn = frame.transform((fine, fine), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return np.asarray(drawn).reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3))


def _vectors(texture: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Textures, 0 outside the cell, as integer vectors of equal length: shape (n, SIDE, SIDE), int16."""
    vectors = np.zeros(texture.shape, dtype=np.int16)
    for k, (levels, weight) in enumerate(zip(texture / 16, cover.astype(float), strict=True)):
        spread = np.sqrt((weight * levels**2).sum() / max(weight.sum(), 1))
        levels = weight * np.clip(levels, -CLIP * spread, CLIP * spread)
        if spread > FLAT:
            vectors[k] = np.rint(LENGTH / np.linalg.norm(levels) * levels)
    return vectors


def _turned(images: np.ndarray, turn: int) -> np.ndarray:
    return turned(images.transpose(1, 2, 0), turn).transpose(2, 0, 1)


def _alike_inside(
    one_side: tuple[np.ndarray, np.ndarray],
    other_side: tuple[np.ndarray, np.ndarray],
    one: np.ndarray,
    other: np.ndarray,
    turn: int,
) -> np.ndarray:
    """Correlation of pairs well inside both cells; a side is texture and cover."""
    result = np.zeros(len(one))
    for start in range(0, len(one), ROWS):
        chunk = slice(start, start + ROWS)
        ones, cover = (part[one[chunk]].reshape(-1, SIDE * SIDE) for part in one_side)
        others, other_cover = (_turned(part[other[chunk]], turn).reshape(-1, SIDE * SIDE) for part in other_side)
        shared = np.minimum(cover, other_cover)
        weight = np.where(shared > WELL_INSIDE, shared, 0).astype(np.float32)
        a, b = ones.astype(np.float32), others.astype(np.float32)
        total = np.maximum(weight.sum(axis=1), 1)
        mean_a, mean_b = _dot(weight, a) / total, _dot(weight, b) / total
        weighted_a, weighted_b = weight * a, weight * b
        square_a = _dot(weighted_a, a) - total * mean_a**2
        square_b = _dot(weighted_b, b) - total * mean_b**2
        result[chunk] = (_dot(weighted_a, b) - total * mean_a * mean_b) / np.sqrt(np.maximum(square_a * square_b, 1))
    return result


def _most_alike(one: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Choose the pairs to keep: alike enough, and at most NEIGHBOURS for each image."""
    kept = np.flatnonzero(alike >= ALIKE_INSIDE)
    kept = kept[np.lexsort((-alike[kept], one[kept]))]
    rank = np.arange(len(kept)) - np.searchsorted(one[kept], one[kept])
    return kept[rank < NEIGHBOURS]
