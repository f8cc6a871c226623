"""What systems need and whether it is there: parameters, networks, weights, and people enough."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from conftest import study_values, untrained
from made_up import NETWORKS, SIZE, computed, made_up

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import parse
from wen.errors import WenError
from wen.files import read_json
from wen.integrity import outside
from wen.integrity.check import check
from wen.network.arrays import array_path
from wen.systems import inputs, network, stage, wanted
from wen.systems.system import changed, find, names, settings_of


def of(values: dict[str, Any], systems: dict[str, Any], pretrained: dict[str, Any] | None = None) -> Params:
    return Params.model_validate(values | {"systems": systems, "pretrained": pretrained or {}})


def test_the_eight_systems_of_the_thesis_are_available() -> None:
    assert names() == [
        "ahmed2023", "baby2022", "batool2023", "mondal2021", "muntasa2024", "rodrigues2022", "ullah2021", "wibowo2024",
    ]  # fmt: skip


@pytest.mark.parametrize("name", names())
def test_the_defaults_are_the_paper_s_networks_and_each_variant_has_a_name(values: dict[str, Any], name: str) -> None:
    settings = settings_of(of(values, {name: {}}), name)
    assert settings.depth == "frozen"
    papers = {network.split(".")[0] for network in find(name).PAPER}
    if name != "wibowo2024":  # whose network is the study's own
        assert {network.split(".")[0] for network in settings.networks} <= papers
    variants = find(name).variants(settings)
    assert len({variant.name for variant in variants}) == len(variants)
    assert variants[0].role in ("main", "part")


@pytest.mark.parametrize(
    ("systems", "problem"),
    [
        ({"ulah2021": {}}, r"systems: unknown system 'ulah2021' \(did you mean 'ullah2021'\?\)"),
        ({"zhang": {}}, r"systems: unknown system 'zhang'; choose from ahmed2023, baby2022"),
        ({"wibowo2024": {"trails": 3}}, r"systems\.wibowo2024\.trails: unknown key; did you mean 'trials'\?"),
        ({"wibowo2024": {"trials": 0}}, r"systems\.wibowo2024\.trials: .*greater than or equal to 1, found 0"),
        ({"wibowo2024": {"depth": "deep"}}, r"systems\.wibowo2024\.depth: .*'frozen' or 'finetune'"),
        (
            {"baby2022": {"depth": "finetune"}},
            r"systems\.baby2022\.depth: finetune is not possible, because it trains no network; set frozen",
        ),
        ({"mondal2021": {"networks": ["vgg16", "vgg16"]}}, "systems.mondal2021.networks: .* lists a network twice"),
        ({"ahmed2023": {"boosting": "xgbost"}}, r"systems\.ahmed2023\.boosting: "),
        ({"batool2023": {"views": {"flip": 1.0}}}, r"systems\.batool2023\.views\.flip: unknown key"),
        ({"wibowo2024": {"momentum": 1.0}}, r"systems\.wibowo2024\.momentum: should be less than 1, found 1"),
        ({"rodrigues2022": {"lr": 0.01}}, r"systems\.rodrigues2022\.lr: every variant searches its own value"),
        ({"rodrigues2022": {"optimiser": "adam"}}, r"systems\.rodrigues2022\.optimiser: should be 'sgd', found 'adam'"),
        ({"mondal2021": {"momentum": 0.9}}, r"mondal2021\.momentum: adamax does not use it; .*optimiser: sgd"),
        (
            {"ullah2021": {"plateau_factor": 0.5}},
            r"ullah2021\.plateau_factor: used only with plateau_patience",
        ),
    ],
)
def test_wrong_settings_of_a_system_are_refused_before_anything_runs(
    tmp_path: Path, values: dict[str, Any], systems: dict[str, Any], problem: str
) -> None:
    with pytest.raises(WenError, match=problem):
        check(of(values, systems), Paths(tmp_path))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"depth": "finetune", "networks": ["vgg16"], "trials": 25}, []),  # the default number of trials
        ({"trials": 6, "momentum": 0.5}, ["momentum", "trials"]),
    ],
)
def test_settings_that_differ_from_a_system_s_own_are_listed(
    values: dict[str, Any], settings: dict[str, Any], expected: list[str]
) -> None:
    assert changed(settings_of(of(values, {"wibowo2024": settings}), "wibowo2024")) == expected


@pytest.mark.parametrize("name", names())
def test_a_system_uses_every_network_that_it_is_given_or_refuses_a_second_one(
    values: dict[str, Any], name: str
) -> None:
    params = of(values, {name: {"networks": ["vgg16", "resnet18"]}})
    if name not in ("ahmed2023", "baby2022", "mondal2021"):
        with pytest.raises(WenError, match=rf"systems\.{name}\.networks: .*at most 1 item"):
            settings_of(params, name)
        return
    variants = " ".join(variant.name for variant in find(name).variants(settings_of(params, name)))
    assert "vgg16" in variants
    assert "resnet18" in variants


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("systems: [baby2022]", "systems: .*dict"),
        ("systems: {baby2022: frozen}", "systems.baby2022: .*dict"),
        ("pretrained: {vgg16: {wieghts: hub}}", "pretrained.vgg16.wieghts: unknown key; did you mean 'weights'?"),
        ("pretrained: {../vgg16: hub}", "pretrained.../vgg16"),
        ("pretrained: {vgg16: 3}", "pretrained.vgg16"),
    ],
)
def test_wrong_lists_of_systems_are_refused_with_the_key(text: str, problem: str) -> None:
    with pytest.raises(WenError, match=problem):
        parse(text, Path("params.yaml"))


def test_a_missing_xgboost_is_reported_before_anything_runs(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WenError, match=r"boosting: xgboost is not installed; pip install -c .*'\.\[xgboost\]'"):
        check(of(values, {"ahmed2023": {"boosting": "xgboost"}}), Paths(tmp_path))


def test_a_network_unknown_to_timm_is_refused_before_anything_runs(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(WenError, match="pretrained: timm has no 'vgg61'; did you mean vgg"):
        check(of(values, {}, {"vgg61": "hub"}), Paths(tmp_path))


def test_a_network_that_is_too_large_for_the_images_is_refused_before_anything_runs(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    values["images"]["size"] = 64
    with pytest.raises(WenError, match=r"pretrained: inception_resnet_v2 does not work with images\.size, 64 px"):
        check(of(values, {}, {"inception_resnet_v2": "hub"}), Paths(tmp_path))


@pytest.mark.parametrize(
    ("system", "problem"),
    [
        ({"mondal2021": {"depth": "finetune"}}, "cannot trace VisionTransformer, so it cannot be trained here"),
        ({"muntasa2024": {"depth": "frozen"}}, "the last features of this network are tokens, not a map"),
    ],
)
def test_a_network_that_a_system_cannot_use_is_refused_before_anything_runs(
    tmp_path: Path, values: dict[str, Any], system: dict[str, dict[str, Any]], problem: str
) -> None:
    systems = {name: settings | {"networks": ["test_vit"]} for name, settings in system.items()}
    with pytest.raises(WenError, match=problem):
        check(of(values, systems, {"test_vit": "hub"}), Paths(tmp_path))
    check(of(values, {"mondal2021": {"networks": ["test_vit"]}}, {"test_vit": "hub"}), Paths(tmp_path))


def test_a_system_without_weights_is_skipped_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params, paths = made_up(
        tmp_path, ullah2021={"networks": ["vgg16"]}, mondal2021={"networks": [*NETWORKS, "resnet18"]}
    )
    params = params.model_copy(
        update={"pretrained": params.pretrained | of_file("resnet18", tmp_path / "nowhere.safetensors")}
    )
    outside_lists(params, paths)
    for name in params.pretrained:
        network.run(params, paths, name)
    inputs.run(params, paths)
    assert "ullah2021: skipped, because weights are missing for vgg16" in capsys.readouterr().out
    for name in params.systems:
        stage.run(params, paths, name)
    found = read_json(paths.system("ullah2021"))
    assert (found["state"], found["shown"], found["variants"]) == ("skipped", None, [])
    assert found["missing"] == {
        "vgg16": "params.yaml has no weights for it; add `vgg16: hub` or a file under `pretrained`"
    }
    assert read_json(paths.system("mondal2021"))["missing"] == {
        "resnet18": f"no such file: {tmp_path}/nowhere.safetensors"
    }
    assert all(folder.is_dir() for name in params.systems for folder in paths.of_system(name))


def test_the_reason_for_missing_weights_names_the_file_as_params_yaml_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is recorded, and no other machine has the folders of this one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    params, paths = made_up(tmp_path, ullah2021={"networks": ["resnet18"]})
    params = params.model_copy(update={"pretrained": of_file("resnet18", Path("~/weights.pth"))})
    for content, reason in ((None, "no such file: ~/weights.pth"), ("text", "~/weights.pth is not a checkpoint")):
        if content:
            (tmp_path / "weights.pth").write_text(content)
        outside_lists(params, paths)
        network.run(params, paths, "resnet18")
        missing = read_json(paths.network_about("resnet18"))["missing"]
        assert missing.startswith(reason)
        assert str(tmp_path) not in missing


def of_file(name: str, path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"weights": str(path)}
    from wen.config.params import Pretrained

    return {name: Pretrained.model_validate(values)}


def outside_lists(params: Params, paths: Paths) -> None:
    from wen.systems import wanted

    wanted.run(params, paths, lambda options: outside._weights_of_system(options, paths))


def test_new_weights_are_listed_and_deleted_ones_stay_listed(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, baby2022={})
    file, listed = tmp_path / f"{NETWORKS[0]}.safetensors", paths.wanted / f"networks/{NETWORKS[0]}.json"
    content = file.read_bytes()
    outside_lists(params, paths)
    there = read_json(listed)
    assert len(there["weights"]) == 32
    file.unlink()
    outside_lists(params, paths)
    assert read_json(listed) == there  # as in a clone that has the results and not the file
    listed.unlink()
    outside_lists(params, paths)
    assert read_json(listed)["missing"].startswith("no such file")
    file.write_bytes(content)
    outside_lists(params, paths)
    assert read_json(listed) == there


def test_another_network_or_setting_changes_no_other_system_s_inputs(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, baby2022={}, wibowo2024={"networks": [NETWORKS[1]]})
    before = {name: (paths.systems_inputs / f"{name}.json").read_bytes() for name in params.systems}
    wants = {name: (paths.wanted / f"systems/{name}.json").read_bytes() for name in params.systems}
    arrays = {path: path.stat().st_ino for path in paths.network(NETWORKS[1]).iterdir()}
    settings = params.systems | {
        "wibowo2024": params.systems["wibowo2024"] | {"trials": 3},
        "ullah2021": {"networks": ["vgg16"]},
    }
    other = params.model_copy(update={"systems": settings})
    outside_lists(other, paths)
    inputs.run(other, paths)
    for name in before:
        assert (paths.wanted / f"systems/{name}.json").read_bytes() == wants[name]
        assert (paths.systems_inputs / f"{name}.json").read_bytes() == before[name]
    assert {path: path.stat().st_ino for path in paths.network(NETWORKS[1]).iterdir()} == arrays


def test_only_what_a_system_reads_of_a_network_is_written(tmp_path: Path) -> None:
    _, paths = made_up(tmp_path, baby2022={}, ullah2021={"networks": [NETWORKS[1]]})
    names_of = [sorted(path.name for path in paths.network(name).glob("*.npy")) for name in NETWORKS]
    assert names_of == [["pooled-clean.npy"], ["maps-clean.npy"]]


def test_pooled_features_are_the_mean_of_the_maps(tmp_path: Path) -> None:
    _, paths = made_up(tmp_path, baby2022={}, ullah2021={})
    pooled, maps = (np.load(paths.network(NETWORKS[0]) / f"{kind}-clean.npy") for kind in ("pooled", "maps"))
    np.testing.assert_allclose(pooled, maps.mean((1, 2)), atol=1e-5)


def test_a_network_or_system_that_is_not_of_the_study_is_named(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, baby2022={})
    with pytest.raises(WenError, match=r"network vgg16: params.yaml has no weights for it"):
        network.run(params, paths, "vgg16")
    with pytest.raises(WenError, match=r"system ullah2021: not in this study; params.yaml has baby2022"):
        stage.run(params, paths, "ullah2021")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"label": 1}, "system baby2022: the training images of fold 0 are all of one class"),
        (
            {"subject": "one"},
            r"fold 0 show 1 people \(negative class\) and 1 \(positive class\)",
        ),
    ],
)
def test_too_few_images_for_a_system_are_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    params, paths = made_up(tmp_path, baby2022={})
    pd.read_csv(paths.index).assign(**change).to_csv(paths.index, index=False)
    with pytest.raises(WenError, match=problem):
        stage.run(params, paths, "baby2022")
    assert not paths.system("baby2022").exists()


def test_fewer_people_than_inner_parts_make_fewer_parts(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, baby2022={})
    index = pd.read_csv(paths.index)
    index.assign(subject=index.subject % 4).to_csv(paths.index, index=False)  # two people of each class
    computed(params, paths)
    stage.run(params, paths, "baby2022")
    assert read_json(paths.system("baby2022"))["state"] == "run"


def test_a_rate_at_which_training_diverges_is_named(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, rodrigues2022={"trials": 1})
    array = paths.network(NETWORKS[0]) / "pooled-clean.npy"
    np.save(array, np.load(array) * np.float32(1e38))
    with pytest.raises(WenError, match=r"system rodrigues2022, fold 0: every trial of its search diverged"):
        stage.run(params, paths, "rodrigues2022")


def stored(root: Path, name: str) -> tuple[Params, Paths]:
    """Run stage ``network`` of a network with random weights, whose maps a system reads."""
    _, paths = made_up(root, ullah2021={})
    file = root / "weights.safetensors"
    safetensors.torch.save_file(dict(untrained(name, SIZE).state_dict()), file)
    values = study_values() | {"pretrained": {name: str(file)}, "systems": {"ullah2021": {"networks": [name]}}}
    params = Params.model_validate(values)
    wanted.run(params, paths, lambda options: ("", ""))
    network.run(params, paths, name, "cpu")
    return params, paths


@pytest.mark.parametrize("name", ["test_convnext", "swin_tiny_patch4_window7_224"])
def test_stored_maps_are_timm_s_last_features_with_channels_last(tmp_path: Path, name: str) -> None:
    _, paths = stored(tmp_path, name)
    built: Any = untrained(name, SIZE)
    mean, std = (torch.tensor(built.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    images = torch.from_numpy(np.load(array_path(paths.features, "images"))).movedim(-1, 1) / 255
    with torch.no_grad():
        maps = built.forward_features((images - mean) / std)
    expected = maps if name.startswith("swin") else maps.permute(0, 2, 3, 1)
    found = np.load(array_path(paths.network(name), "maps"))
    assert found.shape[-1] == built.num_features
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_network_of_tokens_has_no_map_to_store(tmp_path: Path) -> None:
    with pytest.raises(WenError, match="the last features of this network are tokens, not a map"):
        stored(tmp_path, "test_vit")
