"""The references, and the attribution of the cells that are shown."""

import re
from collections import Counter

import pytest
from report_study import MakeStudy, PageOf, section_of

from wen.report import page, published
from wen.report.language import Text, listed

LANGUAGES = ["en", "id"]
DOI = r"10\.\d{4,9}/\S+"


def test_every_reference_has_authors_year_venue_and_a_valid_doi_if_any() -> None:
    entries = listed("references.yaml", "en")
    assert max(Counter(entry["key"] for entry in entries).values()) == 1
    for entry in entries:
        assert entry["authors"], entry["key"]
        assert entry["venue"], entry["key"]
        assert 1900 < entry["year"] < 2100, entry["key"]
        assert entry["doi"] == "" or re.fullmatch(DOI, entry["doi"]), entry["key"]
    dois = [entry["doi"] for entry in entries if entry["doi"]]
    assert len(dois) == len(set(dois))


def test_every_published_result_that_has_a_reference_has_it_among_the_references() -> None:
    dois = {entry["doi"] for entry in listed("references.yaml", "en")}
    assert set(published.results().reference) <= dois


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_references_end_the_page_with_a_link_each(page_of: PageOf, language: str) -> None:
    text = section_of(page_of(language)[1], "references")
    entries = listed("references.yaml", language)
    assert text.count("<li id=") == len(entries)
    assert set(re.findall(rf'href="https://doi\.org/({DOI})">', text)) == {entry["doi"] for entry in entries} - {""}
    assert page.SECTIONS[-1] == "references"


@pytest.mark.parametrize("language", LANGUAGES)
def test_cells_of_c_nmc_are_attributed_wherever_they_are_shown_and_synthetic_ones_nowhere(
    make_study: MakeStudy, page_of: PageOf, language: str
) -> None:
    t = Text(language)
    params, paths = make_study(report={"language": language}, dataset={"source": "cnmc"}, skill=0.3)
    page.run(params, paths)
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    for part in text.split("<section ")[1:]:
        assert (t("attribution") in part) == ("<img " in part), part[:30]
    assert "10.7937/tcia.2019.dc64i46r" in t("attribution")
    assert "CC BY 3.0" in t("attribution")
    assert t("attribution") not in (page_of(language)[1].report / "index.html").read_text(encoding="utf-8")
