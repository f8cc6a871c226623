"""Kill `dvc repro` at random moments (SIGKILL), with all its children or, every second time, without them."""

import random
from pathlib import Path

from study import Study, Trial, clone, differences, reproduce


def trials(study: Study, empty: Study, folder: Path, count: int, seconds: float, rng: random.Random) -> list[Trial]:
    """Start clones of an empty study repeatedly until they end; they must end like the uninterrupted study.

    Parameters
    ----------
    study, empty : Study
        A finished study, and one that has not started.
    folder : Path
        Folder for the clones.
    count : int
        Number of kills.
    seconds : float
        Duration of the uninterrupted study; a sixth of it is long enough for any one stage to end.
    rng : random.Random
    """
    done: list[Trial] = []
    while len(done) < count:
        one, before = clone(empty, folder / f"killed {len(done)} {rng.random()}"), len(done)
        while len(done) < count:
            stage = reproduce(one, rng.uniform(1, seconds / 6), parent_only=len(done) % 2 == 1)
            if not stage:
                break
            done.append((f"`dvc repro` in {stage}", []))
            print(f"{len(done)}: killed in {stage}", flush=True)
        reproduce(one)
        if len(done) > before:
            done[-1][1].extend(differences(study.root, one.root))
    return done
