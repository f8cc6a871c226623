"""Outputs of stages that params.yaml no longer has are removed if DVC can bring them back."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from conftest import PROJECT

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import WenError
from wen.integrity import dropped, verify

OUTS = {
    "train-fold@0.001-0": ["models/0.001/0.safetensors", "plots/training/0.001/0/"],
    "train-fold@0.001-4": ["models/0.001/4.safetensors", "plots/training/0.001/4/"],
    "predict-fold@0.001-4": ["data/predictions/0.001/4.npz", "metrics/single/0.001/4.json"],
    "train-fold@0.0003-0": ["models/0.0003/0.safetensors"],
    "system@baby2022": ["models/system/baby2022/"],
    "split": ["data/split.csv"],
    "count@all": ["data/counts.csv"],
}
"""Outputs by stage; those that end in a slash are folders. The last stage is one of the user's own."""
OF_FOLD_4 = {name.rstrip("/") for stage, names in OUTS.items() if stage.endswith("-4") for name in names}


def put(paths: Paths, text: str, ending: str = "") -> str:
    """Add an object to DVC's cache, and return its MD5."""
    md5 = hashlib.md5(text.encode()).hexdigest() + ending
    place = paths.root / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return md5


def write(paths: Paths, name: str, text: str) -> None:
    (paths.root / name).parent.mkdir(parents=True, exist_ok=True)
    (paths.root / name).write_text(text)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A study of five folds whose outputs are in the cache."""
    paths = Paths(tmp_path)
    write(paths, "params.yaml", (PROJECT / "params.yaml").read_text())
    stages = {}
    for stage, names in OUTS.items():
        outs = []
        for name in names:
            files = [f"{name}a", f"{name}b"] if name.endswith("/") else [name]
            for file in files:
                write(paths, file, file)
            listed = [{"md5": put(paths, file), "relpath": Path(file).name} for file in files]
            md5 = put(paths, json.dumps(listed), ".dir") if name.endswith("/") else listed[0]["md5"]
            outs.append({"path": name.rstrip("/"), "md5": md5})
        stages[stage] = {"cmd": f"wen {stage}", "outs": outs}
    write(paths, "dvc.lock", json.dumps({"schema": "2.0", "stages": stages}))
    return paths


def changed(paths: Paths, **values: object) -> Params:
    return Params.model_validate(load(paths.params).model_dump() | {"folds": [0, 1, 2, 3, 4], "lr": 0.0003} | values)


def files(paths: Paths) -> set[str]:
    found = (path for path in paths.root.rglob("*") if path.is_file() and ".dvc" not in path.parts)
    return {path.relative_to(paths.root).as_posix() for path in found}


def test_nothing_is_removed_while_params_yaml_has_every_stage(paths: Paths) -> None:
    before = files(paths)
    assert dropped.remove(changed(paths), paths) == []
    assert files(paths) == before


def test_the_outputs_of_a_dropped_fold_are_removed_with_their_empty_folders(paths: Paths) -> None:
    before = files(paths)
    assert set(dropped.remove(changed(paths, folds=[0, 1, 2, 3]), paths)) == OF_FOLD_4
    assert {name for name in before - files(paths) if "/4" not in name} == set()
    assert "models/0.001/0.safetensors" in files(paths)
    assert not (paths.root / "plots/training/0.001/4").exists()
    assert not (paths.root / "metrics").exists()


@pytest.mark.parametrize(
    ("values", "removed"),
    [({"systems": {}}, ["models/system/baby2022"]), ({"lr": 0.001}, ["models/0.0003/0.safetensors"])],
)
def test_those_of_a_dropped_system_and_of_a_learning_rate_off_the_grid_too(
    paths: Paths, values: dict[str, object], removed: list[str]
) -> None:
    assert dropped.remove(changed(paths, **values), paths) == removed


def forget(paths: Paths, *stages: str) -> None:
    """Write dvc.lock without stages, as `git checkout` of a commit that never had them does."""
    lock = json.loads((paths.root / "dvc.lock").read_text())
    lock["stages"] = {name: record for name, record in lock["stages"].items() if name not in stages}
    write(paths, "dvc.lock", json.dumps(lock))


def test_of_stages_that_dvc_lock_lacks_the_outputs_in_folders_that_stages_read_are_removed(paths: Paths) -> None:
    forget(paths, "train-fold@0.001-4", "predict-fold@0.001-4")
    write(paths, "data/predictions/0.001/5.npz", "not in the cache")
    write(paths, "data/predictions/0.001/4.copy.npz", "data/predictions/0.001/4.npz")
    removed = ["data/predictions/0.001/4.npz", "plots/training/0.001/4"]
    assert dropped.remove(changed(paths, folds=[0, 1, 2, 3]), paths) == removed
    assert OF_FOLD_4 - set(removed) <= files(paths)
    assert {"data/predictions/0.001/5.npz", "data/predictions/0.001/4.copy.npz"} <= files(paths)


def test_without_records_in_dvc_lock_the_outputs_of_present_stages_stay(paths: Paths) -> None:
    forget(paths, *OUTS)
    before = files(paths)
    assert dropped.remove(changed(paths), paths) == []
    assert files(paths) == before


def test_the_network_of_a_stage_of_the_user_s_own_stays(paths: Paths) -> None:
    lock = json.loads((paths.root / "dvc.lock").read_text())
    put(paths, "features")
    write(paths, "data/networks/ours", "features")
    write(paths, "data/networks/resnet18", "features")
    out = {"path": "data/networks/ours", "md5": hashlib.md5(b"features").hexdigest()}
    lock["stages"]["count@all"]["outs"].append(out)
    write(paths, "dvc.lock", json.dumps(lock))
    assert dropped.remove(changed(paths), paths) == ["data/networks/resnet18"]


def test_metrics_that_only_git_has_are_removed_unless_they_were_edited_or_are_not_tracked(paths: Paths) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=paths.root, check=True)

    name = "metrics/single/0.001/4.json"
    md5 = hashlib.md5(name.encode()).hexdigest()
    (paths.root / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").unlink()
    fewer = changed(paths, folds=[0, 1, 2, 3])
    git("init", "--quiet")
    assert name not in dropped.remove(fewer, paths)
    git("add", name)
    git("commit", "--quiet", "--message", "Record")
    write(paths, name, "edited")
    assert name not in dropped.remove(fewer, paths)
    git("checkout", "--quiet", "--", name)
    assert dropped.remove(fewer, paths) == [name]
    assert not (paths.root / "metrics").exists()


@pytest.mark.parametrize("lost", ["a file", "a file of a folder", "a listing"])
def test_an_output_stays_that_the_cache_lacks(paths: Paths, lost: str) -> None:
    outs = json.loads((paths.root / "dvc.lock").read_text())["stages"]["train-fold@0.001-4"]["outs"]
    name = outs[0]["path"] if lost == "a file" else outs[1]["path"]
    md5 = {
        "a file": outs[0]["md5"], "a listing": outs[1]["md5"],
        "a file of a folder": hashlib.md5(b"plots/training/0.001/4/b").hexdigest(),
    }[lost]  # fmt: skip
    (paths.root / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").unlink()
    assert set(dropped.remove(changed(paths, folds=[0, 1, 2, 3]), paths)) == OF_FOLD_4 - {name}
    assert (paths.root / name).exists()


def test_an_output_stays_that_was_edited(paths: Paths) -> None:
    write(paths, "models/0.001/4.safetensors", "another")
    assert set(dropped.remove(changed(paths, folds=[0, 1, 2, 3]), paths)) == OF_FOLD_4 - {"models/0.001/4.safetensors"}
    assert (paths.root / "models/0.001/4.safetensors").read_text() == "another"


def test_wen_verify_misses_no_output_of_a_dropped_stage(paths: Paths) -> None:
    text = paths.params.read_text()
    assert text.count("folds: [0, 1, 2, 3, 4]") == text.count("lr: 0.001 ") == 1
    paths.params.write_text(text.replace("lr: 0.001 ", "lr: 0.0003 ").replace("0, 1, 2, 3, 4]", "0, 1, 2, 3]"))
    dropped.remove(load(paths.params), paths)
    verify.run(paths)
    (paths.root / "models/0.001/0.safetensors").unlink()
    with pytest.raises(WenError, match=r"not those that dvc.lock names, 1: models/0.001/0.safetensors"):
        verify.run(paths)
