"""Random views of the training images (augmentation), drawn once and shared by all models.

View v of image i is the same in every fold and at every learning rate, whether it is read from data/features or
computed during training.
"""

import math

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample

from wen.config.params import Augment
from wen.config.seeds import seed_for
from wen.network.device import to_device

GREY = (0.2989, 0.587, 0.114)  # torchvision's weights of red, green and blue


def turned(images: torch.Tensor, turn: int) -> torch.Tensor:
    """Apply one of the eight symmetries of the square to images of shape (n, size, size, channels).

    The symmetries are numbered as in `wen.data.symmetry.turned`.
    """
    if turn >= 4:
        images = images.flip(2)
    if turn % 2:
        images = images.transpose(1, 2)
    axes = {0: [], 1: [1], 2: [1, 2], 3: [2]}[turn % 4]
    return images.flip(axes) if axes else images


def random_view(images: torch.Tensor, options: Augment, seed: int, view: int, rows: np.ndarray) -> torch.Tensor:
    """Return one random view of images: flips, brightness and contrast, then the further kinds enabled in ``options``.

    Each kind has its own random draw, so that enabling one does not change the others. The draw for an image does not
    depend on the other images.

    Parameters
    ----------
    images : Tensor of shape (n, 3, height, width)
        In [0, 1], square.
    options : Augment
    seed : int
        The study's seed.
    view : int
        Number of the view, from 0.
    rows : ndarray of int
        The images' rows in data/index.csv.

    Returns
    -------
    Tensor of the same shape, in [0, 1]
    """

    def within(limit: float, what: str) -> torch.Tensor:
        drawn = np.random.default_rng(seed_for(seed, view, what=what)).random(rows.max() + 1)[rows]
        return to_device(torch.from_numpy(limit * (2 * drawn - 1)).float(), images.device)

    images = augment(images, draw(options, seed, view, rows))
    if options.turns:
        images = rotate_quarters(images, (within(2, "turns") + 2).long())
    if options.rotate:
        images = rotate(images, within(options.rotate / 360, "rotate"))
    if options.hue or options.saturation:
        images = adjust_colour(images, within(options.hue, "hue"), 1 + within(options.saturation, "saturation"))
    return images


def draw(options: Augment, seed: int, view: int, rows: np.ndarray) -> torch.Tensor:
    """Draw the flips, brightness and contrast of one view.

    Parameters
    ----------
    options : Augment
        Probabilities of the flips, and the largest deviations of the brightness and contrast factors from 1.
    seed : int
        The study's seed.
    view : int
        Number of the view, from 0.
    rows : ndarray of int
        The images' rows in data/index.csv. The draw for a row does not depend on the other rows.

    Returns
    -------
    Tensor of shape (len(rows), 4), float32
        For each image: horizontal flip (0 or 1), vertical flip (0 or 1), brightness factor, contrast factor.
    """
    random = np.random.default_rng(seed_for(seed, view, what="view")).random((rows.max() + 1, 4))[rows]
    return torch.from_numpy(
        np.stack(
            [
                random[:, 0] < options.horizontal_flip,
                random[:, 1] < options.vertical_flip,
                1 + options.brightness * (2 * random[:, 2] - 1),
                1 + options.contrast * (2 * random[:, 3] - 1),
            ],
            axis=1,
        ).astype(np.float32)
    )


def augment(images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Apply flips, brightness and contrast to a batch, on the device of the images.

    Parameters
    ----------
    images : Tensor of shape (n, 3, height, width)
        In [0, 1].
    drawn : Tensor of shape (n, 4)
        The result of `draw` for these images.

    Returns
    -------
    Tensor of the same shape
        In [0, 1]. Equals torchvision's ``adjust_brightness`` followed by ``adjust_contrast``.
    """
    drawn, weights = (to_device(tensor, images.device) for tensor in (drawn, torch.tensor(GREY)))
    left_right, up_down, brightness, contrast = drawn[:, :, None, None, None].unbind(1)
    images = torch.where(left_right > 0, images.flip(3), images)
    images = torch.where(up_down > 0, images.flip(2), images)
    images.mul_(brightness).clamp_(0, 1)  # in place, on the copy that was just made: a third less time
    grey = (images * weights[None, :, None, None]).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    return images.mul_(contrast).add_((1 - contrast) * grey).clamp_(0, 1)


def rotate_quarters(images: torch.Tensor, quarters: torch.Tensor) -> torch.Tensor:
    """Rotate square images of shape (n, 3, size, size) anticlockwise by their numbers of quarter turns, 0 to 3."""
    for quarter in (1, 2, 3):
        is_rotated = (quarters == quarter)[:, None, None, None]
        images = torch.where(is_rotated, images.rot90(quarter, (2, 3)), images)
    return images


def rotate(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Rotate each image about its centre by a fraction of a full turn; new pixels are black."""
    cosine, sine = torch.cos(2 * math.pi * turns), torch.sin(2 * math.pi * turns)
    zero = torch.zeros_like(turns)
    maps = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).reshape(-1, 2, 3)
    return grid_sample(images, affine_grid(maps, list(images.shape), align_corners=False), align_corners=False)


def adjust_colour(images: torch.Tensor, hue: torch.Tensor, saturation: torch.Tensor) -> torch.Tensor:
    """Shift each image's hue by a fraction of the colour circle, then multiply its saturation by a factor."""
    from torchvision.transforms.v2.functional import adjust_hue, adjust_saturation  # slow to import, and rarely needed

    triples = zip(images, hue.tolist(), saturation.tolist(), strict=True)
    return torch.stack([adjust_saturation(adjust_hue(image, shift), factor) for image, shift, factor in triples])
