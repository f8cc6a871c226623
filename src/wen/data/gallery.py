"""Thumbnails of the test cells, so that the report does not depend on data/features, which takes gigabytes."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from wen.files import read_npz, write_npz

SIDE = 128  # px


def thumbnail(image: np.ndarray) -> Image.Image:
    """Scale an image of shape (size, size, 3), uint8, to `SIDE`."""
    return Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def png(picture: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    data = io.BytesIO()
    picture.save(data, "png")
    return data.getvalue()


def write(path: Path, pictures: Mapping[str, bytes]) -> None:
    """Write PNG data by the ids of their images, concatenated in one array."""
    write_npz(
        path,
        id=np.array(list(pictures), dtype=str),
        end=np.cumsum([len(content) for content in pictures.values()], dtype=np.int64),
        content=np.frombuffer(b"".join(pictures.values()), dtype=np.uint8),
    )


def read(path: Path) -> dict[str, Image.Image]:
    """Read the thumbnails by the ids of their images; each is decoded on first access."""
    arrays = read_npz(path)
    parts = np.split(arrays["content"], arrays["end"][:-1])
    return {id: Image.open(io.BytesIO(part.tobytes())) for id, part in zip(arrays["id"].tolist(), parts, strict=True)}
