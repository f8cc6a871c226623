"""The number of cores that a process may use, with made-up files of Linux in a folder."""

import os
from pathlib import Path

import pytest

from wen import cores


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with eight cores, of which a scheduler gave this process six."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


VERSION_1 = "12:cpu,cpuacct:/docker/4f1c\n11:cpuset:/docker/4f1c\n1:name=systemd:/docker/4f1c"


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "20000 100000"}, 1),
        ("0::/", {"cpu.max": "3200000 100000"}, 6),
        ("0::/", {"cpu.max": "max 100000"}, 6),
        ("0::/user/job", {"user/job/cpu.max": "max 100000", "user/cpu.max": "300000 100000"}, 3),
        ("0::/docker/4f1c", {"cpu.max": "400000 100000"}, 4),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        (VERSION_1, {"cpu/docker/4f1c/cpu.cfs_quota_us": "50000", "cpu/docker/4f1c/cpu.cfs_period_us": "10000"}, 5),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 6),
        ("0::/", {"cpu.max": ""}, 6),
        ("0::/", {}, 6),
    ],
)
def test_a_container_s_limit_counts_beside_the_scheduler_s(
    root: Path, group: str, files: dict[str, str], expected: int
) -> None:
    write(root, {"proc/self/cgroup": group} | {f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    assert cores.usable(root) == expected


def test_without_control_groups_the_scheduler_s_limit_counts_or_all_cores(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cores.usable(root) == 6
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores.usable(root) == 8


def test_the_limit_is_at_most_what_this_process_has() -> None:
    assert 1 <= cores.usable() <= (os.cpu_count() or 1)
