import os
import subprocess
import sys

import pytest
import torch
from conftest import PROJECT, untrained

from wen.config.params import Compute
from wen.network.cut import cut
from wen.network.frozen import KINDS, Frozen, Run, runner

CPU = torch.device("cpu")


def compute(engine: str, precision: str = "float32") -> Compute:
    return Compute.model_validate({"threads": 1, "cpu_engine": engine, "precision": precision})


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pooled() -> Run:
    """What gives the pooled features of a network by OpenVINO, which takes a second or two to make."""
    return runner(Frozen(untrained("tf_efficientnet_lite0"), "blocks.5", ("pooled",)), 64, CPU, compute("openvino"))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("tf_efficientnet_lite0", KINDS),
        ("tf_efficientnet_lite0", ("pooled",)),
        ("tf_efficientnet_lite0", ("activations",)),
        ("tf_efficientnetv2_b0", KINDS),
        ("efficientnet_b0", KINDS),
    ],
)
def test_both_engines_compute_the_parts_of_the_network(name: str, kinds: tuple[str, ...], images: torch.Tensor) -> None:
    network = untrained(name)
    parts = cut(network, "blocks.5")
    mean, std = (torch.tensor(network.pretrained_cfg[key]) for key in ("mean", "std"))
    with torch.inference_mode():
        activations = parts.trunk(((images - mean) / std).permute(0, 3, 1, 2))
        expected = {"activations": activations.permute(0, 2, 3, 1), "pooled": parts.pool(parts.top(activations))}
    frozen = Frozen(network, "blocks.5", kinds)
    for engine in ("torch", "openvino"):
        outputs = runner(frozen, 64, CPU, compute(engine))(images)
        for kind, output in zip(kinds, outputs, strict=True):
            torch.testing.assert_close(output, expected[kind], atol=2e-4, rtol=2e-4)


def test_a_batch_may_have_any_number_of_images(pooled: Run, images: torch.Tensor) -> None:
    (together,) = pooled(images)
    one_by_one = [pooled(image[None])[0] for image in images]
    torch.testing.assert_close(together, torch.cat(one_by_one), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_pooled_features_of_bfloat16_maps_are_float32_means(engine: str, images: torch.Tensor) -> None:
    network = untrained("tf_efficientnet_lite0")
    frozen = Frozen(network, "conv_head", ("pooled",))
    (pooled,) = runner(frozen, 64, CPU, compute(engine, "bfloat16"))(images)
    assert pooled.dtype == torch.float32
    digits = pooled != pooled.bfloat16()  # more than the 8 bits of bfloat16
    assert digits[pooled != 0].float().mean() > 0.5
    if engine == "torch":
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            (maps,) = frozen(images)
        torch.testing.assert_close(pooled.double(), maps.double().mean((1, 2)), rtol=1e-5, atol=1e-7)


def test_outputs_stay_valid_when_the_next_batch_is_run(pooled: Run, images: torch.Tensor) -> None:
    (first,) = pooled(images)
    before = first.clone()
    pooled(torch.zeros_like(images))
    assert torch.equal(first, before)


@pytest.mark.parametrize("module", ["compiled", "graph"])
def test_openvino_sends_no_telemetry(module: str) -> None:
    script = (
        "import sys, importlib\n"
        f"importlib.import_module('wen.network.{module}')\n"
        "import openvino\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__, *[name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    env = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "openvino.tools.ovc.telemetry_stub\n"
