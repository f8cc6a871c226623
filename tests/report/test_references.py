"""The references, and the attribution of the cells that are shown."""

import re
from collections import Counter

import pytest
from report_study import MakeStudy, PageOf, section_of

from wen.report import page, published
from wen.report.language import Text, listed

LANGUAGES = ["en", "id"]
DOI = r"10\.\d{4,9}/\S+"


def test_every_reference_says_who_when_and_where_and_its_doi_is_one() -> None:
    entries = listed("references.yaml", "en")
    assert max(Counter(own["key"] for own in entries).values()) == 1
    for own in entries:
        assert own["authors"], own["key"]
        assert own["venue"], own["key"]
        assert 1900 < own["year"] < 2100, own["key"]
        assert own["doi"] == "" or re.fullmatch(DOI, own["doi"]), own["key"]
    dois = [own["doi"] for own in entries if own["doi"]]
    assert len(dois) == len(set(dois))


def test_every_published_result_that_has_a_reference_has_it_among_the_references() -> None:
    dois = {own["doi"] for own in listed("references.yaml", "en")}
    assert set(published.results().reference) <= dois


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_references_end_the_page_with_a_link_each(page_of: PageOf, language: str) -> None:
    text = section_of(page_of(language)[1], "references")
    entries = listed("references.yaml", language)
    assert text.count("<li id=") == len(entries)
    assert set(re.findall(rf'href="https://doi\.org/({DOI})">', text)) == {own["doi"] for own in entries} - {""}
    assert page.SECTIONS[-1] == "references"


@pytest.mark.parametrize("language", LANGUAGES)
def test_cells_of_c_nmc_are_attributed_wherever_they_are_shown_and_synthetic_ones_nowhere(
    make_study: MakeStudy, language: str
) -> None:
    t = Text(language)
    params, paths = make_study(report={"language": language}, dataset={"source": "cnmc"}, skill=0.3)
    page.run(params, paths)
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    for part in text.split("<section ")[1:]:
        assert (t("attribution") in part) == ("<img " in part), part[:30]
    assert "10.7937/tcia.2019.dc64i46r" in t("attribution")
    assert "CC BY 3.0" in t("attribution")
    synthetic = params.dataset.model_copy(update={"source": "synthetic"})
    page.run(params.model_copy(update={"dataset": synthetic}), paths)
    assert t("attribution") not in (paths.report / "index.html").read_text(encoding="utf-8")
