"""Choose groups of images to hold out, so that together they come as near to a share of all images as possible."""

from collections.abc import Iterator

import numpy as np

EXHAUSTIVE = 16
"""Up to this many groups, every set of them is tried."""
OPEN = 12
"""Of more groups, all but this many are decided at random, and every set of the rest is tried, ``DRAWS`` times."""
DRAWS = 24
NEAR = 0.005
"""Sets that miss the share by no more than this are equally near: half a point."""
EVEN = 0.01
"""Sets whose classes' shares differ by no more than this beyond the best set's are equally even."""


def choose(counts: np.ndarray, share: float, left: int, rng: np.random.Generator) -> np.ndarray:
    """Choose groups at random among the sets of groups that come nearest to a share of the images.

    A set is near if it misses ``share`` by at most half a point or, if none does, by the least of all. A near set is
    even if its classes' shares differ least. One even set is drawn as if each group were held out with probability
    ``share``, so that a large group is held out as often as a small one, as far as it fits.

    Parameters
    ----------
    counts : ndarray of shape (groups, classes)
        How many images of each class a group has.
    share : float
        Of all images, in (0, 1).
    left : int
        How many groups of each class must not be chosen. At least one of each class is chosen.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (groups,), bool
        All False if no set leaves enough groups.
    """
    has, images = (counts > 0).astype(int), counts.sum(axis=0)
    most = has.sum(axis=0) - left
    draws, tables = list(_draws(counts, share, most, rng)), []
    for draw, (taken, open_) in enumerate(draws):
        sets = np.arange(2 ** len(open_))
        inside = sets[:, None] >> np.arange(len(open_)) & 1
        groups, held = (inside @ of[open_] + of[taken].sum(axis=0) for of in (has, counts))
        missed = np.abs(held.sum(axis=1) / images.sum() - share)
        difference = np.ptp(held / np.maximum(images, 1), axis=1)
        possible = ((groups >= 1) & (groups <= most)).all(axis=1)
        size = inside.sum(axis=1)
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
    """Yield the groups that are taken, and those that are open."""
    if len(counts) <= EXHAUSTIVE:
        yield np.zeros(0, dtype=int), np.arange(len(counts))
        return
    for _ in range(DRAWS):
        open_, rest = np.split(_order(counts, rng), [OPEN])
        rng.shuffle(rest)
        yield _fill(counts, rest, share, most, rng), open_


def _order(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put the groups into a random order in which those with one class, the other, or both take turns."""
    order = rng.permutation(len(counts))
    kind = (counts[order] > 0) @ (1 << np.arange(counts.shape[1]))
    turn = np.zeros(len(order), dtype=int)
    for value in np.unique(kind):
        turn[kind == value] = np.arange(np.sum(kind == value))
    return order[np.argsort(turn, kind="stable")]


def _fill(counts: np.ndarray, rest: np.ndarray, share: float, most: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take one group after the other until a class has its share; take the last with the probability that it fits."""
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
