"""Choose groups of images to hold out, so that together they are as close as possible to a share of all images."""

from collections.abc import Iterator

import numpy as np

EXHAUSTIVE = 16
"""Up to this many groups, all subsets are tried."""
OPEN = 12
"""With more groups, all but this many are assigned at random, and all subsets of these are tried."""
DRAWS = 24
"""Number of such random assignments."""
NEAR = 0.005
"""A set is near if its share differs from the requested one by at most this: half a percentage point."""
EVEN = 0.01
"""A set is even if the difference between its classes' shares exceeds that of the best set by at most this."""


def choose(counts: np.ndarray, share: float, remaining: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one of the sets of groups that are closest to a share of the images.

    Candidates are the sets that are near (`NEAR`; if none is, the nearest ones) and, among these, even (`EVEN`). A
    candidate is drawn as if each group were held out with probability ``share``, so that large groups are held out as
    often as small ones, as far as they fit.

    Parameters
    ----------
    counts : ndarray of shape (groups, classes)
        Images of each class in each group.
    share : float
        Share of all images to hold out, in (0, 1).
    remaining : int
        Minimum number of groups of each class that are not held out. At least one group of each class is held out.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (groups,), bool
        Whether each group is held out. All False if no set leaves enough groups.
    """
    present, images = (counts > 0).astype(int), counts.sum(axis=0)
    most = present.sum(axis=0) - remaining
    draws, tables = list(_draws(counts, share, most, rng)), []
    for draw, (taken, open_) in enumerate(draws):
        sets = np.arange(2 ** len(open_))
        inside = sets[:, None] >> np.arange(len(open_)) & 1
        groups, held = (inside @ number[open_] + number[taken].sum(axis=0) for number in (present, counts))
        missed = np.abs(held.sum(axis=1) / images.sum() - share)
        difference = np.ptp(held / np.maximum(images, 1), axis=1)
        possible = ((groups >= 1) & (groups <= most)).all(axis=1)
        size = inside.sum(axis=1)
        # Columns: draw, set (its bits are the open groups), difference from the share, imbalance, size.
        tables.append(np.column_stack([np.full(len(sets), draw), sets, missed, difference, size])[possible])
    table = np.concatenate(tables)
    chosen = np.zeros(len(counts), dtype=bool)
    if len(table):
        near = table[table[:, 2] <= max(table[:, 2].min(), NEAR)]
        even = near[near[:, 3] <= near[:, 3].min() + EVEN]
        drawn = even[even[:, 0] == rng.choice(np.unique(even[:, 0]))]
        odds = (share / (1 - share)) ** drawn[:, 4]
        draw, number = rng.choice(drawn, p=odds / odds.sum())[:2].astype(int)
        taken, open_ = draws[draw]
        chosen[taken] = True
        chosen[open_[number >> np.arange(len(open_)) & 1 == 1]] = True
    return chosen


def _draws(
    counts: np.ndarray, share: float, most: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the groups that are held out at random, and the open groups, all subsets of which are tried."""
    if len(counts) <= EXHAUSTIVE:
        yield np.zeros(0, dtype=int), np.arange(len(counts))
        return
    for _ in range(DRAWS):
        open_, rest = np.split(_order(counts, rng), [OPEN])
        rng.shuffle(rest)
        yield _fill(counts, rest, share, most, rng), open_


def _order(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order the groups at random, alternating between groups with one class, with the other, and with both."""
    order = rng.permutation(len(counts))
    kind = (counts[order] > 0) @ (1 << np.arange(counts.shape[1]))
    turn = np.zeros(len(order), dtype=int)
    for value in np.unique(kind):
        turn[kind == value] = np.arange(np.sum(kind == value))
    return order[np.argsort(turn, kind="stable")]


def _fill(counts: np.ndarray, rest: np.ndarray, share: float, most: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hold out groups in turn until a class has its share, the last one with a probability of the part that fits."""
    room, places, full = share * counts[rest].sum(axis=0), most.copy(), np.zeros(counts.shape[1], dtype=bool)
    taken = []
    for group in rest:
        classes = counts[group] > 0
        if (full & classes).any() or (places < classes).any():
            continue
        fits = (room[classes] / counts[group, classes]).min()
        if fits < 1:
            full |= classes & (room <= counts[group])
        if fits >= rng.random():
            room, places = room - counts[group], places - classes
            taken.append(group)
    return np.array(taken, dtype=int)
