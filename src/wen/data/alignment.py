"""The second step of the search for near-copies: align two cells and compare them pixel by pixel."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from scipy import fft

from wen.data.thumbnails import inside

SMOOTHING = 1 / 225  # of the frame's side: radius of the square mean that takes noise and JPEG's blocks away
FEWEST = 32  # pixels; of fewer, chance makes cells alike


@dataclass(frozen=True)
class Likeness:
    """How alike two cells are where both show cell."""

    overlap: float
    """Pixels where both show cell, as a share of the larger cell."""
    correlation: float
    """Of the smoothed grey levels."""
    difference: float
    """Mean absolute difference of the smoothed grey levels, after brightness and contrast are made equal."""
    equal: float
    """Share of equal pixels, not smoothed."""


NOTHING = Likeness(0.0, 0.0, 255.0, 0.0)


def compare(one: np.ndarray, other: np.ndarray) -> Likeness:
    """Align two cells by the shift at which their textures correlate best, and compare them.

    Parameters
    ----------
    one, other : ndarray of shape (height, width), uint8
        Grey frames; ``other`` is already turned.
    """
    radius = max(round(SMOOTHING * min(one.shape)), 1)
    one, other = _cut(one), _cut(other)
    if not one.size or not other.size:
        return NOTHING
    shift = _best_shift(one, other)
    smooth_one, smooth_other = _smoothed(one, radius), _smoothed(other, radius)
    pairs = _joint_histogram(*_overlap(smooth_one, smooth_other, shift))
    count, larger = int(pairs.sum()), max(np.count_nonzero(smooth_one), np.count_nonzero(smooth_other))
    if count < FEWEST:
        return NOTHING
    correlation, difference = _compare_levels(pairs, count)
    sharp = _joint_histogram(*_overlap(one, other, shift))
    return Likeness(count / larger, correlation, difference, float(np.trace(sharp) / sharp.sum()))


def _cut(grey: np.ndarray) -> np.ndarray:
    """The cell alone: its grey levels, at least 1, and 0 around it."""
    cell = inside(grey)
    y, x = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
    if not len(y):
        return grey[:0]
    box = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
    return np.where(cell[box], np.maximum(grey[box], 1), 0).astype(np.uint8)


def _best_shift(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """By how many rows and columns to move the other."""
    size = fft.next_fast_len(int(1.3 * max(*one.shape, *other.shape)) + 1, real=True)
    spectra = [fft.rfft2(_texture(cell), (size, size)) for cell in (one, other)]
    likeness = fft.irfft2(spectra[0] * spectra[1].conj(), (size, size))
    rows, columns = (int(k) for k in np.unravel_index(likeness.argmax(), likeness.shape))
    return rows - size * (rows > size // 2), columns - size * (columns > size // 2)


def _texture(cell: np.ndarray) -> np.ndarray:
    """Grey levels less their mean, within a standard deviation: a rim, which another cut takes away, weighs no more."""
    levels = cell[cell > 0]
    return np.where(cell > 0, np.clip(cell - levels.mean(), -levels.std(), levels.std()), 0).astype(np.float32)


def _smoothed(cell: np.ndarray, radius: int) -> np.ndarray:
    """Mean over a square around each pixel; 0 where the square is not all cell."""
    blur = ImageFilter.BoxBlur(radius)
    levels, cover = (
        np.asarray(Image.fromarray(plane).filter(blur)) for plane in (cell, np.where(cell > 0, 255, 0).astype(np.uint8))
    )
    return np.where(cover == 255, np.maximum(levels, 1), 0).astype(np.uint8)


def _overlap(one: np.ndarray, other: np.ndarray, shift: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The parts of both that coincide after the other is moved."""
    top, left = start = np.maximum(shift, 0)
    bottom, right = np.maximum(start, np.minimum(one.shape, np.add(other.shape, shift)))
    moved = other[top - shift[0] : bottom - shift[0], left - shift[1] : right - shift[1]]
    return one[top:bottom, left:right], moved


def _joint_histogram(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Count each pair of grey levels, 1 to 255; sums over the counts are of integers, hence exact."""
    both = (one.astype(np.int32) << 8 | other).ravel()
    return np.bincount(both, minlength=1 << 16).reshape(256, 256)[1:, 1:]


def _compare_levels(pairs: np.ndarray, count: int) -> tuple[float, float]:
    """Correlation and mean difference, from a joint histogram of ``count`` pixels."""
    level = np.arange(1, 256)
    of_one, of_other = pairs.sum(axis=1), pairs.sum(axis=0)
    sum_one, sum_other = int(of_one @ level), int(of_other @ level)
    spread_one = count * int(of_one @ level**2) - sum_one**2
    spread_other = count * int(of_other @ level**2) - sum_other**2
    if not spread_one or not spread_other:
        return 0.0, 255.0
    together = count * int(level @ pairs @ level) - sum_one * sum_other
    contrast = (spread_one / spread_other) ** 0.5
    compensated = sum_one / count + contrast * (level - sum_other / count)
    apart = np.rint(256 * np.abs(level[:, None] - compensated)).astype(np.int64)
    return together / (spread_one * spread_other) ** 0.5, int((pairs * apart).sum()) / (256 * count)
