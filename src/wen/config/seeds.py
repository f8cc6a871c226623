"""Every random draw of the study comes from a seed derived here, so no draw depends on another's order."""

import hashlib


def seed_for(seed: int, *parts: float | int | str, what: str) -> int:
    """Derive a seed, below 2**32, from the study's seed and what the draw is for.

    Parameters
    ----------
    seed : int
        params.yaml's ``seed``.
    *parts : float, int or str
        What the draw belongs to, such as fold and epoch; never the learning rate, or models of two rates would
        differ by more than the rate.
    what : str
        What is drawn, such as ``order``.
    """
    text = "|".join([repr(seed), *map(repr, parts), what])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
