"""The eight symmetries of a square: how copies are turned and mirrored."""

import numpy as np

TURNS = range(8)


def turned(image: np.ndarray, turn: int) -> np.ndarray:
    """Mirror an image left to right if ``turn`` is 4 or more, then turn it ``turn % 4`` quarters anticlockwise."""
    return np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)


def inverse(turn: int) -> int:
    """The turn that undoes a turn; a mirrored one undoes itself."""
    return turn if turn >= 4 else -turn % 4
