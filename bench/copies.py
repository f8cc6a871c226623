"""Cost of the search for copies: python bench/copies.py FOLDER, with BMP images, on two cores."""

import hashlib
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wen.config.read import load
from wen.data import copies


def main(folder: Path) -> None:
    """Search a folder and print the pairs found, the seconds and the peak memory."""
    paths = sorted(folder.rglob("*.bmp"))
    pixels = [hashlib.sha256(np.asarray(Image.open(path)).tobytes()).hexdigest() for path in paths]
    names = [path.relative_to(folder).as_posix() for path in paths]
    index = pd.DataFrame({"id": names, "path": names, "pixels": pixels})
    difference = load(Path(__file__).parents[1] / "profiles/thesis.yaml").dataset.near_difference
    begin, worked = time.perf_counter(), time.process_time()
    found = copies.find(index, folder, difference)
    print(f"{len(index):,} images, pairs: {found.kind.value_counts().to_dict()}")
    print(f"{time.perf_counter() - begin:.0f} s, {time.process_time() - worked:.0f} s of processor time")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB of memory at most")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
