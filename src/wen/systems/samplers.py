"""Sample the training images of an epoch, with or without class balancing."""

from collections.abc import Callable

import numpy as np

Sampler = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Maps the labels of the training images to the indices of the images of one epoch."""


def none(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return every image once."""
    return np.arange(len(label))


def oversample(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return every image once, and further draws of the smaller class with replacement until both counts are equal."""
    counts = np.bincount(label, minlength=2)
    smaller = np.flatnonzero(label == counts.argmin())
    return np.concatenate([np.arange(len(label)), rng.choice(smaller, counts.max() - counts.min())])


def undersample(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return every image of the smaller class, and equally many of the larger, drawn without replacement."""
    counts = np.bincount(label, minlength=2)
    larger = np.flatnonzero(label == 1 - counts.argmin())
    kept = rng.choice(larger, counts.min(), replace=False)
    return np.sort(np.concatenate([np.flatnonzero(label == counts.argmin()), kept]))


SAMPLERS: dict[str, Sampler] = {"none": none, "weights": none, "oversample": oversample, "undersample": undersample}
"""Samplers by the value of a system's ``balance``; ``weights`` uses class weights in the loss (2.38) instead."""
