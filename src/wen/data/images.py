"""Image files: read once, checked, and cropped to the square that enters the network."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from wen.errors import WenError


class BadImage(WenError):
    """A file that is not the expected image; the text says why, without the path."""


def decode(data: bytes, side: int | None = None) -> Image.Image:
    """Decode the bytes of a 24-bit BMP.

    Parameters
    ----------
    data : bytes
        The file's content.
    side : int, optional
        The width and height it must have, in px.

    Raises
    ------
    BadImage
        If it is truncated, of another format, mode or size.
    """
    if not data:
        raise BadImage("empty file")
    try:
        image = Image.open(BytesIO(data), formats=["BMP"])
        if side is not None and image.size != (side, side):
            raise BadImage(f"{image.width}x{image.height} px, expected {side}x{side}")
        if image.mode != "RGB" or _depth(data) != 24:
            raise BadImage(f"colour mode {image.mode} of {_depth(data)} bits, expected RGB of 24")
        image.load()
    except UnidentifiedImageError:
        raise BadImage("not a BMP image") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadImage(f"unreadable ({error})") from None
    return image


def _depth(data: bytes) -> int:
    """Bits a pixel, by the header of a BMP."""
    place = 24 if data[14] == 12 else 28  # the oldest kind of header has 12 bytes
    return int.from_bytes(data[place : place + 2], "little")


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def network_input(path: Path, digest: str, crop: int, size: int) -> np.ndarray:
    """Read an indexed image as the network receives it before augmentation.

    Parameters
    ----------
    path : Path
        The file.
    digest : str
        Its SHA-256 in data/index.csv.
    crop, size : int
        The central square of ``crop`` px, resized (bicubic, antialiased) to ``size`` px.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8

    Raises
    ------
    WenError
        If the file is missing or has changed since it was indexed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WenError(f"{path}: {error.strerror}; run `dvc repro prepare` to index the images again") from None
    if sha256(data) != digest:
        raise WenError(f"{path}: changed since it was indexed; run `dvc repro prepare`")
    return central_square(decode(data), crop, size)


def central_square(image: Image.Image, crop: int, size: int) -> np.ndarray:
    """Cut the central ``crop`` px out of an RGB image and resize them to ``size`` px, as (size, size, 3)."""
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    square = image.crop((left, top, left + crop, top + crop))
    if crop != size:
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square)
