"""Find images that differ from those of a study: without a cell, or of another size, colour or cell area.

A network gives a probability for every image, even a black one. Here a few robust measures of an image are compared
with their ranges in a study: by ``wen prepare`` within a data set, and by ``wen classify`` with the ranges that
metrics/dataset.json has.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import pandas as pd  # which a bundle's classifier does not need

BLACK = 16  # levels; a pixel with no more in any channel is background, like the specks that JPEG leaves there
REDUCED = 64  # px; images are reduced by an integer factor to the smallest side that is not below this
PLAIN = 2.0  # grey levels of standard deviation; an image with less shows nothing
TAIL = 0.05  # share of a study's images on either side that do not count
REACH = 1.5  # times the distance from median to tail, beyond the tail: 4.1 standard deviations of a normal distribution

CHANNELS = ("red", "green", "blue")
GREY = 3.0  # grey levels; an image is grey if no two of its mean levels differ by more
HUES = {"red less green": ("red", "green"), "blue less green": ("blue", "green"), "blue less red": ("blue", "red")}
"""Differences of mean levels: all are 0 for a grey image, and swapped channels change the sign of one."""
FLOORS = {
    "width": np.log(1.5), "height": np.log(1.5), "area": 0.15, "red": 40.0, "green": 40.0, "blue": 40.0,
} | dict.fromkeys(HUES, 10.0)  # fmt: skip
"""Minimum reach beyond the tail, for studies whose images are nearly equal; in logarithms for sizes."""
MEASURES = (*FLOORS, "contrast")
_SIZES = ("width", "height")

Ranges = Mapping[str, Sequence[float]]


def look(image: Image.Image) -> dict[str, float]:
    """Measure an RGB image.

    Returns
    -------
    dict
        ``width`` and ``height``, px; ``area``, the share of the frame that is not black; ``red``, ``green`` and
        ``blue``, mean levels (0 to 255) where it is not black, and their differences, see `HUES`; ``contrast``, the
        standard deviation of its grey levels.
    """
    small = image.reduce(max(min(image.size) // REDUCED, 1))
    grey, colours = np.asarray(small.convert("L")), np.asarray(small)
    inside = not_black(colours)
    levels = colours[inside].mean(axis=0) if inside.any() else np.zeros(3)
    colour = dict(zip(CHANNELS, levels.tolist(), strict=True))
    size = {"width": float(image.width), "height": float(image.height)}
    hues = {name: colour[one] - colour[other] for name, (one, other) in HUES.items()}
    return size | {"area": float(inside.mean())} | colour | hues | {"contrast": float(grey.std())}


def not_black(pixels: np.ndarray) -> np.ndarray:
    """Mask of the pixels of an image, of shape (height, width, 3), uint8, that are not black."""
    return pixels.max(axis=2) > BLACK


def ranges(looks: "pd.DataFrame") -> dict[str, list[float]]:
    """Compute the usual range of each measure: between the tails, extended by `REACH` or at least the floor.

    Parameters
    ----------
    looks : DataFrame
        One row per image, from `look`.

    Returns
    -------
    dict
        Lowest and highest usual value of each measure except ``contrast``.
    """
    found = {}
    for name, floor in FLOORS.items():
        values = np.log(looks[name].to_numpy()) if name in _SIZES else looks[name].to_numpy()
        low, middle, high = np.quantile(values, [TAIL, 0.5, 1 - TAIL])
        ends = [low - max(REACH * (middle - low), floor), high + max(REACH * (high - middle), floor)]
        found[name] = [round(float(np.exp(end) if name in _SIZES else end), 4) for end in ends]
    return found


def reasons(found: Mapping[str, float], usual: Ranges) -> list[str]:
    """Describe how an image differs from the images of a study; empty if it does not.

    Parameters
    ----------
    found : mapping
        From `look`.
    usual : mapping
        From `ranges`.
    """
    if not found["area"]:
        return ["black"]
    if found["contrast"] < PLAIN:
        return ["a single colour"]
    lines = []
    if _is_outside(found, usual, *_SIZES):
        (least, lowest), (most, highest) = (tuple(usual[name][end] for name in _SIZES) for end in (0, 1))
        lines.append(
            f"{found['width']:.0f}x{found['height']:.0f} px, {least:.0f}x{lowest:.0f} to {most:.0f}x{highest:.0f} in "
            "the study"
        )
    if _is_outside(found, usual, "area"):
        low, high = (min(max(end, 0), 1) for end in usual["area"])
        lines.append(f"{found['area']:.0%} of the image is not black, {low:.0%} to {high:.0%} in the study")
    return lines + _colours(found, usual)


def _colours(found: Mapping[str, float], usual: Ranges) -> list[str]:
    """Describe how the colour of an image differs: darker, more blue, grey."""
    sides = {name: _side(found[name], usual[name]) for name in CHANNELS}
    limits = {name: np.clip(usual[name], 0, 255).tolist() for name in CHANNELS}
    if abs(sum(sides.values())) == len(CHANNELS):
        level = float(np.mean([found[name] for name in CHANNELS]))
        ends = np.mean(list(limits.values()), axis=0).tolist()
        return [_unusual("darker" if sides["red"] < 0 else "brighter", "mean level", level, ends)]
    if any(sides.values()):
        return [
            _unusual(f"{'less' if side < 0 else 'more'} {name}", "mean", found[name], limits[name])
            for name, side in sides.items()
            if side
        ]
    for name, (one, other) in HUES.items():
        if name in usual and (side := _side(found[name], usual[name])):
            is_grey = max(abs(found[hue]) for hue in HUES) < GREY
            word = "more grey" if is_grey else f"more {one if side > 0 else other}"
            return [_unusual(word, f"{one} minus {other}", found[name], usual[name])]
    return []


def _unusual(word: str, measure: str, value: float, ends: Sequence[float]) -> str:
    low, high = (f"{end:z.0f}" for end in ends)
    return f"{word} than usual ({measure} {value:z.0f}, {low} to {high} in the study)"


def _side(value: float, ends: Sequence[float]) -> int:
    """-1 below a range, 1 above it, 0 inside."""
    return int(value > ends[1]) - int(value < ends[0])


def _is_outside(found: Mapping[str, float], usual: Ranges, *names: str) -> bool:
    return any(_side(found[name], usual[name]) for name in names)
