"""An image that is no cell of the study's kind is named, with what is unlike; the study's own cells are not."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from wen.data import outliers


def cell(
    side: int = 450, share: float = 0.16, colour: tuple[int, int, int] = (70, 30, 80), seed: int = 0
) -> Image.Image:
    """A disc with some texture on black, as C-NMC's cells are."""
    noise = np.random.default_rng(seed).integers(-20, 21, (side, side, 1))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    radius = side * (share / np.pi) ** 0.5
    mask = Image.new("1", (side, side))
    ImageDraw.Draw(mask).ellipse([side / 2 - radius, side / 2 - radius, side / 2 + radius, side / 2 + radius], fill=1)
    return Image.composite(Image.fromarray(pixels), Image.new("RGB", (side, side)), mask)


@pytest.fixture(scope="module")
def usual() -> dict[str, list[float]]:
    shares = np.linspace(0.08, 0.24, 20)
    return outliers.ranges(pd.DataFrame([outliers.look(cell(share=share, seed=k)) for k, share in enumerate(shares)]))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.new("RGB", (450, 450)), "black"),
        (Image.new("RGB", (450, 450), "white"), "a single colour"),
        (cell(120), "120x120 px"),
        (cell(1500), "1500x1500 px"),
        (cell(colour=(200, 190, 60)), "more red than usual (mean "),
        (cell(colour=(22, 22, 24)), "less red than usual (mean "),
        (cell(colour=(230, 200, 230)), "brighter than usual (mean level 2"),
        (cell(colour=(70, 30, 150)), "more blue than usual (mean 1"),
        (cell(share=0.78), "of the image is not black"),
        (cell().convert("L").convert("RGB"), "more grey than usual (red minus green 0, "),
        (Image.merge("RGB", cell().split()[::-1]), "more red than usual (blue minus red -"),
    ],
)
def test_an_image_unlike_the_study_is_named_with_what_differs(image, reason, usual):
    assert reason in "; ".join(outliers.reasons(outliers.look(image), usual))


@pytest.mark.parametrize("side", [400, 450, 600])
def test_a_cell_like_those_of_the_study_is_not_named(side, usual):
    assert outliers.reasons(outliers.look(cell(side, seed=99)), usual) == []


def test_a_study_of_many_sizes_accepts_all_of_them():
    looks = pd.DataFrame([outliers.look(cell(side, seed=side)) for side in range(60, 300, 12)])
    usual = outliers.ranges(looks)
    assert not any(outliers.reasons(look, usual) for look in looks.to_dict("records"))
    assert outliers.reasons(outliers.look(cell(5000)), usual)


def test_a_strange_image_among_many_does_not_move_the_ranges(usual):
    looks = [outliers.look(cell(share=share, seed=k)) for k, share in enumerate(np.linspace(0.08, 0.24, 20))]
    strange = [outliers.look(Image.new("RGB", (5000, 5000)))]
    moved = outliers.ranges(pd.DataFrame(looks + strange))
    for name, ends in usual.items():
        assert moved[name] == pytest.approx(ends, rel=0.2, abs=12)
