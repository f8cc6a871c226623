from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wen.classify import Images, Request, write
from wen.data.images import decode
from wen.errors import WenError
from wen.members.apply import Answer, Applied, Preparation, classify
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


def applied(found: list[Answer | str]) -> Applied:
    """A classifier with these answers."""
    return Applied(
        {"classifier": "c", "study": "s"}, ["m"], np.ones(1), np.ones(1), ("HEM", "ALL"), 0.5, 1,
        lambda files: iter(found), HOW, False, None,
    )  # fmt: skip


def test_of_many_images_with_the_same_problem_twenty_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = [f"{k}x9000 px, more pixels than the image of a cell has" for k in range(1000)]
    found: list[Answer | str] = [*reasons, "empty file", Answer(np.array([0.9]), "")]
    files = [f"{k}.png" for k in range(len(found))]
    with pytest.raises(WenError, match="1001 of 1002 images could not be classified"):
        write(applied(found), Images(files, None), Request(files, output=tmp_path / "cells.csv"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:20] == [f"error: {file}: {reason}" for file, reason in zip(files[:20], reasons, strict=False)]
    assert lines[20:] == ["error: 1000.png: empty file", f"error: 980 more images: {reasons[0]}"]
    assert (tmp_path / "cells.csv").read_text().splitlines()[1:] == ["1001.png,0.9,ALL,c,s,0.5,,"]


def test_people_of_whom_no_cell_was_classified_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: list[Answer | str] = [Answer(np.array([0.9]), ""), "empty file", "empty file"]
    files, people = ["1.png", "2.png", "3.png"], ["P1", "P1", "P2"]
    with pytest.raises(WenError, match="2 of 3 images"):
        write(applied(found), Images(files, people), Request(files, output=tmp_path / "people.csv"))
    assert "error: left out, because none of their cells could be classified: P2\n" in capsys.readouterr().err
    assert [line.split(",")[:2] for line in (tmp_path / "people.csv").read_text().splitlines()[1:]] == [["P1", "1"]]


def test_no_output_is_written_if_no_image_could_be_classified(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("those of last week\n")
    with pytest.raises(WenError, match="1 of 1 images"):
        write(applied(["empty file"]), Images(["1.png"], None), Request(["1.png"], output=tmp_path / "cells.csv"))
    assert (tmp_path / "cells.csv").read_text() == "those of last week\n"


def test_a_table_that_names_the_image_in_place_of_the_person_gives_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("1.bmp", "2.bmp"):
        Image.new("RGB", (48, 48)).save(tmp_path / name)
    table = tmp_path / "labels.csv"  # as C-NMC's
    table.write_text("Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_57_29_2_all.bmp,2.bmp,1\n")
    assert Images.of(Request([str(tmp_path)], subjects=table)).subjects == [
        "UID_57_29_1_all.bmp",
        "UID_57_29_2_all.bmp",
    ]
    assert "each of the 2 images has a subject of its own, such as UID_57_29_1_all.bmp" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_refused_before_people_s_cells_are_classified(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answers = iter([Answer(np.array([0.9]), "")])
    one = replace(applied([]), answers=lambda _: answers)
    with pytest.raises(OSError, match="file"):
        write(one, Images(["1.png"], ["P1"]), Request(["1.png"], output=tmp_path / "file/people.csv"))
    assert next(answers)


@pytest.mark.parametrize("option", ["output", "submission"])
@pytest.mark.parametrize("place", ["cells/1.bmp", "subjects.csv", "link.csv"])
def test_an_output_replaces_no_file_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cells").mkdir()
    Image.new("RGB", (48, 48)).save("cells/1.bmp")
    Path("subjects.csv").write_text("file,subject\n1.bmp,7\n")
    Path("link.csv").hardlink_to("subjects.csv")
    request = Request(["cells"], form="csv", subjects=Path("subjects.csv"), **{option: Path(place)})
    with pytest.raises(WenError, match=rf"^{place}: one of the files to read"):
        Images.of(request)
