"""`wen run` and `wen classify` on a cluster of three nodes give what they give on one machine."""

import io
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import warm
from ray.cluster_utils import Cluster
from tiny_study import Study, finished_study, prepared_study, processes_in, same, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study as `dvc repro` makes it."""
    return finished_study(tmp_path_factory, "serial")


NODES = ("second", "third")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two nodes that do not share the repository have theirs."""
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def cluster(folders: Path, serial: Study) -> Iterator[Cluster]:
    """Three nodes of a core and a GPU each, as far as Ray knows; the last test loses one of them.

    One shares the repository, two have nothing but folders of their own. All run the code of a study.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", serial.env["PYTHONPATH"])
        patch.setattr("sys.executable", str(warm.python()))  # that of the nodes
        node = {"num_cpus": 1, "num_gpus": 1}
        made = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        for name in NODES:
            made.add_node(**node, env_vars={"WEN_NODE_DIR": str(folders / name)})
        yield made
        made.shutdown()


@pytest.fixture
def study(folders: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose models are still to be trained; its store holds a run of a node that was lost while it pushed."""
    for name in NODES:
        shutil.rmtree(folders / name, ignore_errors=True)
    study = prepared_study(tmp_path_factory, tmp_path)
    store = tmp_path / "store"
    study.run("dvc", "remote", "add", "--default", "store", str(store))
    run = store / "runs/aa" / ("a" * 64) / ("b" * 64)
    run.parent.mkdir(parents=True)
    run.write_text(f"cmd: x\ndeps: []\nouts:\n- path: x\n  md5: {32 * 'c'}.dir\n  size: 1\n  nfiles: 1\n")
    return study


def test_images_classified_on_a_cluster_get_the_same_probabilities(serial: Study, cluster: Cluster) -> None:
    images = sorted(str(path) for path in (serial.root / "data/synthetic").rglob("*.bmp"))
    listed = ["wen", "classify", *images, str(serial.root / "params.yaml"), "--format", "csv", "--members"]
    user = Study(serial.root, Path(serial.env["HOME"]))
    here, spread = (user.run(*listed, *more, fails=True) for more in ([], ["--address", cluster.address]))
    tables = []
    for output in (here, spread):
        assert f"error: {serial.root / 'params.yaml'}: " in output
        assert f"1 of {len(images) + 1} images could not be classified" in output
        lines = [line for line in output.splitlines() if line.startswith(("file,", "/"))]
        tables.append(pd.read_csv(io.StringIO("\n".join(lines))))
    assert list(tables[0].file) == list(tables[1].file) == images
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)


def test_a_cluster_gives_the_bytes_of_dvc_repro_even_if_it_loses_a_node(
    study: Study, serial: Study, cluster: Cluster, folders: Path
) -> None:
    """They are made on GPUs and from what the store gave."""
    process = started(study, "--address", cluster.address)
    while process.poll() is None and not list((folders / "third/.checkpoints").rglob("*.safetensors")):
        time.sleep(0.05)
    assert process.poll() is None
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "16 done" in output
    assert "GPU 0" in output
    assert list((folders / "second/cache/files").rglob("*"))
    assert not processes_in(folders / "third")
    same(study, serial)
    times = (study.root / "logs/times.csv").read_text()  # nothing was made again here
    assert (times.count("train-fold,"), times.count("predict-fold,")) == (4, 4)
