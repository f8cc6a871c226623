"""The networks of a classifier as one: what each gives alone, by torch and as OpenVINO reads it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import untrained
from scipy.special import expit, logit
from torch import nn

from wen.bundle import onnx_file
from wen.bundle.onnx_file import Answering
from wen.config.params import Compute, Predict
from wen.data.symmetry import turned
from wen.ensemble.combined import combined
from wen.errors import WenError
from wen.members.apply import probabilities
from wen.members.networks import logits_of
from wen.network import graph
from wen.network.assembly import Assembly, logit_of_mean_probability, to_graph
from wen.network.compiled import compiled

SIZE = 32
CUT = "blocks.4"
ENGINES = ("torch", "openvino")
Run = Callable[[np.ndarray], np.ndarray]


def two_networks() -> list[nn.Module]:
    """Two that differ behind the cut, as after training."""
    first = untrained("mobilenetv3_small_050", SIZE)
    second = copy.deepcopy(first)
    with torch.no_grad():
        second.blocks[4][0].conv_pw.weight.mul_(1.1)
        second.classifier.bias.add_(0.5)
    return [first, second]


def run_of(networks: list[nn.Module], engine: str, precision: str = "float32") -> Run:
    options = Compute.model_validate({"threads": 1, "cpu_engine": engine, "precision": precision})
    return logits_of(networks, CUT, SIZE, torch.device("cpu"), options, turns=(0,))


@pytest.fixture(scope="module")
def networks() -> list[nn.Module]:
    return two_networks()


@pytest.fixture(scope="module")
def runs(networks: list[nn.Module]) -> dict[str, Run]:
    return {engine: run_of(networks, engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
def test_in_an_assembly_each_network_gives_the_logits_that_it_gives_alone(
    networks: list[nn.Module], runs: dict[str, Run], images: np.ndarray, engine: str
) -> None:
    mean, std = (torch.tensor(networks[0].pretrained_cfg[key]) for key in ("mean", "std"))
    normalised = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = torch.cat([network(normalised) for network in networks], 1).numpy()
    found = runs[engine](images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected[:, 0] - expected[:, 1]).min() > 0.01


@pytest.mark.parametrize(
    ("name", "cut_from"), [("test_efficientnet", "auto"), ("test_convnext", "stages.2"), ("test_nfnet", "auto")]
)
def test_a_graph_that_holds_no_weight_gives_with_those_of_any_networks_what_they_give(
    images: np.ndarray, tmp_path: Path, name: str, cut_from: str
) -> None:
    networks = [untrained(name, SIZE), untrained(name, SIZE)]
    with torch.no_grad():
        networks[1].get_classifier().bias.add_(0.5)
    files = [tmp_path / "graph.json", tmp_path / "again.json"]
    for network, file in zip(networks, files, strict=True):
        graph.write(to_graph(network, cut_from, SIZE), file)
    assert files[0].read_bytes() == files[1].read_bytes()
    found = graph.read(files[0])
    assert found is not None
    states = [{key: value.numpy() for key, value in network.state_dict().items()} for network in networks]
    joined = graph.joined(found, states)
    assert joined == graph.joined(found, states)
    run = compiled(*joined, Compute(threads=1, cpu_engine="openvino", precision="float32"))
    with torch.inference_mode():
        expected = Assembly(networks, cut_from).eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(run(images), expected, atol=1e-4)
    assert np.abs(expected[:, 0] - expected[:, 1]).max() > 0.01


def test_a_network_of_whose_weights_openvino_wrote_a_number_that_it_computed_has_no_graph(
    networks: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    serialize = graph.serialize

    def negated(model: Any) -> tuple[bytes, bytes]:
        xml, constants = serialize(model)
        return xml, (np.frombuffer(constants, np.uint8).view(np.uint32) ^ (1 << 31)).tobytes()

    assert to_graph(networks[0], CUT, SIZE) is not None
    monkeypatch.setattr(graph, "serialize", negated)
    assert to_graph(networks[0], CUT, SIZE) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_gets_the_same_answer_alone_and_among_others(
    runs: dict[str, Run], images: np.ndarray, engine: str
) -> None:
    one_by_one = np.concatenate([runs[engine](image[None]) for image in images])
    np.testing.assert_allclose(runs[engine](images), one_by_one, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("place", ["blocks.3.0.bn3", "classifier"])
def test_an_overflow_in_the_shared_part_leaves_no_number_and_one_in_a_tail_those_of_the_others(
    images: np.ndarray, engine: str, place: str
) -> None:
    networks = two_networks()
    with torch.no_grad():
        networks[0].get_parameter(f"{place}.weight").fill_(torch.inf)
    found = probabilities(run_of(networks, engine)(images))
    assert np.isnan(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all() == (place != "classifier")
    assert np.isfinite(found[:, 1]).all() == (place == "classifier")


def test_a_half_type_on_a_cpu_leaves_the_heads_their_digits(networks: list[nn.Module], images: np.ndarray) -> None:
    found = torch.from_numpy(run_of(networks, "openvino", "bfloat16")(images))
    assert (found != found.bfloat16()).any()


def test_onnx_gives_the_probability_of_an_ensemble_scaled_by_its_temperatures(
    networks: list[nn.Module], images: np.ndarray, tmp_path: Path
) -> None:
    weight, temperature = np.array([0.3, 0.7]), np.array([2.5, 0.4])
    answering = Answering(Assembly(networks, CUT), weight, temperature).eval()
    onnx_file.write(answering, SIZE, {"study": "wen-0"}, tmp_path / "one.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "one.onnx", providers=["CPUExecutionProvider"])
    probability, members = session.run(None, {"images": images})
    np.testing.assert_allclose(probability, combined(weight, temperature, members.T.astype(np.float64)), atol=1e-6)
    assert np.abs(probability - members @ weight).max() > 0.01
    assert onnx_file.difference(answering, images, tmp_path / "one.onnx") < 1e-5
    answering.weight *= 1.01
    with pytest.raises(
        WenError, match=r"one\.onnx: not written, because ONNX Runtime's probabilities differ from torch's by 0\.0"
    ):
        onnx_file.difference(answering, images, tmp_path / "one.onnx")


def mean_over_turns(networks: list[nn.Module], images: np.ndarray, turns: list[int]) -> np.ndarray:
    """Probabilities by timm's own forward pass on images that numpy turns."""
    mean, std = (torch.tensor(networks[0].pretrained_cfg[key]) for key in ("mean", "std"))
    found = []
    for turn in turns:
        copies = torch.from_numpy(np.stack([turned(image, turn) for image in images]))
        normalised = ((copies / 255 - mean) / std).permute(0, 3, 1, 2)
        with torch.inference_mode():
            found.append(torch.cat([network(normalised) for network in networks], 1).double().numpy())
    return expit(found).mean(0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("tta", "views"), [("flips", 4), ("dihedral", 8)])
def test_over_turned_copies_each_network_gives_its_mean_probability(
    networks: list[nn.Module], runs: dict[str, Run], images: np.ndarray, engine: str, tta: str, views: int
) -> None:
    turns = Predict.model_validate({"tta": tta}).turns
    options = Compute(threads=1, cpu_engine=engine, precision="float32")
    run = logits_of(networks, CUT, SIZE, torch.device("cpu"), options, turns)
    assert len(set(turns)) == views
    expected = mean_over_turns(networks, images, turns)
    np.testing.assert_allclose(probabilities(run(images)), expected, atol=1e-5)
    assert np.abs(expected - probabilities(runs[engine](images))).max() > 1e-3


def test_flips_are_left_to_right_top_to_bottom_and_both() -> None:
    image = np.random.default_rng(1).integers(0, 256, (5, 5, 3))
    for turn, expected in zip(
        Predict(tta="flips").turns, (image, image[:, ::-1], image[::-1], image[::-1, ::-1]), strict=True
    ):
        np.testing.assert_array_equal(turned(image, turn), expected)


def test_onnx_means_over_turned_copies_too(networks: list[nn.Module], images: np.ndarray, tmp_path: Path) -> None:
    weight, temperature, turns = np.array([0.3, 0.7]), np.array([2.5, 0.4]), Predict(tta="dihedral").turns
    answering = Answering(Assembly(networks, CUT, turns=turns), weight, temperature).eval()
    onnx_file.write(answering, SIZE, {"study": "wen-0"}, tmp_path / "one.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "one.onnx", providers=["CPUExecutionProvider"])
    probability, members = session.run(None, {"images": images})
    expected = mean_over_turns(networks, images, turns)
    np.testing.assert_allclose(members, expected, atol=1e-5)
    np.testing.assert_allclose(probability, combined(weight, temperature, expected.T), atol=1e-5)
    one_by_one = np.concatenate([session.run(None, {"images": image[None]})[0] for image in images])
    np.testing.assert_allclose(one_by_one, probability, atol=1e-6)


def test_the_logit_of_a_mean_probability_is_finite_where_probabilities_are_rounded_to_0_or_1() -> None:
    logits = np.random.default_rng(1).normal(scale=4, size=(4, 50))
    np.testing.assert_allclose(
        logit_of_mean_probability(torch.from_numpy(logits)), logit(expit(logits).mean(0)), rtol=1e-9, atol=1e-12
    )
    extreme = torch.tensor([[200.0, -200.0], [300.0, -300.0]])
    # The smaller of two rare chances rules: 1 - p is the mean of exp(-200) and exp(-300).
    torch.testing.assert_close(logit_of_mean_probability(extreme)[0], torch.tensor(200 + np.log(2)).float())
    torch.testing.assert_close(logit_of_mean_probability(extreme)[1], torch.tensor(-200 - np.log(2)).float())
