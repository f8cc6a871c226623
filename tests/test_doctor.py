"""`wen doctor`, `wen --version`, help and shell completion."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PROJECT
from tiny_study import set_params

from wen import doctor
from wen.config.paths import Paths
from wen.config.read import load
from wen.config.stages import STAGES
from wen.files import write_json

ALWAYS = ["code", "Python", "packages", "parameters", "device", "memory", "disk", "git", "DVC", "remote"]


def wen(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "wen", *command], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src"), "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"} | env,
    )  # fmt: skip


@pytest.fixture
def study(tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study that lacks nothing: parameters, a commit and an identity, and a DVC repository."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "study"
    root.mkdir()
    set_params(root, values)
    (root / ".dvc/tmp").mkdir(parents=True)
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    for command in ("init --quiet", "config user.name Ada", "config user.email ada@example.org", "add params.yaml",
                    "commit --quiet --message Study"):  # fmt: skip
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    return root


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the disk has 50 GB free."""
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))


def states(root: Path) -> dict[str, str]:
    return {finding.name: finding.state for finding in doctor.findings(Paths(root))}


def texts(root: Path) -> dict[str, str]:
    return {finding.name: finding.text for finding in doctor.findings(Paths(root))}


def test_a_study_that_lacks_nothing_is_ok_in_every_line(study: Path) -> None:
    found = states(study)
    assert set(ALWAYS) | {"images", "weights"} == set(found)
    assert {name for name, state in found.items() if state != "ok"} <= {"memory", "packages"}  # of this machine


def test_a_folder_that_is_no_study_ends_with_1_and_names_what_to_do(tmp_path: Path) -> None:
    done = wen(tmp_path, "doctor")
    assert done.returncode == 1
    assert done.stderr == "error: this study cannot run yet; fix first: parameters, git, DVC\n"
    assert "wen init FOLDER" in done.stdout
    assert "git init" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "\x1b" not in done.stdout


def test_wrong_parameters_are_reported_with_their_key(study: Path) -> None:
    (study / "params.yaml").write_text("lr: many\n")
    assert states(study)["parameters"] == "FAIL"
    assert "lr: " in texts(study)["parameters"]


def test_without_an_identity_git_is_a_warning_and_without_a_commit_a_failure(study: Path) -> None:
    subprocess.run(["git", "config", "--unset", "user.email"], cwd=study, check=True)
    assert states(study)["git"] == "warn"
    shutil.rmtree(study / ".git")
    subprocess.run(["git", "init", "--quiet"], cwd=study, check=True)
    assert states(study)["git"] == "FAIL"
    assert "git commit" in texts(study)["git"]


def test_missing_images_and_a_missing_file_of_weights_are_failures(study: Path, values: dict[str, Any]) -> None:
    values["dataset"] |= {"source": "cnmc", "synthetic": None}
    values["backbone"]["weights"] = "weights.pth"
    set_params(study, values)
    assert states(study)["images"] == states(study)["weights"] == "FAIL"
    (study / "data/raw").mkdir(parents=True)
    (study / "data/raw/cell.bmp").touch()
    (study / "weights.pth").touch()
    assert states(study)["images"] == states(study)["weights"] == "ok"


@pytest.mark.parametrize(("size", "state"), [(1.0, "ok"), (1e18, "FAIL")])
def test_the_room_on_the_disk_is_compared_with_the_last_plan_of_these_parameters(
    study: Path, size: float, state: str
) -> None:
    params = load(study / "params.yaml").model_dump(mode="json")
    write_json(Paths(study).planned, {"params": params, "bytes": size})
    assert states(study)["disk"] == state
    write_json(Paths(study).planned, {"params": params | {"seed": 1}, "bytes": 1e18})
    assert states(study)["disk"] == "ok"
    assert "wen plan" in texts(study)["disk"]


@pytest.mark.parametrize("why", ["dubious ownership", "/nowhere"])
def test_a_repository_that_git_cannot_open_is_a_failure_with_git_s_reason(
    study: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of another user, or a worktree whose repository was moved."""
    if why == "/nowhere":
        shutil.rmtree(study / ".git")
        (study / ".git").write_text("gitdir: /nowhere\n")
    else:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert states(study)["git"] == "FAIL"
    assert why in texts(study)["git"]
    assert "git init" not in texts(study)["git"]


def test_a_missing_remote_is_a_warning(study: Path) -> None:
    config = study / ".dvc/config"
    config.write_text("['remote \"store\"']\n    url = ../../store\n")  # as DVC writes ../store of the root
    assert states(study)["remote"] == "warn"
    (study.parent / "store").mkdir()
    assert texts(study)["remote"] == "store, ../../store: reachable"
    config.write_text("['remote \"store\"']\n    url = s3://cells\n    endpointurl = http://127.0.0.1:9\n")
    assert "no answer" in texts(study)["remote"]


def test_a_remote_that_a_user_set_for_all_projects_is_named(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(study.parent))
    (study.parent / "config").write_text(f"['remote \"store\"']\n    url = {study.parent}\n")
    assert texts(study)["remote"] == f"store, {study.parent}: reachable"


def test_settings_of_dvc_that_it_cannot_read_are_a_failure_and_every_other_line_is_shown(study: Path) -> None:
    """As a merge of two branches leaves them."""
    conflict = "<<<<<<< ours\n[core]\n    remote = a\n=======\n[core]\n    remote = b\n>>>>>>> theirs\n"
    (study / ".dvc/config").write_text(conflict)
    assert states(study)["DVC"] == "FAIL"
    assert str(study / ".dvc/config") in texts(study)["DVC"]
    assert set(states(study)) == {*ALWAYS, "images", "weights"} - {"remote"}


def test_remarks_and_quotes_in_the_settings_of_dvc_are_no_part_of_a_value(study: Path) -> None:
    (study / "store").mkdir()
    (study / ".dvc/config").write_text(f'[\'remote "store"\']\n    url = "{study}/store"  # on the old disk\n')
    assert texts(study)["remote"] == f"store, {study}/store: reachable"


def test_images_are_synthetic_by_their_source_alone(study: Path, values: dict[str, Any]) -> None:
    """Not by the section of synthetic cells, which may stay in params.yaml."""
    values["dataset"]["source"] = "cnmc"
    set_params(study, values)
    assert states(study)["images"] == "FAIL"


def test_packages_of_another_release_are_named_and_missing_ones_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: ["dvc>=3", "typer>=0.1", 'ray>=2 ; extra == "cluster"'])
    monkeypatch.setattr(doctor, "version", {"dvc": "3.0.1", "typer": "0.29.2"}.__getitem__)
    monkeypatch.setattr(doctor, "_pins", lambda _: {"dvc": "3.67.1", "typer": "0.29.2"})
    assert doctor._packages().state == "warn"
    assert doctor._packages().text.endswith("dvc 3.0.1 (tested: 3.67.1)")
    monkeypatch.setattr(doctor, "requires", lambda _: ["dvc>=3.5", "typer>=0.1"])
    assert doctor._packages().text.startswith("dvc 3.0.1 (needs >=3.5)")
    monkeypatch.setattr(doctor, "_release", {"dvc": "3.67.1", "typer": ""}.__getitem__)
    assert doctor._packages().state == "FAIL"


def test_version_names_release_and_commit(tmp_path: Path) -> None:
    done = wen(tmp_path, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("wen 0.")
    assert done.stdout.rstrip().endswith(str(PROJECT / "src/wen"))
    if (PROJECT / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=True)
        assert head.stdout[:7] in done.stdout


def test_a_shell_completes_commands(tmp_path: Path) -> None:
    done = wen(tmp_path, _WEN_COMPLETE="complete_bash", COMP_WORDS="wen do", COMP_CWORD="1")
    assert done.stdout.split() == ["doctor"]


def test_help_lists_the_stages_apart_from_what_a_person_calls(tmp_path: Path) -> None:
    people, stages = wen(tmp_path, "--help", COLUMNS="100").stdout.split("Stages of dvc.yaml")
    for stage in ("code", *STAGES):
        assert f"│ {stage} " in stages
        assert f"│ {stage} " not in people
    assert "│ doctor " in people
