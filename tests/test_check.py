"""What `wen check`, and the first stage of each run, find wrong with params.yaml before anything is deleted."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.integrity import check


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("", "schemes", ["kappa", "gini"], "params.yaml: schemes: unknown scheme 'gini'; choose from accuracy, f1, "),
        (
            "",
            "baselines",
            ["color"],
            "params.yaml: baselines: unknown baseline 'color' (did you mean 'colour'?); choose from colour, features",
        ),
        (
            "dataset",
            "classes",
            ["blast", "normal"],
            "params.yaml: dataset.classes: ['blast', 'normal'] is in reverse order, because C-NMC's positive class is",
        ),
        (
            "backbone",
            "name",
            "tf_efficientnet_lite9",
            "backbone.name: timm has no 'tf_efficientnet_lite9'; did you mean tf_eff",
        ),
        (
            "backbone",
            "name",
            "EfficientNet-B0",
            "backbone.name: timm has no 'EfficientNet-B0'; did you mean efficientnet_b0",
        ),
        ("backbone", "name", "Swin", "backbone.name: timm has no 'Swin'; did you mean swin"),
        (
            "finetune",
            "unfreeze_from",
            "blocks.99",
            "finetune.unfreeze_from: blocks.99: the network has no such module; did you mean blocks.6",
        ),
    ],
)
def test_an_unknown_name_in_params_is_refused(
    values: dict[str, Any], tmp_path: Path, section: str, key: str, value: Any, message: str
) -> None:
    (values[section] if section else values)[key] = value
    with pytest.raises(WenError) as caught:
        check.check(Params.model_validate(values), Paths(tmp_path))
    assert str(caught.value).startswith(message)


def test_a_network_that_was_found_good_is_not_built_again(
    tiny: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    built: list[Params] = []

    def build(params: Params) -> str:
        built.append(params)
        return ""

    monkeypatch.setattr(check, "_check_network", build)
    for _ in range(2):
        check.check(tiny, Paths(tmp_path))
    assert len(built) == 1
    check.check(tiny.model_copy(update={"backbone": tiny.backbone.model_copy(update={"name": "x"})}), Paths(tmp_path))
    assert len(built) == 2


def test_a_folder_that_cannot_be_written_can_be_checked(
    tiny: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    monkeypatch.setattr(check, "_check_network", lambda params: "")
    monkeypatch.setattr(check, "write_text", Mock(side_effect=OSError(30, "Read-only file system")))
    check.check(tiny, Paths(tmp_path))


@pytest.mark.parametrize(("taken", "problem"), [("logs", "File exists"), ("logs/times.csv", "Is a directory")])
def test_a_log_that_cannot_be_written_is_refused_before_a_stage_works_for_nothing(
    tmp_path: Path, taken: str, problem: str
) -> None:
    paths = Paths(tmp_path)
    check.check_log(paths)
    assert paths.times.read_text() == ""
    paths.times.unlink()
    paths.times.parent.rmdir()
    if taken == "logs":
        (tmp_path / "logs").touch()
    else:
        (tmp_path / "logs/times.csv").mkdir(parents=True)
    with pytest.raises(WenError, match=rf"{taken}: {problem}, so no stage could finish; give this user the right"):
        check.check_log(paths)
