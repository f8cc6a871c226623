"""Parameters and dependencies that change while a stage runs."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import PROJECT

from wen.config.paths import Paths
from wen.errors import WenError
from wen.integrity import edited


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    return Paths(tmp_path)


def replace(paths: Paths, old: str, new: str) -> None:
    text = paths.params.read_text()
    assert text.count(old) == 1
    paths.params.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("stage", "old", "new", "named"),
    [
        ("train-fold@0.001-0", "  epochs: 90", "  epochs: 91", "head"),
        ("prepare", "  crop: 120", "  crop: 110", "images.crop"),
        ("system@wibowo2024", "trials: 6", "trials: 7", "systems.wibowo2024"),
        ("report", "# demo:", "# our demo:", "its content"),
    ],
)
def test_a_parameter_of_a_stage_that_changes_while_it_runs_is_refused(
    paths: Paths, stage: str, old: str, new: str, named: str
) -> None:
    check = edited.watch(stage, paths)
    check()
    replace(paths, old, new)
    with pytest.raises(WenError, match=rf"params.yaml: {named} changed while {stage} ran, .*; run `dvc repro` again"):
        check()
    replace(paths, new, old)
    check()


@pytest.mark.parametrize("stage", ["train-fold@0.001-0", "prepare", "system@baby2022", "ensemble-intra"])
def test_a_parameter_of_other_stages_may_change_while_a_stage_runs(paths: Paths, stage: str) -> None:
    check = edited.watch(stage, paths)
    replace(paths, "  margin: 0.01", "  margin: 0.02")
    replace(paths, "trials: 6", "trials: 7")
    replace(paths, "# demo:", "# our demo:")
    check()


def test_the_error_of_a_stage_that_failed_is_not_replaced(paths: Paths) -> None:
    check = edited.watch("prepare", paths)
    replace(paths, "  crop: 120", "  crop: 110")
    try:
        raise ValueError
    except ValueError:
        check()


DEPENDENCIES = {
    "train-fold@0.001-0": "data/code/train-fold.txt", "predict-fold@1e-05-1": "models/1e-05/1.safetensors",
    "split": "data/index.csv", "system@baby2022": "data/predictions/system/inputs/baby2022.json",
    "ensemble-inter@0.0001": "data/predictions/0.0001/2.npz", "ensemble-intra": "data/predictions/1e-05/0.npz",
    "report": "plots/dataset/images.svg",
}  # fmt: skip


def write(paths: Paths, name: str, text: str) -> None:
    (paths.root / name).parent.mkdir(parents=True, exist_ok=True)
    (paths.root / name).write_text(text)


@pytest.mark.parametrize(("stage", "name"), DEPENDENCIES.items())
def test_a_dependency_of_a_stage_that_changes_while_it_runs_is_refused(paths: Paths, stage: str, name: str) -> None:
    write(paths, name, "old")
    check = edited.watch(stage, paths)
    check()
    write(paths, name, "new")
    with pytest.raises(WenError, match=rf"^{name} changed while {stage} ran, .*; run `dvc repro` again"):
        check()


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_file_that_is_added_to_a_dependency_or_removed_from_it_is_named(paths: Paths, change: str) -> None:
    write(paths, "data/predictions/0.001/0.npz", "a")
    if change == "removed":
        write(paths, "data/predictions/0.001/1.npz", "b")
    check = edited.watch("ensemble-inter@0.001", paths)
    if change == "removed":
        (paths.root / "data/predictions/0.001/1.npz").unlink()
    else:
        write(paths, "data/predictions/0.001/1.npz", "b")
    with pytest.raises(WenError, match=r"^data/predictions/0.001/1.npz changed while"):
        check()


def test_what_a_stage_does_not_depend_on_may_change_while_it_runs(paths: Paths) -> None:
    write(paths, "data/code/train-fold.txt", "old")
    check = edited.watch("train-fold@0.001-0", paths)
    write(paths, "data/code/report.txt", "new")
    write(paths, "data/features/.DS_Store", "litter")
    write(paths, "data/features/.images.host.7.partial/images.npy", "unfinished")
    write(paths, "models/0.001/0.safetensors", "the output")
    check()


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def record(paths: Paths, outs: dict[str, str]) -> None:
    """As DVC would, in JSON, which is valid YAML."""
    items = [{"path": path, "md5": digest} for path, digest in outs.items()]
    write(paths, "dvc.lock", json.dumps({"schema": "2.0", "stages": {"before": {"cmd": "wen", "outs": items}}}))


@pytest.mark.parametrize("touched", [True, False])
def test_a_dependency_that_is_touched_or_written_again_with_equal_content_is_accepted(
    paths: Paths, touched: bool
) -> None:
    listing = json.dumps([{"md5": md5("code"), "relpath": "split.txt"}])
    write(paths, f".dvc/cache/files/md5/{md5(listing)[:2]}/{md5(listing)[2:]}.dir", listing)
    record(paths, {"data/code": f"{md5(listing)}.dir", "data/index.csv": md5("rows")})
    for name, text in (("data/index.csv", "rows"), ("data/code/split.txt", "code")):
        write(paths, name, text)
    check = edited.watch("split", paths)
    record(paths, {})  # what a checkout of another commit puts there counts no more
    for name, text in (("data/index.csv", "rows"), ("data/code/split.txt", "code")):
        if touched:
            os.utime(paths.root / name, (1, 1))
        else:
            (paths.root / name).unlink()
            write(paths, name, text)
    check()
    write(paths, "data/index.csv", "Rows")
    with pytest.raises(WenError, match=r"^data/index.csv changed"):
        check()
