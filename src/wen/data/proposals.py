"""First, cheap step of the search for near-copies: compare the thumbnails of all pairs of cells.

The textures of different cells hardly correlate; those of copies do, in spite of brightness, noise or compression. All
sums are of integers, so the result does not depend on their order, and every processor proposes the same pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.progress import track

from wen.data.symmetry import TURNS, turned
from wen.data.thumbnails import Thumbnails

ALIKE = 0.58  # least correlation of two textures; of 1,500 copies moved, compressed and taken again, the least has 0.61
ALIKE_INSIDE = 0.8  # the same well inside both; of C-NMC's copies all have more, of unlike cells 1 pair in 100,000
FLAT = 0.25  # grey levels of standard deviation; a cell with less has no texture to tell it by
WELL_INSIDE = 230  # of 255: cover of a pixel away from the rim, which JPEG and another cut change
CLIP = 1.5  # standard deviations; a dark rim, which another cut takes away, is not to outweigh the texture
LENGTH = 4000  # of a texture as a vector; products are below 2**24, so float32 adds them up exactly, in any order
ROWS = 512  # compared with all others at once
MOST = 200  # proposals an image, the most alike; bounds the work where all images are alike


@dataclass(frozen=True)
class Proposals:
    """Pairs of images that may be copies."""

    pairs: np.ndarray
    """Rows of one, other, turn, sorted: positions of the images, one < other, and the turn that lays the other's cell
    on the one's; shape (n, 3)."""
    crowded: np.ndarray
    """Positions of the images with more than `MOST` proposals, of which the less alike were left out."""


@dataclass(frozen=True)
class _Place:
    """The thumbnails of all images at one place, the middle or a corner."""

    texture: np.ndarray
    """Integer vectors of one length, 0 outside the cell: shape (images, SIDE, SIDE), int16."""
    inside: np.ndarray
    """The same of what is well inside the cell."""
    well: np.ndarray
    """Where that is, bool."""


def propose(drawn: Sequence[Thumbnails]) -> Proposals:
    """Propose pairs that may be copies."""
    parts = [np.empty((0, 4))]
    if len(drawn) > 1:
        places = [_place(drawn, place) for place in range(5)]
        corners = {turn: turned(np.arange(1, 5).reshape(2, 2), turn).ravel() for turn in TURNS}
        sources = [(place, source, turn) for turn in TURNS for place, source in enumerate([0, *corners[turn]])]
        for place, source, turn in track(sources, "looking for likely copies", transient=True):
            parts.append(_alike(places[place], places[source], turn))
    return _best(np.concatenate(parts))


def _place(drawn: Sequence[Thumbnails], place: int) -> _Place:
    texture = np.stack([thumbnails.texture[place] for thumbnails in drawn])
    cover = np.stack([thumbnails.cover[place] for thumbnails in drawn])
    well = cover > WELL_INSIDE
    vectors = (_vector(levels / 16, weight, CLIP) for levels, weight in zip(texture, cover, strict=True))
    insides = (_vector(levels / 16, weight, np.inf) for levels, weight in zip(texture, well, strict=True))
    return _Place(np.stack(list(vectors)), np.stack(list(insides)), well)


def _vector(levels: np.ndarray, weight: np.ndarray, clip: float) -> np.ndarray:
    """A texture as an integer vector of `LENGTH`; 0 if it is flat."""
    weight = weight.astype(float)
    spread = np.sqrt((weight * levels**2).sum() / max(weight.sum(), 1))
    if spread <= FLAT:
        return np.zeros(levels.shape, dtype=np.int16)
    weighted = weight * np.clip(levels, -clip * spread, clip * spread)
    return np.rint(LENGTH / np.linalg.norm(weighted) * weighted).astype(np.int16)


def _alike(place: _Place, source: _Place, turn: int) -> np.ndarray:
    """Pairs alike enough, as rows of one, other, turn, correlation well inside both; of an image the most alike."""
    one_textures, other_textures = _rows(place.texture), _rows(_turned(source.texture, turn))
    inside, well = _turned(source.inside, turn), _turned(source.well, turn)
    used = place.well.any(axis=0) & well.any(axis=0)
    one_powers = _powers(place.inside[:, used], place.well[:, used]).transpose(0, 2, 1)
    other_powers = _powers(inside[:, used], well[:, used])
    found = [np.empty((0, 4))]
    for start in range(0, len(one_textures), ROWS):
        alike = one_textures[start : start + ROWS] @ other_textures[start:].T >= ALIKE * LENGTH**2
        for row in np.flatnonzero(alike.any(axis=1)):
            one, others = start + row, start + row + 1 + np.flatnonzero(alike[row, row + 1 :])
            correlation = _correlation(one_powers[one], other_powers[others])
            kept = np.flatnonzero(correlation >= ALIKE_INSIDE)
            if len(kept):
                kept = kept[np.argsort(-correlation[kept], kind="stable")[: MOST + 1]]
                columns = np.full(len(kept), one), others[kept], np.full(len(kept), turn), correlation[kept]
                found.append(np.column_stack(columns))
    return np.concatenate(found)


def _powers(levels: np.ndarray, well: np.ndarray) -> np.ndarray:
    """Each image's levels to the power of 0, 1 and 2, 0 where not well inside: shape (images, 3, pixels)."""
    levels = levels.astype(np.float32)
    return np.stack([well.astype(np.float32), levels, levels**2], axis=1)


def _correlation(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlations, over what is well inside both, of an image, of shape (pixels, 3), with others, (n, 3, pixels)."""
    sums = (others.reshape(-1, len(one)) @ one).reshape(-1, 3, 3).astype(float)
    count = np.maximum(sums[:, 0, 0], 1)
    of_one, of_other, together = sums[:, 0, 1], sums[:, 1, 0], sums[:, 1, 1]
    spread_one, spread_other = sums[:, 0, 2] - of_one**2 / count, sums[:, 2, 0] - of_other**2 / count
    return (together - of_one * of_other / count) / np.sqrt(np.maximum(spread_one * spread_other, 1))


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


def _turned(images: np.ndarray, turn: int) -> np.ndarray:
    return turned(images.transpose(1, 2, 0), turn).transpose(2, 0, 1)


def _best(found: np.ndarray) -> Proposals:
    """Take each pair and turn once, where it is most alike, and of each image the most alike."""
    found = found[np.lexsort((-found[:, 3], *found[:, 2::-1].T))]
    found = found[np.any(np.diff(found[:, :3], axis=0, prepend=-1), axis=1)]
    found = found[np.lexsort((-found[:, 3], found[:, 0]))]
    rank = np.arange(len(found)) - np.searchsorted(found[:, 0], found[:, 0])
    crowded = np.unique(found[rank >= MOST, 0]).astype(int)
    pairs = found[rank < MOST, :3].astype(int)
    return Proposals(pairs[np.lexsort(pairs[:, ::-1].T)], crowded)
