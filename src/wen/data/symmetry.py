"""The eight symmetries of a square, by which a copy may be turned and mirrored."""

import numpy as np

TURNS = range(8)


def turned(image: np.ndarray, turn: int) -> np.ndarray:
    """Mirror an image left to right if ``turn`` is 4 or more, then rotate it anticlockwise by ``turn % 4`` x 90°."""
    return np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)


def inverse(turn: int) -> int:
    """The turn that undoes a turn; one that mirrors is its own inverse."""
    return turn if turn >= 4 else -turn % 4
