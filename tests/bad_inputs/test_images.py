"""Wrong image files among training and preliminary images, in a folder and in a zip, are refused."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest
from PIL import Image
from project import Project, zipped

TRAINING = "C-NMC_training_data/fold_1/hem/UID_H10_1_1_hem.bmp"
PRELIMINARY = "C-NMC_test_prelim_phase_data/2.bmp"
SIDE = layouts.SIDE


def encoded(mode: str, kind: str, side: tuple[int, int] = (SIDE, SIDE), **options: object) -> bytes:
    """A plain picture of a mode, in a file format."""
    with io.BytesIO() as file:
        Image.new(mode, side).save(file, format=kind, **options)
        return file.getvalue()


def good() -> bytes:
    pixels = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, format="BMP")
        return file.getvalue()


def header(place: int, form: str, value: int) -> bytes:
    """A good BMP with one number of its header replaced."""
    content = bytearray(good())
    struct.pack_into(form, content, place, value)
    return bytes(content)


def sixteen_bits() -> bytes:
    pixels = bytes(SIDE * SIDE * 2)
    head = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 16, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head)) + head + pixels


def animated() -> bytes:
    frames = [Image.new("L", (SIDE, SIDE), shade) for shade in (0, 128, 255)]
    with io.BytesIO() as file:
        frames[0].save(file, format="GIF", save_all=True, append_images=frames[1:])
        return file.getvalue()


BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"B",
    "magic alone": lambda: b"BM",
    "half a header": lambda: good()[:20],
    "header alone": lambda: good()[:54],
    "a pixel short": lambda: good()[:-3],
    "half": lambda: good()[: len(good()) // 2],
    "text": lambda: b"This is no picture.\n",
    "zeros": lambda: bytes(300),
    "ones": lambda: b"\xff" * 300,
    "wrong magic": lambda: b"XX" + good()[2:],
    "magic of an icon array": lambda: b"BA" + good()[2:],
    "png": lambda: encoded("RGB", "PNG"),
    "jpeg": lambda: encoded("RGB", "JPEG"),
    "jpeg in cmyk": lambda: encoded("CMYK", "JPEG"),
    "tiff": lambda: encoded("RGB", "TIFF"),
    "tiff in 16 bits": lambda: encoded("I;16", "TIFF"),
    "tiff in cmyk": lambda: encoded("CMYK", "TIFF"),
    "webp": lambda: encoded("RGB", "WEBP"),
    "ppm": lambda: encoded("RGB", "PPM"),
    "gif": lambda: encoded("P", "GIF"),
    "animated gif": animated,
    "png with transparency": lambda: encoded("RGBA", "PNG"),
    "1 bit": lambda: encoded("1", "BMP"),
    "grey": lambda: encoded("L", "BMP"),
    "palette": lambda: encoded("P", "BMP"),
    "16 bits": sixteen_bits,
    "32 bits": lambda: encoded("RGBA", "BMP"),
    "a pixel too wide": lambda: encoded("RGB", "BMP", (SIDE + 1, SIDE)),
    "a pixel too low": lambda: encoded("RGB", "BMP", (SIDE, SIDE - 1)),
    "one pixel": lambda: encoded("RGB", "BMP", (1, 1)),
    "no width": lambda: header(18, "<i", 0),
    "no height": lambda: header(22, "<i", 0),
    "negative width": lambda: header(18, "<i", -SIDE),
    "a bomb of 2 gigapixels": lambda: header(18, "<i", 2**31 - 1),
    "a bomb of 200 megapixels": lambda: (
        struct.pack("<2sIHHIIiiHH", b"BM", 78, 0, 0, 54, 40, 14_000, 14_000, 1, 24) + bytes(24)
    ),
    "planes of nothing": lambda: header(28, "<H", 0),
    "17 bits": lambda: header(28, "<H", 17),
    "an unknown compression": lambda: header(30, "<I", 9),
    "run-length compression": lambda: header(30, "<I", 1),
    "header of a size unknown": lambda: header(14, "<I", 41),
    "pixels beyond the end": lambda: header(10, "<I", 10_000),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("place", [TRAINING, PRELIMINARY], ids=["training", "preliminary"])
@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("error")
def test_a_file_other_than_a_24_bit_bmp_of_the_right_size_is_named(
    project: Project, data: Path, name: str, place: str, packed: bool
) -> None:
    (data / place).unlink()
    (data / place).write_bytes(BAD[name]())
    brought = zipped(data) if packed else data
    message = project.refuses(*project.study(brought), named=f"{brought}/{place}: ")
    assert "1 problem(s)" in message


@pytest.mark.parametrize("name", BAD)
def test_an_image_damaged_after_the_import_is_named_by_the_stage_that_reads_it(
    project: Project, data: Path, name: str
) -> None:
    assert project.wen(*project.study(data))[0] == 0
    image = project.root / "data/raw/cnmc" / TRAINING
    image.unlink()
    image.write_bytes(BAD[name]())
    project.refuses("prepare", named=f"data/raw/cnmc/{TRAINING}: ")
