"""A study, up to the features, of imported images, which neither git nor DVC stores."""

import re
import time
from pathlib import Path

import pytest
from tiny_study import Study, new_study, set_params, tiny_values

from wen.config.params import Params
from wen.data import synthetic


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = new_study(tmp_path_factory.mktemp("images"), "study")
    values = tiny_values(cpu_engine="torch")
    dataset = Params.model_validate(values).dataset
    assert dataset.synthetic
    synthetic.write(study.root / "data/raw/cnmc", dataset.synthetic, dataset.side, seed=1)
    del values["dataset"]["synthetic"]
    values["dataset"]["source"] = "cnmc"
    set_params(study.root, values)
    study.run("dvc", "repro", "features")
    study.commit("Features")
    return study


def test_a_clone_without_the_images_has_nothing_to_do_and_loses_nothing(brought: Study, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    brought.run("dvc", "remote", "add", "--local", "--force", "--default", "store", store)
    brought.run("dvc", "push", "--with-deps", "features")
    brought.run("git", "clone", "--quiet", str(brought.root), str(tmp_path / "second"))
    second = Study(tmp_path / "second", tmp_path)
    second.run("dvc", "remote", "add", "--local", "--default", "store", store)
    second.run("dvc", "pull", "--with-deps", "features")
    output = second.run("dvc", "repro", "features")
    assert second.stages_run(output) == ["code"]
    assert "data/raw: no images here; using the list in data/raw.csv" in output
    assert (second.root / "data/index.csv").read_bytes() == (brought.root / "data/index.csv").read_bytes()
    assert second.run("git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_queued_experiments_side_by_side_find_the_images(brought: Study) -> None:
    for crop in (40, 44):
        brought.run("dvc", "exp", "run", "--queue", "--name", f"crop-{crop}", "-S", f"images.crop={crop}", "features")
    brought.run("dvc", "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 240
    while len(experiments := finished(brought)) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    while re.search("Queued|Running", output := brought.run("dvc", "queue", "status")):
        assert time.monotonic() < deadline, output
    assert output.count("Success") == 2, output
    features = [
        re.search(r"- path: data/features\n +hash: md5\n +md5: (\w+)", brought.run("git", "show", f"{name}:dvc.lock"))
        for name in ("HEAD", *experiments)
    ]
    assert len({found[1] for found in features if found}) == 3


def finished(study: Study) -> list[str]:
    """The commits that the two experiments end with; to ask git takes a hundredth of what `dvc queue status` takes."""
    names = study.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return [name for name in names if name.endswith(("/crop-40", "/crop-44"))]


@pytest.mark.slow
def test_an_experiment_in_a_temporary_folder_prepares_the_images_again(brought: Study) -> None:
    output = brought.run("dvc", "exp", "run", "--temp", "-S", "seed=3", "split")
    assert brought.stages_run(output) == ["code", "prepare", "split"]


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("dataset", "complete", "yes", "dataset.complete: should be true or false, found 'yes'"),
        ("backbone", "name", "tf_efficientnet_lite9", "backbone.name: timm has no 'tf_efficientnet_lite9'"),
        ("finetune", "unfreeze_from", "blocks.9", "finetune.unfreeze_from: blocks.9: the network has no such module"),
        ("backbone", "weights", "nowhere.pth", "backbone.weights: no such file:"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_deleted(
    brought: Study, section: str, key: str, value: str, message: str
) -> None:
    def outputs() -> dict[str, bytes]:
        return {
            str(path.relative_to(brought.root)): path.read_bytes()
            for folder in ("data", "metrics", "models", "plots")
            for path in (brought.root / folder).rglob("*")
            if path.is_file()
        }

    before = outputs()
    before_params = (brought.root / "params.yaml").read_bytes()
    text = before_params.decode()
    changed = re.sub(rf"(?m)^({section}:\n(?:  .*\n)*?  {key}: ).*$", rf"\g<1>{value}", text)
    assert changed != text
    (brought.root / "params.yaml").write_text(changed)
    output = brought.run("dvc", "repro", "features", fails=True)
    (brought.root / "params.yaml").write_bytes(before_params)
    assert message in output
    assert "Traceback" not in output
    assert outputs() == before


def test_an_image_that_changed_is_prepared_again(brought: Study) -> None:
    image = next((brought.root / "data/raw").rglob("*_all.bmp"))
    content = bytearray(image.read_bytes())
    content[-2000] ^= 64
    image.write_bytes(content)
    assert "raw images: changed" in (output := brought.run("dvc", "repro", "split"))
    assert {"prepare", "split"} <= set(brought.stages_run(output))
    content[-2000] ^= 64
    image.write_bytes(content)
