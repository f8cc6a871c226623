"""What killed processes have left is removed when nothing can be writing it any more."""

import os
import socket
import time
from pathlib import Path

import pytest

from wen.config.paths import Paths
from wen.files import atomic, write_text
from wen.integrity import leftovers

UNFINISHED = (
    ".report.4f1c0a77b2e1.12.partial", "data/.features.4f1c0a77b2e1.7.partial",
    "plots/training/0.001/.0.node-2.9.partial",
)  # fmt: skip
"""Of containers and other machines, whose processes cannot be asked."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in UNFINISHED:
        write_text(tmp_path / name / "images-clean.npy", "half")
    write_text(tmp_path / "models/0.001/.3.safetensors.node-2.9.partial", "half")
    write_text(tmp_path / "data/features/images-clean.npy", "whole")
    return tmp_path


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day and a bit from now."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + leftovers.STALE + 60)


def test_unfinished_outputs_of_other_machines_stay_for_a_day(study: Path) -> None:
    assert leftovers.remove(Paths(study)) == []
    assert all((study / name / "images-clean.npy").exists() for name in UNFINISHED)


@pytest.mark.usefixtures("later")
def test_unfinished_outputs_of_other_machines_are_removed_after_a_day(study: Path) -> None:
    expected = {*UNFINISHED, "models/0.001/.3.safetensors.node-2.9.partial"}
    assert set(leftovers.remove(Paths(study))) == expected
    assert not list(study.rglob("*.partial"))
    assert (study / "data/features/images-clean.npy").read_text() == "whole"


@pytest.mark.usefixtures("later")
def test_the_copy_that_wen_run_made_for_nodes_is_removed_after_a_day(tmp_path: Path) -> None:
    write_text(tmp_path / ".dvc/tmp/wen-12/tmp1/models/0.001/0.safetensors", "model")
    (tmp_path / ".dvc/tmp/wen-13").mkdir()  # of a run that waits for a node
    assert leftovers.remove(Paths(tmp_path)) == [".dvc/tmp/wen-12"]
    assert [path.name for path in (tmp_path / ".dvc/tmp").iterdir()] == ["wen-13"]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("host", ["node-2", "node2.cluster.local", socket.gethostname()])
def test_an_earlier_folder_stays_until_another_has_taken_its_place(tmp_path: Path, host: str) -> None:
    earlier = tmp_path / f"plots/training/0.001/.0.{host}.earlier.9.partial"
    write_text(earlier / "metrics.json", "{}")
    assert leftovers.remove(Paths(tmp_path)) == []
    (tmp_path / "plots/training/0.001/0").mkdir()
    assert leftovers.remove(Paths(tmp_path)) == [earlier.relative_to(tmp_path).as_posix()]


def test_an_output_that_is_being_written_now_is_left_alone(tmp_path: Path) -> None:
    with atomic(tmp_path / "data/features") as partial:
        partial.mkdir()
        os.utime(partial, (0, 0))  # an old time that was copied with the content says nothing
        assert leftovers.remove(Paths(tmp_path)) == []
        write_text(partial / "images-clean.npy", "whole")
    assert (tmp_path / "data/features/images-clean.npy").exists()
