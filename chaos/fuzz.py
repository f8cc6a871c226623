"""Read files that were changed at random, as bad disks and attackers change them: make fuzz [MINUTES=10] [SEED=1]

Takes a valid file of each kind that the study reads, changes it in one to eight places and reads it. A result or a
`WenError` is right; anything else counts as lost, and is printed with the smallest change that causes it. Prints a
table and writes it into docs/RELIABILITY.md.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "tests/data"), str(PROJECT / "tests/pipeline")]

import layouts  # noqa: E402
import numpy as np  # noqa: E402
import page  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from study import RATES  # noqa: E402
from tiny_study import set_params, tiny_values  # noqa: E402

from wen.config.member import Member  # noqa: E402
from wen.config.params import Params  # noqa: E402
from wen.config.paths import Paths  # noqa: E402
from wen.config.read import load  # noqa: E402
from wen.data import bring, images, table  # noqa: E402
from wen.data.readers import cnmc  # noqa: E402
from wen.errors import WenError  # noqa: E402
from wen.files import read_json, write_json, write_npz  # noqa: E402
from wen.members import predictions  # noqa: E402
from wen.network import arrays, backbone  # noqa: E402
from wen.network.checkpoint import Checkpoint, Progress  # noqa: E402

TEXTS = [
    b"\0", b"\n", b",", b'"', b"nan", b"-1", b"\xff\xfe", b"{[*&!", b"1e999", b"0x" + b"f" * 5000,
    b"!!int ''", b"!!float _", b"!!bool x", b'"\\U99999999"',
]  # fmt: skip
PACKINGS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begin, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        kinds = everything(Path(name))
        for kind, (path, read) in kinds.items():
            seconds = 60 * options.minutes / len(kinds)
            rows.append((kind, *fuzz(path, read, seconds, options.seed)))
            print(*rows[-1], flush=True)
    lost = sum(row[-1] for row in rows)
    tried, read, refused = (sum(row[place] for row in rows) for place in (1, 2, 3))
    cells = [*rows, ("all", tried, read, refused, lost)]
    lines = [
        "| file | tried | read | refused | lost |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in row) + " |" for row in cells),
    ]
    print("\n".join(lines))
    minutes = (time.monotonic() - begin) / 60
    page.write("fuzz", f"`make fuzz MINUTES={options.minutes:g} SEED={options.seed}`, {minutes:.1f} minutes", lines)
    sys.exit(bool(lost))


def everything(root: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Return a valid file of each kind, and the function that reads it."""
    paths = Paths(root)
    source = layouts.tcia(root / "C-NMC")
    labels = source / layouts.LABELS
    with zipfile.ZipFile(root / "C-NMC.zip", "w") as archive:
        for path, packing in zip(sorted(source.rglob("*")), itertools.cycle(PACKINGS), strict=False):
            archive.write(path, path.relative_to(source), packing)
    values = tiny_values(RATES)
    values["dataset"]["source"] = "cnmc"
    values["dataset"]["side"] = values["images"]["crop"] = layouts.SIDE
    paths.profiles.mkdir()
    set_params(root, values)
    paths.params.replace(paths.profiles / "tiny.yaml")
    set_params(root, tiny_values(RATES))

    paths.index.parent.mkdir()
    ids = [f"UID_{k}_1_1_all" for k in range(8)]
    index = dict.fromkeys(table.INDEX, ids) | {"label": [0, 1] * 4, "width": 8, "height": 8}
    pd.DataFrame(index).to_csv(paths.index, index=False)
    split = {"id": ids, "part": ["development"] * 6 + ["test"] * 2, "fold": [0, 1] * 3 + [-1] * 2}
    pd.DataFrame(split).to_csv(paths.split, index=False)
    probability = {f"{part}_probability": np.linspace(0, 1, 8) for part in ("validation", "test")}
    ids_of = {"validation_id": np.array(ids), "test_id": np.array(ids)}
    rest = {f"{part}_label": np.arange(8) % 2 for part in ("validation", "test")} | ids_of
    maps = {"test_map": np.zeros((8, 2, 2), np.float16), "diverged": np.array(False)}
    write_npz(paths.predictions(Member("0.001", 0)), **probability, **rest, **maps)
    write_json(paths.split_metrics, {"unit": "image", "folds": {"0": {"images": 3, "duplicates": ["a"]}}})
    demo = load(PROJECT / "profiles/demo.yaml")
    network = backbone.build(demo.backbone, demo.images.size)
    model_file = paths.model(Member("0.001", 0))
    backbone.save(network.state_dict(), {"diverged": False}, model_file)
    checkpoint = Checkpoint(paths.checkpoint(Member("0.001", 0)), "fingerprint")
    progress = Progress("head", 1, 0, [{"stage": 1}], {"epoch": 0}, tensors={"trained.weight": torch.zeros(3)})
    checkpoint.save(progress)
    array = arrays.array_path(root, "pooled")
    np.save(array, np.zeros((8, 3), np.float32))
    image = next(source.rglob("*_all.bmp"))
    return {
        "image (BMP)": (image, lambda: images.decode_bmp(image.read_bytes(), layouts.SIDE)),
        "data set (zip)": (root / "C-NMC.zip", lambda: bring.run(root / "C-NMC.zip", "tiny", True, paths)),
        "labels (CSV)": (labels, lambda: list_cells(source)),
        "params.yaml": (paths.params, lambda: load(paths.params)),
        "data/index.csv": (paths.index, lambda: table.read_index(paths)),
        "data/split.csv": (paths.split, lambda: table.read_cells(paths)),
        "features (npy)": (array, lambda: list(arrays.read(array, [np.arange(8)]))),
        "predictions (npz)": (
            paths.predictions(Member("0.001", 0)),
            lambda: predictions.load(paths, [Member("0.001", 0)]),
        ),
        "metrics (JSON)": (paths.split_metrics, lambda: read_json(paths.split_metrics)),
        "model (safetensors)": (model_file, lambda: load_model(demo, model_file)),
        "checkpoint (safetensors)": (checkpoint.path, lambda: go_on(checkpoint, progress)),
    }


def list_cells(source: Path) -> None:
    if problems := cnmc.read(source).problems:
        raise WenError("\n".join(problems))


def go_on(checkpoint: Checkpoint, saved: Progress) -> None:
    """Resume a training from the saved state, or start it again; nothing else may be accepted."""
    found = checkpoint.load()
    if found is None:
        raise WenError("starts again")
    assert found.tensors["trained.weight"].equal(saved.tensors["trained.weight"])
    assert vars(found) | {"tensors": 0} == vars(saved) | {"tensors": 0}


def load_model(params: Params, path: Path) -> None:
    backbone.about(path)
    backbone.load(params, path, torch.device("cpu"))


def fuzz(path: Path, read: Callable[[], object], seconds: float, number: int) -> tuple[int, int, int, int]:
    """Change and read a file for some seconds; return how often it was tried, read, refused and lost."""
    valid, ends, count, lost = path.read_bytes(), time.monotonic() + seconds, Counter(), 0

    @settings(
        max_examples=50, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(changed(valid))
    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        try:
            with contextlib.redirect_stdout(None):
                read()
        except WenError:
            count["refused"] += 1
        else:
            count["read"] += 1

    while time.monotonic() < ends and not lost:
        try:
            seed(number + 1000 * sum(count.values()))(attempt)()
        except Exception:
            traceback.print_exc()
            lost += 1
    path.write_bytes(valid)
    return sum(count.values()) + lost, count["read"], count["refused"], lost


@st.composite
def changed(draw: st.DrawFn, valid: bytes) -> bytes:
    """Return valid bytes with one to eight changes: bits, numbers and text; parts removed, doubled or moved."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        size = draw(st.integers(1, 64))
        kind = draw(st.sampled_from(["bit", "number", "text", "cut", "double", "move", "end"]))
        piece = bytes(content[place : place + size])
        if kind == "bit" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            width = draw(st.sampled_from([1, 2, 4, 8]))
            value = draw(st.sampled_from([0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**63]))
            content[place : place + width] = value.to_bytes(9, "little")[:width]
        elif kind == "text":
            content[place:place] = draw(st.sampled_from(TEXTS))
        elif kind == "cut":
            del content[place : place + size]
        elif kind == "double":
            content[place:place] = piece
        elif kind == "move":
            content[: len(piece)] = piece
        elif kind == "end":
            del content[place:]
    return bytes(content)


if __name__ == "__main__":
    main()
