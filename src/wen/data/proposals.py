"""First, cheap step of the search for near-copies: compare the thumbnails of all pairs of cells.

The textures of different cells hardly correlate; those of copies do, in spite of brightness, noise or compression. All
sums are of integers, so the result does not depend on their order, and every processor proposes the same pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wen.bar import track
from wen.data.symmetry import TURNS, turned
from wen.data.thumbnails import Thumbnails

ALIKE = 0.58  # minimum correlation of two textures; of 1,500 shifted and compressed copies, the lowest is 0.61
ALIKE_INSIDE = 0.8  # the same well inside both; all copies of C-NMC have more, of other pairs 1 in 100,000
FLAT = 0.25  # grey levels of standard deviation; a cell with less has no texture to recognise it by
WELL_INSIDE = 230  # of 255: minimum cover of a pixel away from the rim, which JPEG and another crop change
CLIP = 1.5  # standard deviations; a dark rim, which another crop removes, must not outweigh the texture
LENGTH = 4000  # of a texture as a vector; products are below 2**24, so float32 adds them up exactly, in any order
ROWS = 128  # compared with all others at once
MOST = 200  # proposals per image, the most similar; limits the work if all images look alike


@dataclass(frozen=True)
class Proposals:
    """Pairs of images that may be copies."""

    pairs: np.ndarray
    """Rows of one, other and turn, sorted: positions of the images, one < other, and the turn that maps the other cell
    onto the one; shape (n, 3)."""
    crowded: np.ndarray
    """Positions of the images with more than `MOST` proposals, the less similar of which were left out."""


@dataclass(frozen=True)
class _Place:
    """The thumbnails of all images at one position: the middle or a corner."""

    texture: np.ndarray
    """Integer vectors of one length, 0 outside the cell: shape (images, SIDE, SIDE), int16."""
    inside: np.ndarray
    """The same for the pixels that are well inside the cell."""
    well: np.ndarray
    """Mask of these pixels, bool."""


def propose(drawn: Sequence[Thumbnails]) -> Proposals:
    """Propose pairs that may be copies."""
    parts = [np.empty((0, 4))]
    if len(drawn) > 1:
        places = [_place(drawn, place) for place in range(5)]
        corners = {turn: turned(np.arange(1, 5).reshape(2, 2), turn).ravel() for turn in TURNS}
        sources = [(place, source, turn) for turn in TURNS for place, source in enumerate([0, *corners[turn]])]
        for place, source, turn in track(sources, "looking for likely copies"):
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
    """Return a texture as an integer vector of `LENGTH`; 0 if it is flat."""
    weight = weight.astype(float)
    spread = np.sqrt((weight * levels**2).sum() / max(weight.sum(), 1))
    if spread <= FLAT:
        return np.zeros(levels.shape, dtype=np.int16)
    weighted = weight * np.clip(levels, -clip * spread, clip * spread)
    return np.rint(LENGTH / np.linalg.norm(weighted) * weighted).astype(np.int16)


def _alike(place: _Place, source: _Place, turn: int) -> np.ndarray:
    """Return similar pairs, as rows of one, other, turn and correlation; the most similar of each image."""
    one_textures, other_textures = _rows(place.texture), _rows(_turned(source.texture, turn))
    inside, well = _turned(source.inside, turn), _turned(source.well, turn)
    used = place.well.any(axis=0) & well.any(axis=0)
    one_powers = _powers(place.inside[:, used], place.well[:, used])
    other_powers = _powers(inside[:, used], well[:, used])
    found = [np.empty((0, 4))]
    for start in range(0, len(one_textures), ROWS):
        block = slice(start, start + ROWS)
        alike = one_textures[block] @ other_textures[start:].T >= ALIKE * LENGTH**2
        likely = np.flatnonzero(alike.any(axis=0))
        places = np.flatnonzero(alike[:, likely])
        correlation = _correlation(one_powers[:, block], other_powers[:, start + likely], places)
        rows, columns = np.divmod(places, len(likely))
        pairs = np.column_stack([start + rows, start + likely[columns], np.full(len(places), turn), correlation])
        ranked, rank = _ranked(pairs[(correlation >= ALIKE_INSIDE) & (pairs[:, 0] < pairs[:, 1])])
        found.append(ranked[rank <= MOST])
    return np.concatenate(found)


def _powers(levels: np.ndarray, well: np.ndarray) -> np.ndarray:
    """Return each image's grey levels to the powers 0, 1 and 2, and 0 near the rim: shape (3, images, pixels)."""
    levels = levels.astype(np.float32)
    return np.stack([well.astype(np.float32), levels, levels**2])


def _correlation(one: np.ndarray, other: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return correlations of what is well inside both cells, at positions of the flattened matrix of all pairs.

    Matrix products give the sums of many more pairs in the same time than a sum for each pair.
    """

    def sums(power: int, by: int) -> np.ndarray:
        return (one[power] @ other[by].T).take(places).astype(float)

    count = np.maximum(sums(0, 0), 1)
    of_one, of_other = sums(1, 0), sums(0, 1)
    spread_one, spread_other = sums(2, 0) - of_one**2 / count, sums(0, 2) - of_other**2 / count
    return (sums(1, 1) - of_one * of_other / count) / np.sqrt(np.maximum(spread_one * spread_other, 1))


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


def _turned(images: np.ndarray, turn: int) -> np.ndarray:
    return turned(images.transpose(1, 2, 0), turn).transpose(2, 0, 1)


def _best(found: np.ndarray) -> Proposals:
    """Keep each pair once, where it is most similar, and the most similar pairs of each image."""
    found = found[np.lexsort((-found[:, 3], *found[:, 2::-1].T))]
    found = found[np.any(np.diff(found[:, :3], axis=0, prepend=-1), axis=1)]
    found, rank = _ranked(found)
    crowded = np.unique(found[rank >= MOST, 0]).astype(int)
    pairs = found[rank < MOST, :3].astype(int)
    return Proposals(pairs[np.lexsort(pairs[:, ::-1].T)], crowded)


def _ranked(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort by image, the most similar first, and return the rank of each row within its image, from 0."""
    found = found[np.lexsort((-found[:, 3], found[:, 0]))]
    return found, np.arange(len(found)) - np.searchsorted(found[:, 0], found[:, 0])
