"""Which training images an epoch sees, so that both classes weigh the same, or as they are."""

from collections.abc import Callable

import numpy as np

Sampler = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""From the classes of training images to positions among them, for one epoch."""


def none(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image once."""
    return np.arange(len(label))


def oversample(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image once, and images of the smaller class again, drawn with replacement, until both are as many."""
    counts = np.bincount(label, minlength=2)
    smaller = np.flatnonzero(label == counts.argmin())
    return np.concatenate([np.arange(len(label)), rng.choice(smaller, counts.max() - counts.min())])


def undersample(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image of the smaller class, and as many of the larger, drawn without replacement."""
    counts = np.bincount(label, minlength=2)
    larger = np.flatnonzero(label == 1 - counts.argmin())
    kept = rng.choice(larger, counts.min(), replace=False)
    return np.sort(np.concatenate([np.flatnonzero(label == counts.argmin()), kept]))


SAMPLERS: dict[str, Sampler] = {"none": none, "weights": none, "oversample": oversample, "undersample": undersample}
"""By the word of a system's ``balance``; ``weights`` weighs the classes in the loss (2.38) instead."""
