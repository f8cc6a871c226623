"""The device that a node gets, and the files of the study that are sent to it."""

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from wen.config.jobs import System, addresses, before
from wen.config.member import Member
from wen.config.params import Params
from wen.launch.node import NEEDED, inputs_of, pack, wen_device
from wen.launch.run import jobs_of


@pytest.mark.parametrize(("here", "there"), [("cuda:1", "cuda"), ("cuda", "cuda"), ("cpu", "cpu"), ("mps", "mps")])
def test_a_node_uses_the_gpu_that_ray_assigns(here: str, there: str) -> None:
    assert wen_device(here) == {"WEN_DEVICE": there}


def test_without_a_device_the_node_chooses() -> None:
    assert wen_device("") == {}


def test_published_systems_run_beside_the_networks_on_what_they_read_alone(values: dict[str, Any]) -> None:
    systems = {"mondal2021": {"networks": ["vgg16", "resnet18"]}, "wibowo2024": {}}
    pretrained = {"vgg16": "hub", "tf_efficientnet_lite0": "pip"}
    params = Params.model_validate(values | {"systems": systems, "pretrained": pretrained})
    jobs = jobs_of(params)
    # resnet18 has no entry: the system is skipped, and the node needs nothing of it.
    beside = [System("mondal2021", ("vgg16",)), System("wibowo2024", ("tf_efficientnet_lite0",))]
    assert jobs == [*beside, *params.networks]
    extra = {str(path) for path in inputs_of(jobs[0])} - set(map(str, NEEDED))
    assert extra == {
        "data/copies.csv", "data/predictions/system/inputs", "data/networks/vgg16", "models/networks/vgg16",
    }  # fmt: skip
    assert inputs_of(Member("0.001", 0)) == list(NEEDED)
    assert before(params)[-3:] == ["network@vgg16", "network@tf_efficientnet_lite0", "systems"]
    stages = {stage for job in jobs for stage in job.stages}
    assert stages | set(before(params)) < set(addresses(params))


def test_a_node_gets_the_code_and_parameters_and_nothing_else_that_lies_in_the_folder(tmp_path: Path) -> None:
    """Not the images that were unpacked beside the study, nor names that are not UTF-8."""
    for name in ("src/wen/new.py", "params.yaml", ".dvc/config", ".dvc/config.local", "C-NMC/1.bmp", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "dvc.yaml").write_text("stages: {}  # cache: false\n")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  code: {cmd: wen code}\n  report: {cmd: wen report}\n")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).touch()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "params.yaml", "README.md"], cwd=tmp_path, check=True)
    with zipfile.ZipFile(io.BytesIO(pack(tmp_path, ["code"]))) as archive:
        names = {"src/wen/new.py", "params.yaml", ".dvc/config", ".dvc/config.local", "dvc.yaml", "dvc.lock"}
        assert set(archive.namelist()) == names
        assert json.loads(archive.read("dvc.lock"))["stages"] == {"code": {"cmd": "wen code"}}
