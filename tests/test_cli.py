"""The command line under signals, full disks and wrong options."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT, study_values
from tiny_study import private_mounts, set_params

from wen import cli
from wen.config.paths import Paths
from wen.errors import WenError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_stage_within_seconds_with_one_line(
    tmp_path: Path, values: dict[str, Any], number: signal.Signals
) -> None:
    values["dataset"]["synthetic"]["cells"] = 20_000  # so that it is still at work
    set_params(tmp_path, values)
    process = subprocess.Popen(
        [sys.executable, "-m", "wen", "prepare"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list((tmp_path / "data").glob(".synthetic.*.partial")) if (tmp_path / "data").exists() else True:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, output = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert output == f"stopped by {number.name}\n"
    assert not (tmp_path / "data/synthetic").exists()
    assert not (tmp_path / "data/index.csv").exists()


@pytest.mark.parametrize("named", ["system@baby2022", "../dvc.yaml:system@baby2022"])
def test_a_stage_is_checked_by_its_name_from_every_folder(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """From a subfolder, DVC puts the path of dvc.yaml before the name."""
    checked: list[str] = []

    def watch(stage: str, paths: Paths) -> Callable[[], None]:
        checked.append(stage)
        raise WenError("enough")

    monkeypatch.setenv("DVC_STAGE", named)
    monkeypatch.setattr(cli.listed, "check", lambda stage, paths: checked.append(stage))
    monkeypatch.setattr(cli.edited, "watch", watch)
    with pytest.raises(WenError, match="enough"):
        cli.app(["system", "baby2022"], standalone_mode=False)
    assert checked == ["system/baby2022", "system@baby2022"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = study_values()
    values["dataset"]["synthetic"]["cells"] = 400
    root = tmp_path_factory.mktemp("made")
    set_params(root, values)
    done = wen(root, "prepare")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def prepared(made: Path, tmp_path: Path) -> Path:
    """A study with its index, in a folder that is to become full or read-only."""
    return shutil.copytree(made, tmp_path / "study")


def wen(root: Path, *command: str, around: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*around, sys.executable, "-m", "wen", *command],
        cwd=root, env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.parent.name != "logs"
    }


def ends_with_a_sentence(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_file_too_large_for_the_system_leaves_earlier_outputs_as_they_were(prepared: Path) -> None:
    before = files(prepared)
    done = wen(prepared, "prepare", around=("sh", "-c", 'ulimit -f 2; exec "$0" "$@"'))
    ends_with_a_sentence(done, "File too large")
    assert files(prepared) == before


def mounted(how: str, root: Path) -> tuple[str, ...]:
    """The start of a command that sees the study's folder mounted that way, in a mount namespace."""
    return (
        *private_mounts(),
        f'set -e; {how}; cd "{root}"; "$0" "$@" || end=$?; (cd data && md5sum index.csv >&2); exit ${{end:-0}}',
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            'cp -r "{0}" /tmp/$$; mount -t tmpfs -o size=5m none "{0}"; cp -r /tmp/$$/. "{0}"; rm -r /tmp/$$',
            "No space",
        ),
        ('mount --bind "{0}" "{0}"; mount -o remount,ro,bind "{0}"', "Read-only file system"),
    ],
    ids=["full", "read-only"],
)
def test_a_full_disk_and_a_read_only_folder_leave_earlier_outputs_as_they_were(
    prepared: Path, how: str, message: str
) -> None:
    done = wen(prepared, "prepare", around=mounted(how.format(prepared), prepared))
    *error, digest = done.stderr.splitlines()
    done.stderr = "\n".join(error)
    ends_with_a_sentence(done, message)
    assert digest.split()[0] == hashlib.md5((prepared / "data/index.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (MemoryError(), ". End other programs or train fewer models"),
        (MemoryError("Unable to allocate 7 TiB"), ". End other programs or train fewer models"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            " on the GPU. End other programs on it",
        ),
    ],
)
def test_too_little_memory_ends_with_a_sentence(
    error: Exception, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(prog_name: str) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith(f"error: not enough memory{remedy}")
    assert len(message.splitlines()) == 1
    assert str(error) in message


def test_the_time_of_a_stage_that_failed_is_not_kept(prepared: Path) -> None:
    (prepared / "data/index.csv").write_text("nothing")
    assert wen(prepared, "split").returncode == 1
    assert re.fullmatch(r"prepare,\d+\.\d\r\n", (prepared / "logs/times.csv").read_bytes().decode())


def test_an_unexpected_error_is_raised_and_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(prog_name: str) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli.main()


@pytest.mark.parametrize(("closed", "printed"), [(1, "no such file"), (2, "")])
def test_an_error_is_printed_on_standard_error_alone_if_a_standard_stream_is_closed(
    tmp_path: Path, closed: int, printed: str
) -> None:
    done = wen(tmp_path, "check", around=("sh", "-c", f'exec "$0" "$@" {closed}>&-'))
    assert done.returncode == 1
    assert done.stdout == ""
    assert printed in done.stderr
    assert "Traceback" not in done.stderr


def test_without_ray_wen_run_says_what_to_install(tmp_path: Path, values: dict[str, Any]) -> None:
    set_params(tmp_path, values)
    (tmp_path / "ray.py").write_text("raise ImportError")  # `python -m` looks here first
    done = wen(tmp_path, "run")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Ray is not installed here: pip install")
    assert "Traceback" not in done.stderr


def test_jobs_and_a_cluster_together_are_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    set_params(tmp_path, values)
    done = wen(tmp_path, "run", "--jobs", "2", "--address", "auto")
    assert done.returncode == 2
    assert "--jobs applies to this machine only" in " ".join(done.stderr.replace("│", " ").split())
