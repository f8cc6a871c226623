"""Copies among the images: exact ones have equal pixels, near ones were altered.

A near-copy shows the same cell cropped again, shifted, mirrored, rotated by quarter turns, brightened, darkened,
compressed, or photographed again. Thumbnails propose pairs, and a comparison of the pixels decides. Images of several
sizes are assumed to show cells at one scale: an enlarged or reduced copy is not found. A cell with little texture that
was photographed again and then compressed can be missed, because its blurred rim outweighs the texture that the noise
leaves.
"""

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import cpu_count

from wen.bar import track
from wen.data import images
from wen.data.alignment import Aligned, Likeness, Limits, compare, smoothing
from wen.data.proposals import MOST, propose
from wen.data.symmetry import inverse, turned
from wen.data.table import COPIES, EXACT, NEAR, has_subjects
from wen.data.thumbnails import thumbnails

LARGEST_SIDE = 512  # px; larger frames are reduced by an integer factor
LARGER = 4  # times; a frame that is this much larger than the others is reduced below their size
CORRELATION = 0.9  # minimum, of two copies' smoothed pixels; hardly any pair of different cells of C-NMC has more
OVERLAP = 0.7  # minimum share of the larger cell that both show
CHUNK = 64  # pairs that a thread compares at once
CACHE = 2**29  # bytes; limit of the cache of prepared cells
MANY = 50  # near-copies of an image; with this many, the limit of proposals may exclude others

Pair = tuple[int, int, int]


def find(index: pd.DataFrame, root: Path, difference: float | None) -> pd.DataFrame:
    """Find every pair of copies.

    Parameters
    ----------
    index : DataFrame
        data/index.csv.
    root : Path
        What its paths are relative to.
    difference : float or None
        Mean difference in grey levels (of 255) that near-copies may have; None finds exact copies only.

    Returns
    -------
    DataFrame
        data/copies.csv, sorted by ids; `wen.data.table.read_copies` describes its columns.
    """
    groups = [list(ids) for _, ids in index.groupby("pixels", sort=False).id]
    rows = [(*sorted(pair), EXACT, 0, 1.0, 0.0, 1.0) for ids in groups for pair in itertools.combinations(ids, 2)]
    if difference is not None:
        first = index[~index.pixels.duplicated()]
        paths, sizes = [root / path for path in first.path], first[["width", "height"]].to_numpy()
        for one, other, turn, found in _near(paths, sizes, difference):
            measured = [round(value, 4) for value in (found.correlation, found.difference, found.equal)]
            for a, b in itertools.product(groups[one], groups[other]):
                ordered = (a, b, NEAR, turn) if a < b else (b, a, NEAR, inverse(turn))
                rows.append((*ordered, *measured))
    return pd.DataFrame(rows, columns=list(COPIES)).sort_values(["one", "other"], ignore_index=True)


def summary(index: pd.DataFrame, copies: pd.DataFrame) -> dict[str, Any]:
    """Count the pairs of one kind and list who shares cells, for metrics/dataset.json; unknown values are None."""
    between = between_classes(index, copies)[["one", "other"]].to_numpy().tolist()
    if not has_subjects(index):
        unknown = dict.fromkeys(("pairs_across_subjects", "pairs_by_subjects", "subjects", "across_subjects"))
        return {"pairs": len(copies), "between_classes": between} | unknown
    across = copies[_differ(index, copies, "subject")]
    subject = index.set_index("id").subject
    shared = zip(across.one.map(subject), across.other.map(subject), strict=True)
    counts = Counter(tuple(sorted(pair)) for pair in shared)
    most_first = sorted(counts, key=lambda pair: (-counts[pair], pair))
    return {
        "pairs": len(copies),
        "pairs_across_subjects": len(across),
        "pairs_by_subjects": {" and ".join(pair): counts[pair] for pair in most_first},
        "subjects": sorted({subject for pair in counts for subject in pair}),
        "across_subjects": across[["one", "other"]].to_numpy().tolist(),
        "between_classes": between,
    }


def between_classes(index: pd.DataFrame, copies: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs whose images have different labels."""
    return copies[_differ(index, copies, "label")]


def most_doubtful(index: pd.DataFrame, copies: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose the pairs for a visual check, the most doubtful ones last.

    Near-copies come before exact copies, and pairs of two subjects before pairs of one; then the less similar pairs.
    """
    ranked = copies.assign(near=copies.kind == NEAR, across=_differ(index, copies, "subject"))
    first = ranked.sort_values(["near", "across", "difference", "one", "other"], ascending=[False] * 3 + [True] * 2)
    return copies.loc[first.index[:count]].sort_values(["difference", "one", "other"])


def _differ(index: pd.DataFrame, copies: pd.DataFrame, column: str) -> pd.Series:
    """Whether the two images of a pair differ in a column of the index."""
    values = index.set_index("id")[column]
    return copies.one.map(values) != copies.other.map(values)


def _near(paths: list[Path], sizes: np.ndarray, difference: float) -> Iterator[tuple[int, int, int, Likeness]]:
    """Return pairs of positions in the list, one < other, with the turn at which the two images are most similar."""
    # One factor for all: cells keep their common scale.
    factor = math.ceil(np.median(sizes.max(axis=1)) / LARGEST_SIDE)
    side = math.ceil(np.median(sizes.min(axis=1)) / factor)
    read = partial(_grey, factor=factor)
    with ThreadPoolExecutor(cpu_count()) as pool:  # more threads than cores would only wait for the GIL
        drawing = pool.map(lambda path: thumbnails(read(path), side), paths)
        drawn = list(track(drawing, "drawing thumbnails", total=len(paths)))
        proposed = propose(drawn)
        # One turn after another, so that turned cells are reused.
        pairs = [(one, other, turn) for one, other, turn in sorted(proposed.pairs.tolist(), key=itemgetter(2))]
        aligned = lru_cache(maxsize=max(CACHE // (8 * side**2), 64))(
            lambda image, turn: Aligned(turned(read(paths[image]), turn), smoothing(side))
        )
        found = _compared(pairs, aligned, Limits(OVERLAP, CORRELATION, difference), pool)
    _warn_of_many([one for one, _, _ in found], proposed.crowded)
    for _, turns in itertools.groupby(sorted(found), key=lambda pair: pair[:2]):
        pair = max(turns, key=lambda pair: found[pair].correlation)
        yield *pair, found[pair]


def _compared(
    pairs: list[Pair], aligned: Callable[[int, int], Aligned], limits: Limits, pool: ThreadPoolExecutor
) -> dict[Pair, Likeness]:
    """Return the likeness of each pair that is within the limits."""

    def measure(some: list[Pair]) -> list[Likeness | None]:
        return [compare(aligned(one, 0), aligned(other, turn), limits) for one, other, turn in some]

    chunks = [pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]
    measuring = track(pool.map(measure, chunks), "comparing likely copies", total=len(chunks))
    measured = zip(pairs, itertools.chain.from_iterable(measuring), strict=True)
    return {pair: likeness for pair, likeness in measured if likeness}


def _warn_of_many(ones: list[int], crowded: np.ndarray) -> None:
    """Warn if the limit of proposals may have excluded copies."""
    copies = Counter(ones)
    many = sum(copies[image] >= MANY for image in crowded)
    if many:
        warnings.warn(
            f"{many:,} images have {MANY} or more near-copies each, and some of these can be missing, because only the "
            f"{MOST} most alike were compared; bring the original images alone if the set was augmented before",
            stacklevel=2,
        )


def _grey(path: Path, factor: int) -> np.ndarray:
    grey = images.read(path).convert("L")
    most = math.ceil(max(grey.size) / LARGEST_SIDE)  # of an image that is much larger than all others
    return np.asarray(grey.reduce(most if most > LARGER * factor else factor))
