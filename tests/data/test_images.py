"""Images of laboratories are converted to 8-bit RGB or refused in one sentence."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wen.data.images import BadImage, central_square, decode, is_padded

RED = (200, 10, 30)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, format=kind, **options)
        return file.getvalue()


def picture(mode: str = "RGB") -> Image.Image:
    """Red, with a white pixel in the upper left corner, 6 px wide and 4 px high."""
    image = Image.new("RGB", (6, 4), RED)
    image.putpixel((0, 0), (255, 255, 255))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("BMP", {}), ("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}),
     ("JPEG", {"quality": 95, "subsampling": 0})],
)  # fmt: skip
def test_each_format_is_read(kind: str, options: dict[str, object]) -> None:
    found = np.asarray(decode(encoded(picture(), kind, **options)), dtype=int)
    assert found.shape == (4, 6, 3)
    assert abs(found[3, 5] - RED).max() <= 12


@pytest.mark.parametrize(
    ("mode", "kind"), [("P", "PNG"), ("RGBA", "PNG"), ("RGBA", "TIFF"), ("RGBA", "BMP"), ("P", "BMP")]
)
def test_a_palette_and_an_opaque_alpha_channel_change_no_colour(mode: str, kind: str) -> None:
    found = decode(encoded(picture(mode), kind))
    assert found.mode == "RGB"
    assert np.abs(np.asarray(found, dtype=int)[3, 5] - RED).max() <= 32  # a palette has few colours


def test_grey_levels_become_equal_channels() -> None:
    found = np.asarray(decode(encoded(picture("L"), "PNG")))
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparent_pixels_become_black(kind: str) -> None:
    image = picture("RGBA")
    image.putpixel((5, 3), (255, 255, 255, 0))
    assert decode(encoded(image, kind)).getpixel((5, 3)) == (0, 0, 0)


def test_a_transparent_colour_of_a_palette_becomes_black() -> None:
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 250, 250, 250])
    assert decode(encoded(image, "PNG", transparency=1)).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize(("orientation", "corner"), [(3, (5, 3)), (6, (3, 0)), (8, (0, 5))])
def test_an_image_is_turned_as_its_exif_tag_says(orientation: int, corner: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(encoded(picture(), "PNG", exif=exif))
    assert found.getpixel(corner) == (255, 255, 255)


def sixteen() -> bytes:
    return encoded(Image.fromarray(np.full((4, 6), 40_000, np.uint16)), "TIFF")


def pages(kind: str) -> bytes:
    return encoded(picture(), kind, save_all=True, append_images=[Image.new("RGB", (6, 4), "blue")])


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "16-bit grey": (sixteen, "colour mode I;16; convert it to 8-bit RGB"),
    "floating point": (lambda: encoded(Image.new("F", (6, 4)), "TIFF"), "colour mode F; convert"),
    "CMYK JPEG": (lambda: encoded(picture("CMYK"), "JPEG"), "colour mode CMYK; convert"),
    "CMYK TIFF": (lambda: encoded(picture("CMYK"), "TIFF"), "colour mode CMYK; convert"),
    "pages of a TIFF": (lambda: pages("TIFF"), "several frames or pages"),
    "an animated PNG": (lambda: pages("PNG"), "several frames or pages"),
    "GIF": (lambda: encoded(picture("P"), "GIF"), "not a BMP, PNG, TIFF or JPEG image"),
    "WebP": (lambda: encoded(picture(), "WEBP"), "not a BMP, PNG, TIFF or JPEG image"),
    "half a JPEG": (lambda: encoded(picture().resize((600, 400)), "JPEG")[:900], "unreadable"),
    "half a PNG": (lambda: encoded(Image.effect_noise((64, 64), 50), "PNG")[:900], "unreadable"),
    "nothing": (lambda: b"", "empty file"),
    "text": (lambda: b"This is no picture.", "not a BMP, PNG, TIFF or JPEG image"),
    "many pixels": (lambda: encoded(Image.new("1", (9_000, 9_000)), "PNG"), "9000x9000 px, more pixels than"),
    "a strip": (lambda: encoded(Image.new("1", (9_000, 100)), "PNG"), "9000x100 px, more pixels than"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("error")
def test_an_image_that_cannot_be_read_is_refused_in_one_sentence(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(BadImage) as refused:
        decode(make())
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_full_image_is_padded_with_black_to_a_square_and_resized(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 30), "white")
    found = central_square(image, None, 60)
    assert found.shape == (60, 60, 3)
    assert (found[15:45] == 255).all()
    assert not found[:15].any()
    assert not found[45:].any()
    assert central_square(image, None, 32).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("size", "crop", "padded"),
    [
        ((60, 60), None, False),
        ((60, 30), None, True),
        ((60, 60), 60, False),
        ((60, 59), 60, True),
        ((60, 70), 50, False),
    ],
)
def test_an_image_that_gets_a_black_border_is_counted_as_padded(
    size: tuple[int, int], crop: int | None, padded: bool
) -> None:
    image = Image.new("RGB", size, "white")
    assert is_padded(*size, crop) == padded
    assert (not central_square(image, crop, crop or max(size)).all()) == padded


def test_colours_of_16_bits_are_refused_and_not_cut_to_8() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(2 * 13))) + chunk(b"IEND", b"")
    with pytest.raises(BadImage, match="16 bits per channel; convert it to 8-bit RGB"):
        decode(png)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_images_of_at_most_8_bits_are_read(form: str, mode: str) -> None:
    content = io.BytesIO()
    Image.new("RGB", (4, 3), (200, 200, 200)).convert(mode).save(content, form)
    assert decode(content.getvalue()).size == (4, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_file_whose_end_was_never_written_is_refused(kind: str) -> None:
    """As after a power cut, or while a cloud's folder is still being filled: it has its size, and zeros at the end."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, kind)
    data = content.getvalue()
    assert decode(data).size == decode(data + bytes(100)).size == (90, 90)
    for share in (0.5, 0.7, 0.9):
        written = int(share * len(data))
        with pytest.raises(BadImage):
            decode(data[:written] + bytes(len(data) - written))
