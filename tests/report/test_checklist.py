"""The reporting checklist: no item is left out in silence."""

import re
from collections import Counter

import pytest
from report_study import PageOf, section_of

from wen.report import checklist
from wen.report.language import Text, listed
from wen.results import gather

LANGUAGES = ["en", "id"]


def test_every_item_of_both_guidelines_is_in_the_checklist_once_and_in_order() -> None:
    numbers: dict[str, list[str]] = {"CLAIM 2024": [], "TRIPOD+AI": []}
    for own in listed("checklist.yaml", "en"):
        numbers[own["guideline"]].append(own["item"])
    assert numbers["CLAIM 2024"] == [str(number) for number in range(1, 45)]
    parts = {"3": 3, "5": 2, "6": 3, "8": 3, "9": 3, "12": 7, "18": 6, "20": 3, "23": 2, "27": 3}
    expected = [
        f"{number}{letter}" for number in range(1, 28) for letter in ("abcdefg"[: parts.get(str(number), 0)] or [""])
    ]
    assert numbers["TRIPOD+AI"] == expected


def test_each_item_is_filled_or_open_or_not_applicable_in_both_languages() -> None:
    for english, indonesian in zip(*(listed("checklist.yaml", language) for language in LANGUAGES), strict=True):
        for own in (english, indonesian):
            (state,) = set(checklist.STATES) & set(own)
            assert own[state]
            assert own["topic"]
        assert english.keys() == indonesian.keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", ["image", "subject"])
def test_the_page_shows_every_item_with_the_numbers_of_the_run(page_of: PageOf, language: str, unit: str) -> None:
    params, paths = page_of(language, unit, "cnmc")
    text, t = section_of(paths, "checklist"), Text(language)
    assert Counter(re.findall(r'<th scope="row">([^<]+)</th>', text)) == {"CLAIM 2024": 44, "TRIPOD+AI": 52}
    for state in checklist.STATES:
        (title,) = (found for found in re.findall("<summary>([^<]+)</summary>", text) if found.startswith(
            t(f"checklist.{state}", count="").split("(")[0]))  # fmt: skip
        body = text.split(title)[1].split("</table>")[0]
        assert title == t(f"checklist.{state}", count=body.count('<th scope="row">'))
    test_images = (gather(params, paths).cells.part == "test").sum()
    assert {"en": f"Test set: {test_images} images", "id": f"Data uji: {test_images} citra"}[language] in text
    assert "{" not in text
