"""DVC's cache and a remote store are used and damage in them is detected, for one model of a tiny study."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tiny_study import Study, prepared_study

MODEL = "models/0.001/0.safetensors"
STAGE = "train-fold@0.001-0"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with one model."""
    study = prepared_study(tmp_path_factory, tmp_path_factory.mktemp("store"))
    study.run("dvc", "repro", STAGE)
    study.commit("One model")
    return study


@pytest.fixture
def s3() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def clone(study: Study, root: Path) -> Study:
    study.run("git", "clone", "--quiet", str(study.root), str(root))
    return Study(root, root.parent)


def use_store(study: Study, url: str, **options: str) -> None:
    study.run("dvc", "remote", "add", "--local", "--force", "--default", "store", url)
    for name, value in options.items():
        study.run("dvc", "remote", "modify", "--local", "store", name, value)


def damage(folder: Path, study: Study) -> None:
    """Turn a bit of the stored model over, and leave the file as read-only as it was."""
    lock = (study.root / "dvc.lock").read_text()
    md5 = re.search(rf"path: {MODEL}\n +hash: md5\n +md5: (\w+)", lock)[1]  # type: ignore[index]
    path = folder / "files/md5" / md5[:2] / md5[2:]
    mode, content = path.stat().st_mode, bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # files linked to it stay intact
    path.write_bytes(content)
    path.chmod(mode)


def test_another_clone_takes_the_model_from_a_folder_and_trains_nothing(trained: Study, tmp_path: Path) -> None:
    use_store(trained, str(tmp_path / "store"))
    trained.run("dvc", "push")
    other = clone(trained, tmp_path / "clone")
    use_store(other, str(tmp_path / "store"))
    other.run("dvc", "pull", "--with-deps", STAGE)
    assert "up to date" in other.run("dvc", "repro", STAGE)


@pytest.mark.slow
def test_another_clone_takes_the_model_from_s3_and_trains_nothing(trained: Study, tmp_path: Path, s3: str) -> None:
    keys = {"access_key_id": "someone", "secret_access_key": "secret"}
    client = boto3.client(
        "s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="someone", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="cells")
    use_store(trained, "s3://cells/store", endpointurl=s3, **keys)
    trained.run("dvc", "push")
    other = clone(trained, tmp_path / "clone")
    use_store(other, "s3://cells/store", endpointurl=s3, **keys)
    other.run("dvc", "pull", "--with-deps", STAGE)
    assert "up to date" in other.run("dvc", "repro", STAGE)
    assert (other.root / MODEL).read_bytes() == (trained.root / MODEL).read_bytes()


def test_a_damaged_file_of_a_verified_remote_is_refused(trained: Study, tmp_path: Path) -> None:
    use_store(trained, str(tmp_path / "store"))
    trained.run("dvc", "push")
    damage(tmp_path / "store", trained)
    other = clone(trained, tmp_path / "clone")
    use_store(other, str(tmp_path / "store"), verify="true")
    assert MODEL in other.run("dvc", "pull", STAGE, fails=True)
    assert not (other.root / MODEL).exists()


@pytest.mark.slow
def test_a_damaged_file_of_the_cache_is_found_and_made_again(trained: Study, tmp_path: Path) -> None:
    good = (trained.root / MODEL).read_bytes()
    assert "match dvc.lock" in trained.run("wen", "verify")
    damage(trained.root / ".dvc/cache", trained)
    (trained.root / MODEL).unlink()
    trained.run("dvc", "checkout", MODEL)
    assert (trained.root / MODEL).read_bytes() != good  # DVC took it for intact
    assert "1 of" in (output := trained.run("wen", "verify", fails=True))
    assert MODEL in output
    assert "Traceback" not in output
    assert STAGE in trained.stages_run(trained.run("dvc", "repro", STAGE))
    assert (trained.root / MODEL).read_bytes() == good
    trained.run("wen", "verify")


@pytest.mark.slow
@pytest.mark.parametrize(
    "second", [["dvc", "repro"], ["dvc", "exp", "run", "--set-param", "lr=1e-4"]], ids=["repro", "exp run"]
)
def test_a_second_run_at_the_same_time_is_refused_and_the_first_succeeds(trained: Study, second: list[str]) -> None:
    good = (trained.root / MODEL).read_bytes()
    first = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", STAGE], cwd=trained.root, env=trained.env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while "Running stage" not in first.stdout.readline():  # type: ignore[union-attr]
        assert first.poll() is None
    refusal = trained.run(*second, "--", STAGE, fails=True)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert "is busy" in refusal or "Unable to acquire lock" in refusal
    assert (trained.root / MODEL).read_bytes() == good
    trained.run("git", "checkout", "--quiet", "--", ".")
    assert "up to date" in trained.run("dvc", "repro", STAGE)
