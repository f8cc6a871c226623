"""The errata of the thesis: on the page, in docs/, and in numbers that add up."""

import re
from itertools import pairwise

import errata_page
import pytest
from conftest import PROJECT
from report_study import PageOf, section_of

from wen.report.language import listed

LANGUAGES = ["en", "id"]


@pytest.mark.parametrize(("language", "name"), [("en", "ERRATA.md"), ("id", "ERRATA.id.md")])
def test_the_docs_hold_the_errata_that_the_page_holds(language: str, name: str) -> None:
    text = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    assert text == errata_page.page(text, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_known_error_of_the_thesis_is_on_the_page_with_the_decision_taken(page_of: PageOf, language: str) -> None:
    known = (
        "(2.9)", "(2.13)", "(2.17)", "(2.20)", "(2.22)", "2.10.6", "2.12", "3.1,", "3.3,", "3.3 (4)", "3.5", "Intra-LR",
    )  # fmt: skip
    entries = listed("errata.yaml", language)
    for place in known:
        assert any(place in entry["place"] for entry in entries), place
    text = section_of(page_of(language)[1], "errata")
    for entry in entries:
        assert all(entry[column] for column in errata_page.COLUMNS)
        assert all(entry[column] in text for column in ("place", "says", "meant", "decision"))
    assert all(one["page"] <= other["page"] for one, other in pairwise(entries))


def test_the_people_of_table_3_1_add_up() -> None:
    (table,) = (entry for entry in listed("errata.yaml", "en") if entry["place"] == "3.1, Table 3.1")
    sums = [[int(number) for number in found] for found in re.findall(r"(\d+) \+ (\d+) \+ (\d+)", table["meant"])]
    assert [sum(numbers) for numbers in sums] == [69, 49, 91, 72]
    assert sum(sums[0]) + sum(sums[1]) == 118
