"""Read and check image files, and cut them to the square input of a network."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from wen.errors import WenError
from wen.files import sha256

FORMATS = ("BMP", "JPEG", "PNG", "TIFF")
ENDINGS = (".bmp", ".dib", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff")
TOO_LARGE = "more pixels than the image of a cell has"
ZEROS = 16
"""Zeros at the end of a JPEG that are more than padding, unless its end mark is before them."""
LARGEST = 8_000  # px, of either side: 200 MB in memory as a padded square; images of cells are far smaller

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # about tags that Pillow does not know
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # `LARGEST` allows less


class BadImage(WenError):
    """A file is not the expected image; the message gives the reason without the path.

    ``cause`` may be common to many files, ``detail`` is specific to this one.
    """

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{detail}, {cause}" if detail else cause)
        self.cause, self.detail = cause, detail


def decode(data: bytes) -> Image.Image:
    """Decode the bytes of an image file as 8-bit RGB.

    Grey levels and palettes are converted to RGB, transparent pixels become black, and an EXIF orientation is applied.

    Raises
    ------
    BadImage
        If it is damaged, not of one of `FORMATS`, too large, in CMYK, has more than 8 bits per channel, or several
        frames or pages.
    """
    image = _opened(data, FORMATS)
    if max(image.size) > LARGEST:
        raise BadImage(TOO_LARGE, f"{image.width}x{image.height} px")
    with _readable():
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a JPEG with a preview
            raise BadImage("several frames or pages; save only the one that shows the cell")
        image.load()
        _check_complete(image, data)
        if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
            raise BadImage(f"colour mode {image.mode}; convert it to 8-bit RGB")
        if (bits := _bits(image, data)) > 8:
            raise BadImage(f"{bits} bits per channel; convert it to 8-bit RGB")
        image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def decode_bmp(data: bytes, side: int | None = None) -> Image.Image:
    """Decode the bytes of a 24-bit BMP, as C-NMC's images are.

    Parameters
    ----------
    data : bytes
        The file's content.
    side : int, optional
        Required width and height, in px.

    Raises
    ------
    BadImage
        If it is truncated, or of another format, mode or size.
    """
    image = _opened(data, ("BMP",))
    if side is not None and image.size != (side, side):
        raise BadImage(f"expected {side}x{side} px", f"{image.width}x{image.height} px")
    if image.mode != "RGB" or _depth(data) != 24:
        raise BadImage(f"colour mode {image.mode} of {_depth(data)} bits, expected 24-bit RGB")
    with _readable():
        image.load()
    return image


def _opened(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    if not data:
        raise BadImage("empty file")
    try:
        with _readable():
            return Image.open(BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        raise BadImage("not a BMP image" if formats == ("BMP",) else "not a BMP, PNG, TIFF or JPEG image") from None


@contextmanager
def _readable() -> Iterator[None]:
    """Replace any other error that a decoder raises by `BadImage`."""
    try:
        yield
    except (BadImage, MemoryError, UnidentifiedImageError):
        raise
    except Image.DecompressionBombError:
        raise BadImage(TOO_LARGE) from None
    except Exception as error:
        raise BadImage("unreadable", " ".join(str(error).split())[:200] or type(error).__name__) from None


def read(path: Path) -> Image.Image:
    """Decode an image file that `wen prepare` has checked."""
    return decode(path.read_bytes())


def _check_complete(image: Image.Image, data: bytes) -> None:
    """Reject a file whose end was never written: zeros in its place are decoded without an error."""
    if image.format == "PNG":
        with Image.open(BytesIO(data), formats=("PNG",)) as again:
            again.verify()  # the checksums, which decoding leaves out
    elif (
        image.format in ("JPEG", "MPO") and data.endswith(bytes(ZEROS)) and not data.rstrip(b"\0").endswith(b"\xff\xd9")
    ):
        raise BadImage("its end is missing; copy it again")


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits per channel of the file: Pillow converts 16-bit colours to 8 bits without a warning."""
    if image.format == "PNG":
        return data[24]
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    return 8


def _depth(data: bytes) -> int:
    """Bits per pixel, from the header of a BMP."""
    place = 24 if data[14] == 12 else 28  # the oldest kind of header has 12 bytes
    return int.from_bytes(data[place : place + 2], "little")


def network_input(path: Path, digest: str, crop: int | None, size: int) -> np.ndarray:
    """Read an indexed image as the network receives it before augmentation.

    Parameters
    ----------
    path : Path
        The file.
    digest : str
        Its SHA-256 in data/index.csv.
    crop, size : int
        See `central_square`.

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


def central_square(image: Image.Image, crop: int | None, size: int) -> np.ndarray:
    """Cut the central square out of an RGB image and resize it, bicubic and antialiased.

    Parameters
    ----------
    image : Image
    crop : int or None
        Width of the square, in px; None for the longer side of the image. A smaller image is padded with black.
    size : int
        Width and height of the result, in px.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8
    """
    crop = crop or max(image.size)
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    square = image.crop((left, top, left + crop, top + crop))
    if crop != size:
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square)


def is_padded(width: int, height: int, crop: int | None) -> bool:
    """Whether `central_square` pads an image of this size with black."""
    return min(width, height) < (crop or max(width, height))
