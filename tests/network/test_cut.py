import pytest
import torch
from captum.attr import LayerGradCam

from wen.errors import WenError
from wen.members.predict import Located
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


def test_the_map_says_where_the_logit_comes_from_as_grad_cam_does() -> None:
    torch.manual_seed(0)
    parts = cut(build("tf_efficientnet_lite0").eval(), "blocks.5")
    located = Located(parts)
    activations = parts.trunk(torch.rand(2, 3, 96, 96)).detach()
    outputs = located(activations).detach()
    maps = outputs[:, 1:].unflatten(1, located.shape)
    torch.testing.assert_close(outputs[:, :1], parts.tail(activations))
    torch.testing.assert_close(maps.mean((1, 2)), outputs[:, 0])
    reference = LayerGradCam(parts.tail, parts.top[-1]).attribute(activations, target=0).squeeze(1)
    positions = maps[0].numel()
    torch.testing.assert_close((maps - parts.head.bias) / positions, reference, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("how", ["training", "prediction"])
def test_a_thousand_images_have_a_thousand_logits_in_mixed_precision_too(how: str) -> None:
    """Of bfloat16 the logits would have 8 bits, and keep a few hundred values."""
    torch.manual_seed(0)
    parts = cut(build("tf_efficientnet_lite0").eval(), "conv_head", dtype=torch.bfloat16)
    activations = torch.rand(1000, 320, 2, 2)
    with torch.inference_mode():
        outputs = parts.tail(activations) if how == "training" else Located(parts)(activations)
        maps = parts.top(activations)
        exact = parts.head.double()(maps.double().mean((2, 3)))[:, 0]
    assert torch.equal(maps.bfloat16().float(), maps)  # the convolutions were in bfloat16
    assert len(outputs[:, 0].unique()) > 990
    torch.testing.assert_close(outputs[:, 0].double(), exact, rtol=1e-5, atol=1e-6)


def test_the_convolutions_alone_compute_in_a_half_type() -> None:
    half = cut(build("tf_efficientnet_lite0").eval(), "blocks.5", dtype=torch.bfloat16)
    with torch.inference_mode():
        activations = half.trunk(torch.rand(2, 3, 64, 64))
        maps = half.top(activations)
    for values in (activations, maps):
        assert values.dtype == torch.float32
        assert torch.equal(values.bfloat16().float(), values)


def test_a_block_group_that_is_not_there_is_said() -> None:
    with pytest.raises(WenError, match=r"the network has blocks\.0 to blocks\.6"):
        cut(build("tf_efficientnet_lite0"), "blocks.7")
