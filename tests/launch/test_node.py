"""What a node is told of the device."""

import pytest

from wen.launch.node import wen_device


@pytest.mark.parametrize(("here", "there"), [("cuda:1", "cuda"), ("cuda", "cuda"), ("cpu", "cpu"), ("mps", "mps")])
def test_a_gpu_by_number_is_the_one_that_ray_gives(here: str, there: str) -> None:
    assert wen_device(here) == {"WEN_DEVICE": there}


def test_without_a_device_the_node_chooses() -> None:
    assert wen_device("") == {}
