"""The memory that a process may use, with made-up files of Linux in a folder."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from wen import memory, plan


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 64 GB, of which 50 are free."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=50 * 10**9, total=64 * 10**9))
    return tmp_path


def write(folder: Path, files: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def version_2(limit: object, used: int = 0, inactive: int = 0) -> dict[str, object]:
    return {"memory.max": limit, "memory.current": used, "memory.stat": f"anon 5\ninactive_file {inactive}"}


def version_1(limit: int, used: int, inactive: int) -> dict[str, object]:
    statistics = f"inactive_file 1\ntotal_inactive_file {inactive}"
    return {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": statistics}


@pytest.mark.parametrize(
    ("line", "groups", "expected"),
    [
        ("0::/", {"": version_2(8 * 10**9, 3 * 10**9, 10**9)}, (6 * 10**9, 8 * 10**9)),
        ("0::/docker/4f1c", {"": version_2(8 * 10**9)}, (8 * 10**9, 8 * 10**9)),
        ("0::/a/b", {"a/b": version_2("max", 1), "a": version_2(10**9, 2 * 10**9)}, (0, 10**9)),
        ("0::/", {"": version_2(60 * 10**9)}, (50 * 10**9, 60 * 10**9)),
        ("4:memory:/a\n0::/", {"memory/a": version_1(4 * 10**9, 10**9, 10**8)}, (31 * 10**8, 4 * 10**9)),
        ("4:memory:/", {"memory": version_1(9223372036854771712, 10**9, 0)}, (50 * 10**9, 64 * 10**9)),
        ("0::/", {"": version_2("")}, (50 * 10**9, 64 * 10**9)),
        ("0::/", {}, (50 * 10**9, 64 * 10**9)),
    ],
)
def test_a_container_s_limit_counts_beside_the_memory_of_the_machine(
    root: Path, line: str, groups: dict[str, dict[str, object]], expected: tuple[int, int]
) -> None:
    write(root / "proc/self", {"cgroup": line})
    for group, files in groups.items():
        write(root / "sys/fs/cgroup" / group, files)
    assert memory.usable(root) == expected


def test_without_control_groups_the_memory_of_the_machine_counts(root: Path) -> None:
    assert memory.usable(root) == (50 * 10**9, 64 * 10**9)


def test_wen_plan_compares_with_the_memory_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "usable", lambda: (2 * 10**9, 8 * 10**9))
    assert plan.memory_of(plan.torch.device("cpu")) == 2 * 10**9
