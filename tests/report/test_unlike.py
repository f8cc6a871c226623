"""Every reason why an image is unusual is in the language of the report."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wen.data import outliers
from wen.report.language import Text
from wen.report.unlike import reason


def found() -> set[str]:
    """The reasons of images that differ from plain ones in size, area, brightness and colour."""
    usual = outliers.ranges(pd.DataFrame([outliers.look(picture((150, 120, 140)))] * 3))
    colours = [(220, 120, 140), (80, 120, 140), (150, 190, 140), (150, 60, 140), (150, 120, 210), (150, 120, 60)]
    colours += [(137, 137, 137), (20, 20, 20), (250, 250, 250)]
    pictures = [Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), "grey"), picture((150, 120, 140), side=200)]
    pictures += [picture((150, 120, 140), margin=28), *map(picture, colours)]
    return {line for image in pictures for line in outliers.reasons(outliers.look(image), usual)}


def picture(colour: tuple[int, int, int], side: int = 64, margin: int = 8) -> Image.Image:
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[margin : side - margin, margin : side - margin] = colour
    return Image.fromarray(pixels)


def test_the_reasons_are_of_every_kind() -> None:
    words = {"black", "a single colour", "px,", "not black", "darker", "brighter", "grey",
             *(f"{more} {colour}" for more in ("more", "less") for colour in ("red", "green", "blue"))}  # fmt: skip
    assert {word for word in words if not any(word in line for line in found())} == set()


def test_english_reasons_stay_as_they_are() -> None:
    assert {line: reason(line, Text("en")) for line in found()} == {line: line for line in found()}


@pytest.mark.parametrize("line", sorted(found()))
def test_no_english_is_left_in_an_indonesian_reason_and_no_number_lost(line: str) -> None:
    translated = reason(line, Text("id"))
    english = r"\b(black|colour|study|usual|mean|level|more|less|minus|red|green|blue|grey|is|to)\b"
    assert not re.search(english, translated)
    assert re.findall(r"-?\d+%?", translated) == re.findall(r"-?\d+%?", line)


def test_a_reason_that_is_not_known_is_kept() -> None:
    assert reason("upside down", Text("id")) == "upside down"
