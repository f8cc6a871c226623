"""`wen run` on one machine: models side by side give what `dvc repro` gives."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_study import Study, finished_study, prepared_study, processes_in, same, started


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study as `dvc repro` makes it."""
    return finished_study(tmp_path_factory, "serial")


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}


@pytest.fixture
def head() -> Iterator[str]:
    """The ray:// address of a cluster of one node, started as a person starts it; it asks for `TOKEN`."""
    with socket.socket() as own, socket.socket() as other:
        own.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = own.getsockname()[1], other.getsockname()[1]
    process = subprocess.Popen(
        ["ray", "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats", "--include-dashboard=false",
         f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}"],
        env=os.environ | TOKEN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports[1]), 1):
            break
        time.sleep(0.1)
    yield f"ray://127.0.0.1:{ports[1]}"
    process.terminate()
    process.wait(30)


class TestHere:
    """On this machine, two models at once. The tests tell one story, in their order."""

    @pytest.fixture(scope="class")
    @classmethod
    def study(cls, tmp_path_factory: pytest.TempPathFactory) -> Study:
        study = prepared_study(tmp_path_factory, tmp_path_factory.mktemp("here"))
        study.env["RAY_ADDRESS"] = "127.0.0.1:1"  # a cluster that is not asked for is not joined
        return study

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_signal_stops_all_within_seconds_and_says_how_to_go_on(
        self, study: Study, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(study, "installed", True)
        process = started(study, "--jobs", "2")
        assert process.stdout
        output = ""
        while "-0: running" not in output and (line := process.stdout.readline()):
            output += line
        process.send_signal(getattr(signal, name))
        begin = time.monotonic()
        output += process.communicate(timeout=60)[0]
        assert process.returncode == 128 + getattr(signal, name), output
        assert time.monotonic() - begin < 15
        assert output.endswith(f"stopped by {name}; `wen run` resumes each training from its last finished epoch\n")
        assert "Traceback" not in output
        assert not processes_in(study.root)

    def test_a_node_that_sees_neither_the_repository_nor_a_remote_says_so(self, study: Study, tmp_path: Path) -> None:
        study.env["WEN_NODE_DIR"] = str(tmp_path / "node")
        output = study.run("wen", "run", "--jobs", "2", fails=True)
        del study.env["WEN_NODE_DIR"]
        assert "4 of 4 models failed" in output
        assert (
            f"cannot read {study.root}, and no DVC remote holds the inputs of the models; add one with `dvc remote add"
            in output
        )
        assert "Traceback" not in output

    def test_one_failed_model_does_not_stop_the_others(self, study: Study) -> None:
        (study.root / ".checkpoints/0.001/0.safetensors").mkdir(parents=True)  # where a file has to be
        output = study.run("wen", "run", "--jobs", "2", fails=True)
        assert "1 of 4 models failed; the others are finished" in output
        assert "0.001-0 on " in output
        assert "error: a file: No such device" in output
        assert "dvc repro predict-fold@0.001-0" in output
        assert "Traceback" not in output
        assert {path.parent.name for path in (study.root / "models").glob("*/1.safetensors")} == {"0.001", "0.0001"}

    def test_when_mended_only_the_failed_model_is_run_and_the_bytes_are_those_of_dvc_repro(
        self, study: Study, serial: Study
    ) -> None:
        shutil.rmtree(study.root / ".checkpoints/0.001")
        output = study.run("wen", "run", "--jobs", "2")
        assert [line.split(":")[0] for line in output.splitlines() if "running" in line and "CPU" in line] == [
            "0.001-0"
        ]
        assert "16 done" in output
        same(study, serial)
        assert not list((study.root / ".dvc/tmp").glob("wen-*"))

    def test_what_the_cache_has_is_taken_from_there_also_by_rays_client_and_after_half_a_dvc_lock(
        self, study: Study, serial: Study, head: str
    ) -> None:
        for folder in ("models/0.001", "data/predictions/0.001", "logs"):
            shutil.rmtree(study.root / folder)
        (study.root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  code:\n    cm")
        assert "'./dvc.lock'" in study.run("dvc", "repro", fails=True)
        study.env |= TOKEN
        output = study.run("wen", "run", "--address", head)
        assert "dvc.lock was incomplete" in output
        assert "0.001-0: cached" in output
        same(study, serial)

    def test_a_dvc_lock_with_conflict_markers_is_left_alone_and_named(self, study: Study) -> None:
        lock = study.root / "dvc.lock"
        content = lock.read_text().replace("  split:", "<<<<<<< HEAD\n  split:", 1) + "=======\n>>>>>>> other\n"
        lock.write_text(content)
        assert re.search(r"dvc\.lock:\d+: merge-conflict markers", study.run("wen", "run", fails=True))
        assert lock.read_text() == content


WORKER = """
from pathlib import Path
from wen.config.member import Member
from wen.config.stages import BEFORE
from wen.launch.node import reproduce
from wen.launch.run import _project

with _project(Path.cwd(), list(BEFORE), push=False) as project:
    outcome = reproduce(project, Member("0.001", 0), "CPU", lambda *about: print(*about, flush=True))
print("failed" if outcome.error else "done", outcome.error)
"""


def test_a_worker_that_is_killed_leaves_no_training_behind_and_the_next_goes_on_with_it(
    serial: Study, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As when a scheduler needs its memory."""
    study = prepared_study(tmp_path_factory, tmp_path)
    worker = [sys.executable, "-c", WORKER]
    process = subprocess.Popen(worker, cwd=study.root, env=study.env, stdout=subprocess.DEVNULL)
    checkpoint = study.root / ".checkpoints/0.001/0.safetensors"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.02)
    process.kill()
    process.wait()
    begin = time.monotonic()
    while processes_in(study.root):
        assert time.monotonic() - begin < 15
        time.sleep(0.1)
    assert checkpoint.exists()
    assert study.run(*worker).endswith("done \n")
    assert not checkpoint.exists()
    study.run("dvc", "repro", "predict-fold@0.001-0")
    model = "models/0.001/0.safetensors"
    assert (study.root / model).read_bytes() == (serial.root / model).read_bytes()
