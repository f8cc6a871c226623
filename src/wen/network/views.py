"""Random views of the training images, drawn once and shared by all models.

View v of image i is the same in every fold, at every learning rate, and whether it comes from
data/features or is computed anew.
"""

import math

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample

from wen.config.params import Augment
from wen.config.seeds import seed_for
from wen.network.device import to_device

GREY = (0.2989, 0.587, 0.114)  # of red, green and blue, as torchvision weighs them


def turned(images: torch.Tensor, turn: int) -> torch.Tensor:
    """Turn images of shape (n, height, width, channels) as `wen.data.symmetry.turned` turns one; they are square."""
    if turn >= 4:
        images = images.flip(2)
    if turn % 2:
        images = images.transpose(1, 2)
    axes = {0: [], 1: [1], 2: [1, 2], 3: [2]}[turn % 4]
    return images.flip(axes) if axes else images


def random_view(images: torch.Tensor, options: Augment, seed: int, view: int, rows: np.ndarray) -> torch.Tensor:
    """Make one view of some images: flips, brightness and contrast, then whatever else ``options`` switch on.

    Each kind is drawn by itself, so one that is switched on changes none of the others. What is drawn for an image does
    not depend on the others.

    Parameters
    ----------
    images : Tensor of shape (n, 3, height, width)
        In [0, 1], square.
    options : Augment
    seed : int
        The study's seed.
    view : int
        Which view, from 0.
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
        images = quarter_turned(images, (within(2, "turns") + 2).long())
    if options.rotate:
        images = rotated(images, within(options.rotate / 360, "rotate"))
    if options.hue or options.saturation:
        images = coloured(images, within(options.hue, "hue"), 1 + within(options.saturation, "saturation"))
    return images


def draw(options: Augment, seed: int, view: int, rows: np.ndarray) -> torch.Tensor:
    """Draw one view of some images.

    Parameters
    ----------
    options : Augment
        Probabilities of the flips; brightness and contrast factors lie within 1 +- their value.
    seed : int
        The study's seed.
    view : int
        Which view, from 0.
    rows : ndarray of int
        The images' rows in data/index.csv; what is drawn for one does not depend on the others.

    Returns
    -------
    Tensor of shape (len(rows), 4), float32
        For each image: flip left-right (0 or 1), flip up-down (0 or 1), brightness, contrast factor.
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
    """Apply a view to a batch, all images at once, on whatever device they are.

    Parameters
    ----------
    images : Tensor of shape (n, 3, height, width)
        In [0, 1].
    drawn : Tensor of shape (n, 4)
        What `draw` gave for them.

    Returns
    -------
    Tensor of the same shape
        In [0, 1]. Brightness and contrast are torchvision's ``adjust_brightness`` and
        ``adjust_contrast``, in this order.
    """
    drawn, weights = (to_device(tensor, images.device) for tensor in (drawn, torch.tensor(GREY)))
    left_right, up_down, brightness, contrast = drawn[:, :, None, None, None].unbind(1)
    images = torch.where(left_right > 0, images.flip(3), images)
    images = torch.where(up_down > 0, images.flip(2), images)
    images = (images * brightness).clamp(0, 1)
    grey = (images * weights[None, :, None, None]).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    return (contrast * images + (1 - contrast) * grey).clamp(0, 1)


def quarter_turned(images: torch.Tensor, quarters: torch.Tensor) -> torch.Tensor:
    """Turn each image of shape (3, side, side) anticlockwise by its number of quarters, 0 to 3."""
    for quarter in (1, 2, 3):
        turning = (quarters == quarter)[:, None, None, None]
        images = torch.where(turning, images.rot90(quarter, (2, 3)), images)
    return images


def rotated(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Turn each image about its centre by a part of a full turn; what comes in from outside is black."""
    cosine, sine = torch.cos(2 * math.pi * turns), torch.sin(2 * math.pi * turns)
    zero = torch.zeros_like(turns)
    maps = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).reshape(-1, 2, 3)
    return grid_sample(images, affine_grid(maps, list(images.shape), align_corners=False), align_corners=False)


def coloured(images: torch.Tensor, hue: torch.Tensor, saturation: torch.Tensor) -> torch.Tensor:
    """Shift each image's hue by a part of the colour circle, then change its saturation by a factor."""
    from torchvision.transforms.v2.functional import adjust_hue, adjust_saturation  # slow to import, and rarely needed

    triples = zip(images, hue.tolist(), saturation.tolist(), strict=True)
    return torch.stack([adjust_saturation(adjust_hue(image, shift), factor) for image, shift, factor in triples])
