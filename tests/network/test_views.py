from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from wen.config.params import Augment
from wen.config.seeds import seed_for
from wen.data import symmetry
from wen.network.views import augment, draw, random_view, rotate_quarters, turned

OPTIONS = Augment(views=3, horizontal_flip=0.5, vertical_flip=0.5, brightness=0.3, contrast=0.4)


def test_a_batch_is_augmented_as_torchvision_does_image_by_image() -> None:
    images = torch.rand(32, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    drawn = draw(OPTIONS, seed=1, view=0, rows=np.arange(32))
    for image, augmented, (left_right, up_down, brightness, contrast) in zip(
        images, augment(images, drawn), drawn.tolist(), strict=True
    ):
        expected = functional.horizontal_flip(image) if left_right else image
        expected = functional.vertical_flip(expected) if up_down else expected
        expected = functional.adjust_brightness(expected, brightness)
        expected = functional.adjust_contrast(expected, contrast)
        torch.testing.assert_close(augmented, expected, atol=2e-6, rtol=1e-5)


def test_a_view_depends_on_seed_and_number_alone() -> None:
    one = draw(OPTIONS, seed=1, view=0, rows=np.arange(50))
    assert torch.equal(one, draw(OPTIONS, seed=1, view=0, rows=np.arange(50)))
    assert not torch.equal(one, draw(OPTIONS, seed=1, view=1, rows=np.arange(50)))
    assert not torch.equal(one, draw(OPTIONS, seed=2, view=0, rows=np.arange(50)))


def test_what_is_drawn_for_an_image_does_not_depend_on_the_others() -> None:
    of_all = draw(OPTIONS, seed=1, view=0, rows=np.arange(50))
    rows = np.array([31, 2, 17])
    assert torch.equal(draw(OPTIONS, seed=1, view=0, rows=rows), of_all[rows])


def test_factors_and_flips_stay_in_their_ranges() -> None:
    drawn = draw(OPTIONS, seed=1, view=0, rows=np.arange(4000))
    assert set(drawn[:, :2].flatten().tolist()) == {0.0, 1.0}
    assert (drawn[:, :2].mean(0) - 0.5).abs().max() < 0.05
    assert (drawn[:, 2] - 1).abs().max() <= 0.3
    assert (drawn[:, 3] - 1).abs().max() <= 0.4


def test_without_options_a_view_is_the_image() -> None:
    images = torch.rand(4, 3, 8, 8)
    still = Augment(views=1, horizontal_flip=0, vertical_flip=0, brightness=0, contrast=0)
    torch.testing.assert_close(augment(images, draw(still, 1, 0, np.arange(4))), images)


def test_flips_and_factors_are_drawn_independently_and_fill_their_ranges() -> None:
    options = Augment(views=3, horizontal_flip=0.2, vertical_flip=0.7, brightness=0.3, contrast=0.4)
    drawn = draw(options, seed=1, view=0, rows=np.arange(4000))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.2, 0.7, 1, 1]), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.amin(0), torch.tensor([0, 0, 0.7, 0.6]), rtol=0, atol=0.01)
    torch.testing.assert_close(drawn.amax(0), torch.tensor([1, 1, 1.3, 1.4]), rtol=0, atol=0.01)
    assert (torch.corrcoef(drawn.T) - torch.eye(4)).abs().max() < 0.06


def test_a_view_is_what_numpy_draws_by_its_own_seed() -> None:
    options = Augment(views=3, horizontal_flip=0.2, vertical_flip=0.7, brightness=0.3, contrast=0.4)
    rows = np.array([7, 0, 30, 12])
    random = np.random.default_rng(seed_for(5, 2, what="view")).random((31, 4))[rows]
    factors = 1 + np.array([0.3, 0.4]) * (2 * random[:, 2:] - 1)
    expected = np.hstack([random[:, :2] < [0.2, 0.7], factors]).astype(np.float32)
    found = draw(options, 5, 2, rows)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == torch.float32


def test_images_are_turned_as_copies_of_cells_are() -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 5, 5, 2))
    for turn in symmetry.TURNS:
        expected = np.stack([symmetry.turned(image, turn) for image in images])
        np.testing.assert_array_equal(turned(torch.from_numpy(images), turn).numpy(), expected)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(1))


STILL = Augment(views=2, horizontal_flip=0, vertical_flip=0, brightness=0, contrast=0)
ROWS = np.arange(24)


def view_of(images: torch.Tensor, **options: Any) -> torch.Tensor:
    return random_view(images, STILL.model_copy(update=options), 1, 0, ROWS)


def test_augmentations_that_are_off_change_no_pixel(images: torch.Tensor) -> None:
    plain = augment(images, draw(OPTIONS, 1, 0, ROWS))
    assert torch.equal(random_view(images, OPTIONS, 1, 0, ROWS), plain)


def test_a_quarter_turn_is_numpys_and_each_number_is_as_frequent(images: torch.Tensor) -> None:
    quarters = torch.arange(24) % 4
    for image, found, quarter in zip(images, rotate_quarters(images, quarters), quarters, strict=True):
        np.testing.assert_array_equal(found, np.rot90(image.numpy(), int(quarter), (1, 2)))
    marked = torch.zeros(4000, 1, 2, 2)
    marked[:, 0, 0, 0] = 1  # the corner that it moves to tells the turn
    corner = random_view(marked.expand(-1, 3, -1, -1), STILL.model_copy(update={"turns": True}), 1, 0, np.arange(4000))
    counts = corner[:, 0].reshape(4000, 4).sum(0)
    assert (counts / 4000 - 0.25).abs().max() < 0.03


def test_a_rotation_is_torchvisions_on_black(images: torch.Tensor) -> None:
    bright = images / 2 + 0.5
    angles = np.random.default_rng(seed_for(1, 0, what="rotate")).random(24) * 60 - 30
    found = view_of(bright, rotate=30.0)
    for image, rotated, angle in zip(bright, found, angles, strict=True):
        expected = functional.rotate(image, angle, functional.InterpolationMode.BILINEAR)
        inside = functional.rotate(torch.ones(1, 16, 16), angle, functional.InterpolationMode.BILINEAR)[0] == 1
        torch.testing.assert_close(rotated[:, inside], expected[:, inside], atol=1e-4, rtol=0)
    assert (found[:, :, 0, 0] < 0.5).any()
    assert ((found >= 0) & (found <= 1)).all()


def test_hue_and_saturation_are_torchvisions_and_keep_black_black(images: torch.Tensor) -> None:
    images[:, :, :4] = 0
    hue = np.random.default_rng(seed_for(1, 0, what="hue")).random(24) * 0.2 - 0.1
    saturation = np.random.default_rng(seed_for(1, 0, what="saturation")).random(24) * 0.6 + 0.7
    found = view_of(images, hue=0.1, saturation=0.3)
    for image, shifted, shift, factor in zip(images, found, hue, saturation, strict=True):
        expected = functional.adjust_saturation(functional.adjust_hue(image, shift), factor)
        torch.testing.assert_close(shifted, expected, atol=1e-5, rtol=0)
    assert (found[:, :, :4] == 0).all()
    assert (found - images).abs().max() > 0.05


def test_hue_and_saturation_change_each_alone_and_quarters_are_as_drawn(images: torch.Tensor) -> None:
    drawn = {what: np.random.default_rng(seed_for(1, 0, what=what)).random(24) for what in ("hue", "saturation")}
    for image, hue, saturation, shift, factor in zip(
        images, view_of(images, hue=0.2), view_of(images, saturation=0.4), 0.4 * drawn["hue"] - 0.2,
        0.8 * drawn["saturation"] + 0.6, strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(hue, functional.adjust_hue(image, shift), atol=1e-5, rtol=0)
        torch.testing.assert_close(saturation, functional.adjust_saturation(image, factor), atol=1e-5, rtol=0)
    quarters = (4 * np.random.default_rng(seed_for(1, 0, what="turns")).random(24)).astype(int)
    assert quarters_of(images).tolist() == quarters.tolist()


def test_one_kind_of_augmentation_does_not_change_the_draws_of_the_others(images: torch.Tensor) -> None:
    flipped = {"horizontal_flip": 0.5, "brightness": 0.3}
    expected = rotate_quarters(view_of(images, **flipped), quarters_of(images))
    torch.testing.assert_close(view_of(images, turns=True, **flipped), expected)


def quarters_of(images: torch.Tensor) -> torch.Tensor:
    """How each image is turned where nothing else changes it."""
    turned_alone = view_of(images, turns=True)
    return torch.tensor(
        [
            [torch.equal(rotated, image.rot90(k, (1, 2))) for k in range(4)].index(True)
            for image, rotated in zip(images, turned_alone, strict=True)
        ]
    )


def test_what_is_drawn_for_an_image_of_any_kind_does_not_depend_on_the_others(images: torch.Tensor) -> None:
    options = OPTIONS.model_copy(update={"turns": True, "rotate": 40.0, "hue": 0.1, "saturation": 0.2})
    of_all = random_view(images, options, 1, 0, ROWS)
    rows = np.array([17, 2, 9])
    torch.testing.assert_close(random_view(images[rows], options, 1, 0, rows), of_all[rows])
    assert not torch.equal(random_view(images, options, 1, 1, ROWS), of_all)
