"""The second step of the search for near-copies: align two cells and compare them pixel by pixel."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from scipy import fft

from wen.data.thumbnails import inside

SMOOTHING = 1 / 225  # of the frame's side: radius of the square mean that removes noise and the blocks of JPEG
FEWEST = 32  # pixels; with fewer, cells can be similar by chance


@dataclass(frozen=True)
class Likeness:
    """How similar two cells are in the pixels where both show cell."""

    overlap: float
    """Pixels where both show cell, as a share of the larger cell."""
    correlation: float
    """Of the smoothed grey levels."""
    difference: float
    """Mean absolute difference of the smoothed grey levels, after brightness and contrast are made equal."""
    equal: float
    """Share of equal pixels, not smoothed."""


@dataclass(frozen=True)
class Limits:
    """Limits within which two cells count as copies."""

    overlap: float
    """Minimum."""
    correlation: float
    """Minimum."""
    difference: float
    """Upper bound, grey levels."""


class Aligned:
    """A cell, prepared once for comparison with many others."""

    def __init__(self, grey: np.ndarray, radius: int) -> None:
        """Crop the cell out of a grey frame of shape (height, width), uint8; ``radius`` of the smoothing in px."""
        self.levels = _cut(grey)
        self.smooth = _smoothed(self.levels, radius) if self.levels.size else self.levels
        self.size = int(np.count_nonzero(self.smooth))
        self._spectra: dict[int, np.ndarray] = {}

    def spectrum(self, side: int) -> np.ndarray:
        """Return the Fourier transform of the texture in a square of the given side."""
        if side not in self._spectra:
            self._spectra[side] = fft.rfft2(_texture(self.levels), (side, side))
        return self._spectra[side]


def smoothing(side: int) -> int:
    """Return the radius of the smoothing, in px, for frames of the given side."""
    return max(round(SMOOTHING * side), 1)


def compare(one: Aligned, other: Aligned, limits: Limits) -> Likeness | None:
    """Align two cells by the shift at which their textures correlate best, and compare them.

    Parameters
    ----------
    one, other : Aligned
        ``other`` is already turned.
    limits : Limits

    Returns
    -------
    Likeness or None
        None if they are not within the limits.
    """
    if not one.size or not other.size:
        return None
    shift = _best_shift(one, other)
    a, b = _overlap(one.smooth, other.smooth, shift)
    overlap = len(a) / max(one.size, other.size)
    if len(a) < FEWEST or overlap < limits.overlap:
        return None
    correlation, difference = _compare_levels(a, b, limits.correlation)
    if correlation < limits.correlation or difference >= limits.difference:
        return None
    a, b = _overlap(one.levels, other.levels, shift)
    return Likeness(overlap, correlation, difference, np.count_nonzero(a == b) / len(a))


def _cut(grey: np.ndarray) -> np.ndarray:
    """Crop the cell: its grey levels, at least 1, and 0 around it."""
    cell = inside(grey)
    y, x = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
    if not len(y):
        return grey[:0]
    box = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
    return np.where(cell[box], np.maximum(grey[box], 1), 0).astype(np.uint8)


def _best_shift(one: Aligned, other: Aligned) -> tuple[int, int]:
    """Return the number of rows and columns by which to move the other cell."""
    side = fft.next_fast_len(int(1.3 * max(*one.levels.shape, *other.levels.shape)) + 1, real=True)
    likeness = fft.irfft2(one.spectrum(side) * other.spectrum(side).conj(), (side, side))
    rows, columns = divmod(int(likeness.argmax()), side)
    return rows - side * (rows > side // 2), columns - side * (columns > side // 2)


def _texture(cell: np.ndarray) -> np.ndarray:
    """Subtract the mean grey level, and limit differences to one standard deviation, so that a rim weighs no more."""
    levels = cell[cell > 0]
    return np.where(cell > 0, np.clip(cell - levels.mean(), -levels.std(), levels.std()), 0).astype(np.float32)


def _smoothed(cell: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean over a square around each pixel; 0 where the square is not entirely inside the cell."""
    blur = ImageFilter.BoxBlur(radius)
    levels, cover = (
        np.asarray(Image.fromarray(plane).filter(blur)) for plane in (cell, np.where(cell > 0, 255, 0).astype(np.uint8))
    )
    return np.where(cover == 255, np.maximum(levels, 1), 0).astype(np.uint8)


def _overlap(one: np.ndarray, other: np.ndarray, shift: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the grey levels of both cells, 1 to 255, where both show cell after the other is moved."""
    rows, columns = shift
    top, left = max(rows, 0), max(columns, 0)
    bottom = max(top, min(one.shape[0], other.shape[0] + rows))
    right = max(left, min(one.shape[1], other.shape[1] + columns))
    a, b = one[top:bottom, left:right], other[top - rows : bottom - rows, left - columns : right - columns]
    both = (a > 0) & (b > 0)
    return a[both], b[both]


def _compare_levels(one: np.ndarray, other: np.ndarray, correlated: float) -> tuple[float, float]:
    """Return the correlation and, if it is high enough, the mean difference; sums of integers are exact."""
    count, one, wide = len(one), one.astype(np.int64), other.astype(np.int64)
    sum_one, sum_other = int(one.sum()), int(wide.sum())
    spread_one, spread_other = count * int(one @ one) - sum_one**2, count * int(wide @ wide) - sum_other**2
    if not spread_one or not spread_other:
        return 0.0, 255.0
    correlation = (count * int(one @ wide) - sum_one * sum_other) / (spread_one * spread_other) ** 0.5
    if correlation < correlated:
        return correlation, 255.0
    contrast = (spread_one / spread_other) ** 0.5
    compensated = sum_one / count + contrast * (np.arange(256) - sum_other / count)
    apart = np.rint(256 * np.abs(one - compensated[other])).astype(np.int64)
    return correlation, int(apart.sum()) / (256 * count)
