from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wen.classify import Images, Request
from wen.data.images import decode
from wen.members.apply import Answer, Preparation, classify
from wen.members.predict import OVERFLOW

HOW = Preparation(crop=48, size=32, batch=2)


def test_an_image_without_a_finite_probability_gets_a_reason_instead(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("1.bmp", "2.bmp")]
    for file in files:
        Image.new("RGB", (48, 48)).save(file)
    first, second = classify(files, lambda images: np.array([[0.9, 0.8], [np.nan, 0.2]]), HOW)
    assert isinstance(first, Answer)
    assert first.probability.tolist() == [0.9, 0.8]
    assert second == OVERFLOW


@pytest.mark.parametrize(
    "error", [MemoryError("bomb"), RecursionError(), OverflowError(), OSError(5, "Input/output error")]
)
def test_an_error_of_the_decoder_on_one_image_does_not_affect_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    files = [str(tmp_path / name) for name in ("1.bmp", "2.bmp", "3.bmp")]
    for number, file in enumerate(files):
        Image.new("RGB", (48, 48), (number, 0, 0)).save(file)

    def fragile(data: bytes) -> Image.Image:
        image = decode(data)
        if image.getpixel((0, 0)) == (1, 0, 0):
            raise error
        return image

    monkeypatch.setattr("wen.members.apply.decode", fragile)
    first, second, third = classify(files, lambda images: np.full((len(images), 2), 0.5), HOW)
    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert first.probability.tolist() == third.probability.tolist() == [0.5, 0.5]
    assert isinstance(second, str)
    assert second


def test_an_image_unlike_the_study_s_is_classified_and_named(tmp_path: Path) -> None:
    Image.new("RGB", (48, 48)).save(tmp_path / "black.bmp")
    usual = {name: [0.0, 1e6] for name in ("width", "height", "area", "red", "green", "blue")}
    how = Preparation(crop=48, size=32, batch=2, usual=usual)
    (answer,) = classify([str(tmp_path / "black.bmp")], lambda images: np.full((len(images), 2), 0.5), how)
    assert isinstance(answer, Answer)
    assert (answer.probability.tolist(), answer.warning) == ([0.5, 0.5], "black")


def test_a_cell_in_two_sources_counts_once_for_its_person(tmp_path: Path) -> None:
    (tmp_path / "plate/urgent").mkdir(parents=True)
    cells = [tmp_path / name for name in ("plate/1.bmp", "plate/urgent/2.bmp")]
    for cell in cells:
        Image.new("RGB", (48, 48)).save(cell)
    table = tmp_path / "subjects.csv"
    table.write_text("file,subject\n1.bmp,7\n2.bmp,7\n")
    sources = [str(cells[0].parent), str(cells[1].parent), str(cells[1])]
    assert Images.of(Request(sources, subjects=table)) == Images(list(map(str, cells)), ["7", "7"])
    assert len(Images.of(Request(sources)).files) == 4  # a row for each name that was given
