"""`wen run` on one machine: models side by side give what `dvc repro` gives."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from moto.server import ThreadedMotoServer
from pages import block
from tiny_study import Study, finished_study, prepared_study, processes_in, same, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study as `dvc repro` makes it."""
    return finished_study(tmp_path_factory, "serial")


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}


def free_ports() -> tuple[str, str]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1]), str(other.getsockname()[1])


@pytest.fixture
def head() -> Iterator[str]:
    """The ray:// address of a cluster of one node, started as a person starts it; it asks for `TOKEN`."""
    ports = free_ports()
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
        (study.root / ".checkpoints/0.001/0.safetensors").mkdir(parents=True)  # where a file must be
        output = study.run("wen", "run", "--jobs", "2", fails=True)
        assert "1 of 4 models failed; the others are finished" in output
        assert "0.001-0 on " in output
        assert "error: a file: No such device" in output
        assert "dvc repro predict-fold@0.001-0" in output
        assert "Traceback" not in output
        assert {path.parent.name for path in (study.root / "models").glob("*/1.safetensors")} == {"0.001", "0.0001"}

    def test_once_repaired_only_the_failed_model_is_run_with_the_bytes_of_dvc_repro(
        self, study: Study, serial: Study
    ) -> None:
        shutil.rmtree(study.root / ".checkpoints/0.001")
        output = study.run("wen", "run", "--jobs", "2")
        assert [line.split(":")[0] for line in output.splitlines() if "running" in line and "CPU" in line] == [
            "0.001-0"
        ]
        assert "16 done" in output
        same(study, serial)
        assert not list((study.root / ".dvc/tmp").glob("wen-*/"))

    def test_cached_outputs_are_reused_also_by_rays_client_and_after_half_a_dvc_lock(
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


SRUN = """#!/bin/bash
# Runs the command of a task of a Slurm job here, and notes which process it is.
while [[ "$1" == -* ]]; do [[ "$1" == -w || "$1" == -x ]] && shift; shift; done
echo $$ >> "$TASKS"
[[ "$1" == ray ]] && exec > /dev/null 2>&1  # it runs on when the job has ended
exec "$@"
"""
SLEEP = """#!/bin/bash
# Waits for the head, as the job does with some seconds.
until [[ -e "$RAY_TMPDIR/ray/ray_current_cluster" ]]; do /bin/sleep 0.1; done
"""
RAY = """#!/bin/bash
# Ray's cluster launcher, whose cloud is this machine.
case "$1" in
  up) {ray} start --head --block --num-cpus=1 --port=$PORT --ray-client-server-port=$CLIENT_PORT \\
        --disable-usage-stats --include-dashboard=false > /dev/null 2>&1 &
      echo $! >> "$TASKS"
      until (exec 3<> /dev/tcp/127.0.0.1/$CLIENT_PORT) 2> /dev/null; do /bin/sleep 0.1; done ;;
  attach | down) ;;
  *) exec {ray} "$@" ;;
esac
"""


@pytest.fixture
def recipe(serial: Study, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Study]:
    """A study whose models of a rate are missing, with stand-ins for Slurm and for Ray's launcher."""
    study = finished_study(tmp_path_factory, "recipe")
    for folder in ("models/0.001", "data/predictions/0.001"):
        shutil.rmtree(study.root / folder)
    (study.root / ".venv/bin").mkdir(parents=True)
    (study.root / ".venv/bin/activate").write_text(f"PATH={tmp_path}:$PATH\n")
    ray = Path(sys.executable).parent / "ray"
    scripts = {"srun": SRUN, "sleep": SLEEP, "ray": RAY.format(ray=ray), "scontrol": "#!/bin/sh\necho 127.0.0.1\n"}
    for name, script in scripts.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:  # a short path
        study.env |= {"TASKS": str(tmp_path / "tasks"), "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        yield study
        for line in (tmp_path / "tasks").read_text().split():
            with contextlib.suppress(psutil.NoSuchProcess):
                started = psutil.Process(int(line))
                for process in [*started.children(recursive=True), started]:
                    process.kill()


def test_the_slurm_job_of_the_manual_runs_on_two_nodes_of_this_machine(recipe: Study, serial: Study) -> None:
    port, client = free_ports()
    head = f"--port={port} --ray-client-server-port={client} --disable-usage-stats --include-dashboard=false"
    script = block("docs/CLUSTER.md", "#SBATCH --nodes", {"--port=6379": head, ":6379": f":{port}"})
    recipe.env |= {
        "SLURM_SUBMIT_DIR": str(recipe.root), "SLURM_CPUS_PER_TASK": "1", "SLURM_JOB_NODELIST": "here",
        "SLURM_NNODES": "2",
    }  # fmt: skip
    output = recipe.run("bash", "-e", "-c", script)
    assert "0.001-0: cached" in output
    same(recipe, serial)


def test_the_cloud_of_the_manual_is_joined_with_its_token_and_its_store_on_s3(recipe: Study, serial: Study) -> None:
    server = ThreadedMotoServer(port=0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    key = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    recipe.env |= key | {"AWS_ENDPOINT_URL": address}
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="someone", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="cells")
    recipe.env["PORT"], recipe.env["CLIENT_PORT"] = free_ports()
    recipe.env["PATH"] = f"{Path(recipe.env['TASKS']).parent}:{recipe.env['PATH']}"
    instead = {"s3://BUCKET": "s3://cells", "ray://127.0.0.1:10001": f"ray://127.0.0.1:{recipe.env['CLIENT_PORT']}"}
    script = block("docs/CLUSTER.md", "ray up", instead | {"--gpus-per-job 1": ""})
    output = recipe.run("bash", "-e", "-c", script)
    stored = client.list_objects_v2(Bucket="cells")["KeyCount"]
    server.stop()
    assert stored > 0
    assert "0.001-0: cached" in output
    assert recipe.run("git", "log", "-1", "--format=%s").strip() == "Store"
    assert (Path(recipe.env["HOME"]) / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
