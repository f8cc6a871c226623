"""Compare the demo with itself if every model runs the frozen network again: make plain

`features.pooled` and `features.activations` are off in the second study, so that no output of the network is shared.
Prints the largest differences of probabilities and metrics, and fails if they exceed rounding.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count
from pipeline import cloned, run
from ruamel.yaml import YAML

from wen.files import read_json, read_npz

TOLERANCE = 1e-4
"""Of a probability or a metric."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        shared, plain = (cloned(Path(name) / which) for which in ("shared", "plain"))
        file = plain / "params.yaml"
        values = YAML().load(file)
        values["features"] |= {"pooled": False, "activations": False}
        with file.open("w") as opened:
            YAML().dump(values, opened)
        for root in (shared, plain):
            begin = time.perf_counter()
            run(["wen", "run", "--jobs", str(cpu_count())], root)
            print(f"{root.name}: {(time.perf_counter() - begin) / 60:.1f} minutes", flush=True)
        differences = [compared(kind, shared, plain) for kind in ("data/predictions", "metrics")]
    sys.exit(not all(difference <= TOLERANCE for difference in differences))


def compared(kind: str, one: Path, other: Path) -> float:
    """Return the largest difference between the numbers of two studies in the files of a folder."""
    names = sorted(path.relative_to(one) for path in (one / kind).rglob("*") if path.suffix in (".npz", ".json"))
    pairs = [pair for name in names for pair in zip(numbers(one / name), numbers(other / name), strict=True)]
    largest = float(np.max([np.abs(np.subtract(*pair)).max() for pair in pairs]))  # NaN, if one is
    count = sum(np.size(first) for first, _ in pairs)
    print(f"{kind}: {len(names)} files, {count:,} numbers, largest difference {largest:g}", flush=True)
    return largest


def numbers(path: Path) -> Iterator[Any]:
    """Return the numbers of a file, in its order."""
    values = read_npz(path).values() if path.suffix == ".npz" else _leaves(read_json(path))
    for value in values:
        if np.issubdtype(np.asarray(value).dtype, np.number):
            yield np.asarray(value, dtype=float)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for element in value.values() if isinstance(value, dict) else value:
            yield from _leaves(element)
    else:
        yield value


if __name__ == "__main__":
    main()
