import numpy as np
import torch
from torchvision.transforms.v2 import functional

from wen.config.params import Augment
from wen.data import symmetry
from wen.network.views import augment, draw, turned

OPTIONS = Augment(views=3, horizontal_flip=0.5, vertical_flip=0.5, brightness=0.3, contrast=0.4)


def test_a_batch_is_augmented_as_torchvision_does_image_by_image() -> None:
    images = torch.rand(32, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    drawn = draw(OPTIONS, seed=1, view=0, rows=np.arange(32))
    for image, ours, (left_right, up_down, brightness, contrast) in zip(
        images, augment(images, drawn), drawn.tolist(), strict=True
    ):
        theirs = functional.horizontal_flip(image) if left_right else image
        theirs = functional.vertical_flip(theirs) if up_down else theirs
        theirs = functional.adjust_brightness(theirs, brightness)
        theirs = functional.adjust_contrast(theirs, contrast)
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-5)


def test_a_view_depends_on_seed_and_number_alone() -> None:
    one = draw(OPTIONS, seed=1, view=0, rows=np.arange(50))
    assert torch.equal(one, draw(OPTIONS, seed=1, view=0, rows=np.arange(50)))
    assert not torch.equal(one, draw(OPTIONS, seed=1, view=1, rows=np.arange(50)))
    assert not torch.equal(one, draw(OPTIONS, seed=2, view=0, rows=np.arange(50)))


def test_what_is_drawn_for_an_image_does_not_depend_on_the_others() -> None:
    of_all = draw(OPTIONS, seed=1, view=0, rows=np.arange(50))
    rows = np.array([31, 2, 17])
    assert torch.equal(draw(OPTIONS, seed=1, view=0, rows=rows), of_all[rows])


def test_factors_and_flips_keep_to_their_ranges() -> None:
    drawn = draw(OPTIONS, seed=1, view=0, rows=np.arange(4000))
    assert set(drawn[:, :2].flatten().tolist()) == {0.0, 1.0}
    assert (drawn[:, :2].mean(0) - 0.5).abs().max() < 0.05
    assert (drawn[:, 2] - 1).abs().max() <= 0.3
    assert (drawn[:, 3] - 1).abs().max() <= 0.4


def test_without_options_a_view_is_the_image() -> None:
    images = torch.rand(4, 3, 8, 8)
    still = Augment(views=1, horizontal_flip=0, vertical_flip=0, brightness=0, contrast=0)
    torch.testing.assert_close(augment(images, draw(still, 1, 0, np.arange(4))), images)


def test_flips_and_factors_are_drawn_each_on_its_own_and_fill_their_ranges() -> None:
    options = Augment(views=3, horizontal_flip=0.2, vertical_flip=0.7, brightness=0.3, contrast=0.4)
    drawn = draw(options, seed=1, view=0, rows=np.arange(4000))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.2, 0.7, 1, 1]), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.amin(0), torch.tensor([0, 0, 0.7, 0.6]), rtol=0, atol=0.01)
    torch.testing.assert_close(drawn.amax(0), torch.tensor([1, 1, 1.3, 1.4]), rtol=0, atol=0.01)
    assert (torch.corrcoef(drawn.T) - torch.eye(4)).abs().max() < 0.06


def test_images_are_turned_as_copies_of_cells_are() -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 5, 5, 2))
    for turn in symmetry.TURNS:
        expected = np.stack([symmetry.turned(image, turn) for image in images])
        np.testing.assert_array_equal(turned(torch.from_numpy(images), turn).numpy(), expected)
