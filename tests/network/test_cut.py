import pytest
import torch

from wen.errors import WenError
from wen.network.backbone import build
from wen.network.cut import cut


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "tf_efficientnetv2_b0", "efficientnet_b0", "mobilenetv2_050"]
)
@pytest.mark.parametrize("unfreeze_from", ["blocks.0", "blocks.5", "conv_head"])
def test_the_cut_network_computes_what_the_whole_one_does(name: str, unfreeze_from: str) -> None:
    torch.manual_seed(0)
    network = build(name).eval()
    parts = cut(network, unfreeze_from)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(parts.tail(parts.trunk(images)), network(images))


def test_the_thesis_unfreezes_43_of_53_million_parameters() -> None:
    network = build("tf_efficientnetv2_m.in1k")
    parts = cut(network, "blocks.5")
    trained = sum(p.numel() for p in parts.top.parameters())
    whole = trained + sum(p.numel() for p in parts.trunk.parameters())
    assert round(trained / 1e6, 1) == 43.0
    assert round(whole / 1e6, 1) == 52.9


def test_a_block_group_that_is_not_there_is_said() -> None:
    with pytest.raises(WenError, match=r"the network has blocks\.0 to blocks\.6"):
        cut(build("tf_efficientnet_lite0"), "blocks.7")
