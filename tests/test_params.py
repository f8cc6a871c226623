import copy
import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from dvc.parsing.interpolate import to_str
from dvc.utils.serialize import parse_yaml
from ruamel.yaml import YAML

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load, parse
from wen.data.images import LARGEST
from wen.errors import WenError
from wen.systems.wanted import reads

PROFILES = sorted((PROJECT / "profiles").glob("*.yaml"))


def as_text(values: dict[str, Any]) -> str:
    text = io.StringIO()
    YAML().dump(values, text)
    return text.getvalue()


def put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        values = values[section]
    values[last] = value


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_profile_is_valid(profile: Path) -> None:
    load(profile)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_profile_has_weights_for_the_networks_of_its_systems_and_for_no_others(profile: Path) -> None:
    params = load(profile)
    networks = {network for name in params.systems for network in reads(params, name)}
    assert networks == params.pretrained.keys()


def test_committed_params_are_the_demo_profile() -> None:
    committed = subprocess.run(
        ["git", "show", "HEAD:params.yaml"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert committed.stdout == (PROJECT / "profiles/demo.yaml").read_text()


def test_a_parameter_that_dvc_yaml_lists_for_a_stage_cannot_be_left_out() -> None:
    """DVC fails at the stage if params.yaml lacks it."""
    stages = YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())["stages"]
    listed = {name for stage in stages.values() for name in stage.get("do", stage).get("params", []) if "$" not in name}
    assert {"predict", "images.size"} <= listed
    for name in listed:
        section: Any = Params
        for part in name.split("."):
            field = section.model_fields[part]
            assert field.is_required(), name
            section = field.annotation


def test_thesis_and_honest_are_the_protocol() -> None:
    thesis, honest = load(PROJECT / "profiles/thesis.yaml"), load(PROJECT / "profiles/honest.yaml")
    for study in (thesis, honest):
        assert study.lr_grid == [1e-3, 1e-4, 1e-5]
        assert study.folds == [0, 1, 2, 3, 4]
        assert {"accuracy", "f1", "kappa"} <= set(study.schemes)
        assert (study.dataset.source, study.dataset.complete, study.dataset.side) == ("cnmc", True, 450)
        assert (study.images.crop, study.images.size) == (450, 450)
        assert (study.backbone.name, study.backbone.weights) == ("tf_efficientnetv2_m.in1k", "hub")
        assert (study.train.batch_size, study.head.patience, study.finetune.patience) == (64, 10, 10)
        assert (study.head.epochs, study.finetune.epochs, study.finetune.unfreeze_from) == (50, 50, "blocks.5")
        assert study.augment.views == 50  # a fresh view each epoch
    assert (thesis.split.unit, thesis.split.test, thesis.split.test_fraction) == ("image", "random", 0.2)
    assert (honest.split.unit, honest.split.test) == ("subject", "preliminary")
    assert (thesis.reading, honest.reading) == ("as_written", "leak_free")


IMPOSSIBLE: list[tuple[str, Any]] = [
    ("folds", [0]), ("folds", [0, 2]), ("lr", 0), ("lr", float("nan")), ("lr", 10), ("lr", True), ("lr_grid", []),
    ("lr_grid", [0.001, 0.001, 0.0001]), ("weighting", "gini"), ("schemes", ["kappa", "kappa"]), ("seed", -1),
    ("seed", 1.5), ("split.unit", "patient"), ("split.test_fraction", 1.0), ("dataset.complete", "yes"),
    ("dataset.complete", True), ("dataset.subject", "UID_([0-9]+)_"), ("dataset.synthetic", None),
    ("images.crop", 4096), ("train.batch_size", 1), ("finetune.unfreeze_from", ""),
    ("backbone.kwargs", {"bn_eps": [0.001]}),
    ("backbone.kwargs", {"size": 64}), ("backbone.kwargs", {"nfiles": 2}), ("backbone.kwargs", {"num_classes": 2}),
    ("backbone.kwargs", {"checkpoint_path": "w.pth"}),
    ("backbone.mean", [0.5, 0.5]), ("backbone.mean", [0.5, 0.5, -0.1]), ("backbone.std", [0.5, 0.5, 0]),
    ("calibration", "platt"), ("report.prevalences", []), ("report.prevalences", [0]), ("report.specificity", 1.0),
    ("lr", 1e-300), ("lr_grid", [0.001, 5e-324]),
    ("dataset.name", " "), ("dataset.name", "a\nb"), ("dataset.classes", ["HEM", "\x1b[2J"]),
    ("augment.brightness", -0.1), ("compute.threads", 0),
]  # fmt: skip


def test_an_invalid_value_gives_one_line_that_names_the_key(values: dict[str, Any]) -> None:
    for key, value in IMPOSSIBLE:
        changed = copy.deepcopy(values)
        put(changed, key, value)
        with pytest.raises(WenError) as caught:
            parse(as_text(changed), Path("params.yaml"))
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"params.yaml: {key}"), (key, value)


def test_a_square_larger_than_any_image_is_refused(values: dict[str, Any]) -> None:
    values["dataset"] |= {"source": "cnmc", "side": None}
    put(values, "images.crop", LARGEST)
    parse(as_text(values), Path("params.yaml"))
    put(values, "images.crop", LARGEST + 1)
    with pytest.raises(WenError, match=r"^params\.yaml: images\.crop"):
        parse(as_text(values), Path("params.yaml"))


def test_a_network_may_be_normalised_by_a_division_alone(values: dict[str, Any]) -> None:
    put(values, "backbone.mean", [0, 0, 0])
    assert parse(as_text(values), Path("params.yaml")).backbone.mean == [0, 0, 0]


WRITTEN_OTHERWISE = {
    "report.beside": ("12e4567", "should be text, found inf; write it in quotes"),
    "dataset.classes": ("[0, 1]", "should be text, found 0; write it in quotes"),
    "augment.turns": ("yes", "should be true or false, found 'yes'; write one of these"),
    "schemes": ("kappa", "should be a list, found 'kappa'; write it in brackets, e.g. [a, b]"),
}


@pytest.mark.parametrize(("key", "written", "message"), [(key, *how) for key, how in WRITTEN_OTHERWISE.items()])
def test_a_value_that_yaml_reads_as_another_type_is_refused_with_the_right_notation(
    values: dict[str, Any], key: str, written: str, message: str
) -> None:
    put(values, key, "HERE")
    with pytest.raises(WenError) as caught:
        parse(as_text(values).replace("HERE", written), Path("params.yaml"))
    assert message in str(caught.value)


def test_a_side_in_which_no_cell_can_be_drawn_is_refused(values: dict[str, Any]) -> None:
    put(values, "images.crop", None)
    for side in (1, 8, 15, None):
        put(values, "dataset.side", side)
        with pytest.raises(WenError, match=rf"^params\.yaml: dataset\.side: found {side or 'null'}, but .*raise datas"):
            parse(as_text(values), Path("params.yaml"))


def test_every_problem_has_a_line(values: dict[str, Any]) -> None:
    put(values, "split.unit", "patient")
    put(values, "seed", -1)
    with pytest.raises(WenError) as caught:
        parse(as_text(values), Path("params.yaml"))
    assert len(str(caught.value).splitlines()) == 2


def test_an_integer_learning_rate_is_refused_with_the_notation_with_a_point(values: dict[str, Any]) -> None:
    put(values, "lr", 10)
    with pytest.raises(WenError, match=r"^params\.yaml: lr: write 10\.0 instead of 10$"):
        parse(as_text(values), Path("params.yaml"))
    put(values, "lr", 10.0)
    assert parse(as_text(values), Path("params.yaml")).lr == 10


@pytest.mark.parametrize("written", ["0.001", "1e-3", "1E-3", ".1", "1.", "1_0.0", "010.5", "0.00001", "!!float 10"])
def test_a_learning_rate_names_paths_as_dvc_does(values: dict[str, Any], written: str) -> None:
    """However it is written: else DVC would wait for outputs that no stage writes."""
    put(values, "lr_grid", ["HERE", 0.5])
    text = as_text(values).replace("HERE", written)
    named = to_str(parse_yaml(text, "params.yaml")["lr_grid"][0])
    assert f"models/{named}/0.safetensors" == str(Paths().model(Member(parse(text, Path("params.yaml")).rates[0], 0)))


def test_a_learning_rate_off_the_grid_joins_the_study(values: dict[str, Any]) -> None:
    put(values, "lr", 3e-4)
    assert parse(as_text(values), Path("params.yaml")).rates == ["0.001", "0.0001", "1e-05", "0.0003"]
