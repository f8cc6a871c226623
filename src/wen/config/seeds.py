"""Derive a seed for each random draw of the study, so that no draw depends on the order of others."""

import hashlib


def seed_for(seed: int, *parts: float | int | str, what: str) -> int:
    """Derive a seed below 2**32 from the study's seed and the purpose of the draw.

    Parameters
    ----------
    seed : int
        params.yaml's ``seed``.
    *parts : float, int or str
        What the draw belongs to, such as fold and epoch. Never the learning rate: models of two rates would then
        differ in more than the rate.
    what : str
        What is drawn, such as ``order``.
    """
    text = "|".join([repr(seed), *map(repr, parts), what])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
