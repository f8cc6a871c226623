"""Every published system at every depth: its outputs, and that it learns from training images alone."""

import json
import re
import shutil
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from made_up import CASES, CLASSICAL, made_up, run

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import read_cells
from wen.files import read_json
from wen.members.predictions import load
from wen.network import device
from wen.network.arrays import array_path
from wen.systems import stage, system, wanted
from wen.systems.fold import Source, Training

Studies = dict[str, tuple[Params, Paths]]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """One study in which all systems ran at depth frozen, and one in which all that can ran at depth finetune."""
    made = {}
    for depth in ("frozen", "finetune"):
        settings = {name: {"depth": depth} for name, its in CASES if its == depth}
        made[depth] = made_up(tmp_path_factory.mktemp(depth), **settings)
        run(*made[depth])
    return made


def about(paths: Paths, name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_json(paths.system(name))
    return found


def fitted(paths: Paths, name: str, fold: int) -> dict[str, Any]:
    """What a system's variants learnt on a fold: files of models, chosen settings and histories."""
    models = {path.parent.name: path.read_bytes() for path in paths.of_system(name)[0].glob(f"*/{fold}.*")}
    variants = {variant["name"]: variant["folds"][fold] for variant in about(paths, name)["variants"]}
    return {variant: (content, json.dumps(variants[variant])) for variant, content in models.items()}


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_a_system_predicts_every_validation_and_test_image(studies: Studies, name: str, depth: str) -> None:
    params, paths = studies[depth]
    found, cells = about(paths, name), read_cells(paths)
    assert (found["state"], found["depth"], found["missing"]) == ("run", depth, {})
    assert found["computed"] == ("" if name in CLASSICAL else "CPU, float32")
    assert found["stand_ins"] == found["networks"]  # no paper used timm's test networks
    assert [variant["role"] for variant in found["variants"]].count("control") >= 1
    assert found["shown"] in [variant["name"] for variant in found["variants"] if variant["role"] == "main"]
    for variant in found["variants"]:
        members = load(paths, params.members(f"system/{name}/{variant['name']}"))
        for member in members:
            assert member.validation_id.tolist() == cells.id[cells.fold == member.member.fold].tolist()
            assert member.test_id.tolist() == cells.id[cells.part == "test"].tolist()
            row = read_json(paths.of_system(name)[2] / f"{variant['name']}/{member.member.fold}.json")
            assert row["kappa"] == pytest.approx(member.test_row()["kappa"])
        mean = np.mean([member.validation_row()["accuracy"] for member in members])
        assert variant["validation"] == pytest.approx(mean)


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_nothing_that_is_fitted_depends_on_validation_or_test_images(
    studies: Studies, tmp_path: Path, name: str, depth: str
) -> None:
    params, paths = studies[depth]
    root = tmp_path / "poisoned"
    shutil.copytree(paths.root, root)
    poisoned = Paths(root)
    rows = (read_cells(paths).fold != 1).to_numpy()  # fold 0 trains on fold 1 alone
    for file in (*root.glob("data/networks/*/*.npy"), array_path(poisoned.features, "images")):
        values = np.load(file)
        values[rows] = (values[rows][::-1] * 0.7 + 3).astype(values.dtype)
        np.save(file, values)
    index = pd.read_csv(poisoned.index)
    index.assign(label=np.where(rows, 1 - index.label, index.label)).to_csv(poisoned.index, index=False)
    stage.run(params, poisoned, name)
    assert fitted(poisoned, name, 0) == fitted(paths, name, 0)
    after, before = fitted(poisoned, name, 1), fitted(paths, name, 1)
    assert all(after[variant] != before[variant] for variant in before)  # whose training images these are


@pytest.mark.parametrize("name", ["baby2022", "wibowo2024", "ullah2021"])
def test_equal_runs_leave_equal_bytes(studies: Studies, tmp_path: Path, name: str) -> None:
    params, paths = studies["frozen"]
    shutil.copytree(paths.root, tmp_path / "again")
    again = Paths(tmp_path / "again")
    stage.run(params, again, name)
    files = [path for folder in paths.of_system(name) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert path.read_bytes() == (again.root / path.relative_to(paths.root)).read_bytes(), path
    assert not again.searches(name).exists()


@pytest.mark.parametrize("spoil", ["", "model", "about.json", "predictions.npz"])
def test_a_system_that_is_stopped_goes_on_with_the_next_model(
    studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    params, paths = studies["frozen"]
    shutil.copytree(paths.root, tmp_path / "stopped")
    stopped = Paths(tmp_path / "stopped")
    fitted: list[int] = []
    fit = stage.training_of

    def until(member: Member, source: Source, cells: pd.DataFrame) -> Training:
        fitted.append(member.fold)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit(member, source, cells)

    monkeypatch.setattr(stage, "training_of", until)
    with pytest.raises(KeyboardInterrupt):
        stage.run(params, stopped, "ullah2021")
    if spoil:
        (stopped.searches("ullah2021") / f"attention-0/{spoil}").unlink()
    stage.run(params, stopped, "ullah2021")
    assert fitted == [0, 1, 0, *[0] * bool(spoil), 0, 1]
    assert stopped.system("ullah2021").read_bytes() == paths.system("ullah2021").read_bytes()
    for path in paths.of_system("ullah2021")[0].rglob("*.safetensors"):
        assert path.read_bytes() == (stopped.root / path.relative_to(paths.root)).read_bytes()


@pytest.mark.parametrize(("name", "begins_again"), [("batool2023", True), ("baby2022", False)])
def test_a_system_that_goes_on_with_another_device_trains_all_of_its_models_there(
    studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, begins_again: bool
) -> None:
    params, paths = studies["frozen"]
    shutil.copytree(paths.root, tmp_path / "stopped")
    stopped = Paths(tmp_path / "stopped")
    fit, folds = stage.training_of, list[int]()
    source, _ = stage.source_of(params, stopped, name)
    variant = system.find(name).variants(system.settings_of(params, name))[0]
    assert variant.fit
    (member, _) = params.members(f"system/{name}/{variant.name}")
    stage.fit_fold(variant.fit, member, source, stage.cells_of(stopped))

    def counted(member: Member, source: Source, cells: pd.DataFrame) -> Training:
        folds.append(member.fold)
        return fit(member, source, cells)

    monkeypatch.setattr(stage, "training_of", counted)
    monkeypatch.setattr(device, "described", lambda *_: "NVIDIA T4, float16")
    stage.run(params, stopped, name)
    assert folds == [*[0] * begins_again, 1, 0, 1]
    assert about(stopped, name)["computed"] == ("NVIDIA T4, float16" if begins_again else "")


@pytest.mark.parametrize("name", [name for name, depth in CASES if depth == "finetune"])
def test_depth_finetune_trains_the_network_itself(studies: Studies, name: str) -> None:
    import safetensors.torch

    _, paths = studies["finetune"]
    first = next(
        variant for variant in about(paths, name)["variants"] if variant["role"] == "control" or name == "mondal2021"
    )
    file = next((paths.of_system(name)[0] / first["name"]).glob("0.*"))
    trained = safetensors.torch.load_file(file)
    start = safetensors.torch.load_file(paths.network_weights(about(paths, name)["networks"][0]))
    key = next(key for key in trained if key.endswith("conv_stem.weight"))
    assert not np.array_equal(trained[key], start[key.split("network.")[1]])


def test_systems_that_train_no_network_have_no_depth_finetune() -> None:
    assert {name for name, _ in CASES} - {name for name, depth in CASES if depth == "finetune"} == set(CLASSICAL)


def test_the_system_of_the_manual_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PROJECT / "docs/SYSTEMS.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = types.ModuleType("someone2025")
    exec(compile(example, "someone2025", "exec"), module.__dict__)
    for place in (system, stage, wanted):
        monkeypatch.setattr(place, "find", lambda name: module)
    params, paths = made_up(tmp_path, someone2025={"epochs": 1})
    run(params, paths)
    assert [variant["name"] for variant in about(paths, "someone2025")["variants"]] == ["dropout", "no-dropout"]
    assert module.seconds(module.Settings()) > 0
