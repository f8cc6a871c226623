"""`wen run`: models side by side, here and on a cluster of three nodes, give what `dvc repro` gives."""

import contextlib
import io
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

import pandas as pd
import psutil
import pytest
from ray.cluster_utils import Cluster
from ruamel.yaml import YAML
from tiny_study import Study, finished_study, new_study

OUTPUTS = ("data/code", "data/features", "data/predictions", "models", "metrics", "plots")
"""Not report/: its page says how long the stages took."""


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study as `dvc repro` makes it."""
    return finished_study(tmp_path_factory, "serial")


def same(study: Study, serial: Study) -> None:
    """Both have the same files with the same bytes, and in dvc.lock the same of each stage but the page's."""
    for folder in OUTPUTS:
        files = {path.relative_to(serial.root) for path in (serial.root / folder).rglob("*") if path.is_file()}
        assert files == {path.relative_to(study.root) for path in (study.root / folder).rglob("*") if path.is_file()}
        for path in files:
            assert (study.root / path).read_bytes() == (serial.root / path).read_bytes(), path
    locks = [YAML(typ="safe").load((own.root / "dvc.lock").read_text())["stages"] for own in (study, serial)]
    assert [lock.pop("report")["cmd"] for lock in locks] == ["wen report"] * 2
    assert locks[0] == locks[1]
    assert study.stages_run(study.run("dvc", "repro")) == ["code"]


def started(study: Study, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["wen", "run", *arguments], cwd=study.root, env=study.env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


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
        study = new_study(tmp_path_factory.mktemp("here"), "study")
        study.env["RAY_ADDRESS"] = "127.0.0.1:1"  # a cluster that is not asked for is not joined
        return study

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_signal_stops_all_within_seconds_and_says_how_to_go_on(self, study: Study, name: str) -> None:
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
        assert output.endswith(f"stopped by {name}; `wen run` goes on, a training from its last finished epoch\n")
        assert "Traceback" not in output
        assert not processes_in(study.root)

    def test_a_node_that_sees_neither_the_repository_nor_a_remote_says_so(self, study: Study, tmp_path: Path) -> None:
        study.env["WEN_NODE_DIR"] = str(tmp_path / "node")
        output = study.run("wen", "run", "--jobs", "2", fails=True)
        del study.env["WEN_NODE_DIR"]
        assert "6 of 6 models failed" in output
        assert f"does not see {study.root}, and no DVC remote gave what models need: dvc remote add -d" in output
        assert "Traceback" not in output

    def test_one_failed_model_does_not_stop_the_others(self, study: Study) -> None:
        (study.root / ".checkpoints/0.001/0.safetensors").mkdir(parents=True)  # where a file has to be
        output = study.run("wen", "run", "--jobs", "2", fails=True)
        assert "1 of 6 models failed; the others are done" in output
        assert "0.001-0 on " in output
        assert "error: a file: No such device" in output
        assert "dvc repro predict-fold@0.001-0" in output
        assert "Traceback" not in output
        assert {path.parent.name for path in (study.root / "models").glob("*/1.safetensors")} == {
            "0.001", "0.0001", "1e-05",
        }  # fmt: skip

    def test_when_mended_only_the_failed_model_is_run_and_the_bytes_are_those_of_dvc_repro(
        self, study: Study, serial: Study
    ) -> None:
        shutil.rmtree(study.root / ".checkpoints/0.001")
        output = study.run("wen", "run", "--jobs", "2")
        assert [line.split(":")[0] for line in output.splitlines() if "running" in line and "CPU" in line] == [
            "0.001-0"
        ]
        assert "17 done" in output
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
        assert "dvc.lock was half written" in output
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
from wen.launch.node import reproduce
from wen.launch.run import _project

with _project(Path.cwd(), push=False) as project:
    outcome = reproduce(project, Member("0.001", 0), "CPU", lambda *about: print(*about, flush=True))
print("failed" if outcome.error else "done", outcome.error)
"""


def test_a_worker_that_is_killed_leaves_no_training_behind_and_the_next_goes_on_with_it(
    serial: Study, tmp_path: Path
) -> None:
    """As when a scheduler needs its memory."""
    study = new_study(tmp_path, "study")
    study.run("dvc", "repro", "split", "features")
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


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Three nodes of a core and a GPU each, as far as Ray knows.

    One shares the repository, two have nothing but folders of their own.
    """
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "num_gpus": 1}
    made = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    for name in ("second", "third"):
        made.add_node(**node, env_vars={"WEN_NODE_DIR": str(tmp_path / name)})
    yield made
    made.shutdown()


@pytest.mark.parametrize("lost", [False, True], ids=["whole", "a node is lost"])
def test_a_cluster_gives_the_bytes_of_dvc_repro(serial: Study, tmp_path: Path, cluster: Cluster, lost: bool) -> None:
    study = new_study(tmp_path, "study")
    store = tmp_path / "store"
    study.run("dvc", "remote", "add", "--default", "store", str(store))
    run = store / "runs/aa" / ("a" * 64) / ("b" * 64)  # of a node that was lost while it pushed
    run.parent.mkdir(parents=True)
    run.write_text(f"cmd: x\ndeps: []\nouts:\n- path: x\n  md5: {32 * 'c'}.dir\n  size: 1\n  nfiles: 1\n")
    process = started(study, "--address", cluster.address)
    if lost:
        while process.poll() is None and not list((tmp_path / "third/.checkpoints").rglob("*.safetensors")):
            time.sleep(0.05)
        assert process.poll() is None
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "17 done" in output
    assert "GPU 0" in output
    assert list((tmp_path / "second/cache/files").rglob("*"))  # it worked, on what came from the store
    assert not processes_in(tmp_path / "third")
    if not lost:  # nothing was made again here
        times = (study.root / "logs/times.csv").read_text()
        assert (times.count("train-fold,"), times.count("predict-fold,")) == (6, 6)
    same(study, serial)


def test_images_that_are_spread_over_a_cluster_are_classified_as_here(serial: Study, cluster: Cluster) -> None:
    images = sorted(str(path) for path in (serial.root / "data/synthetic").rglob("*.bmp"))
    listed = ["wen", "classify", *images, str(serial.root / "params.yaml"), "--format", "csv", "--members"]
    here, spread = (serial.run(*listed, *more, fails=True) for more in ([], ["--address", cluster.address]))
    tables = []
    for output in (here, spread):
        assert f"error: {serial.root / 'params.yaml'}: " in output
        assert f"1 of {len(images) + 1} images could not be classified" in output
        lines = [line for line in output.splitlines() if line.startswith(("file,", "/"))]
        tables.append(pd.read_csv(io.StringIO("\n".join(lines))))
    assert list(tables[0].file) == list(tables[1].file) == images
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)
